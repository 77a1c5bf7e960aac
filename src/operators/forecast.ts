import { seriesKey } from '../events/records.ts';
import { inputsOf } from '../models/artefact.ts';
import type { WindowShape } from '../models/model.ts';
import { standardise } from '../models/standardise.ts';
import { jsonCodec } from '../state/json-codec.ts';
import type { GlobalStore } from '../state/store.ts';
import { baselineForecast, betterBaseline } from './baselines.ts';
import { isFlush } from './history.ts';
import { InputRows, type Statics } from './input-rows.ts';
import { type Candidate, type CandidateRole, type ForecastCandidates, type SeriesWindow, scaleOf } from './items.ts';
import type { Collector, DeferredCollector, Operator, OperatorContext, Position, StreamRecord } from './operator.ts';
import type { PreparedActivation, ServedModel } from './served-model.ts';
import type { Scale } from './window-ring.ts';

export interface ForecastConfig {
  /** The model line that this pipeline follows: activations of other names are counted and do nothing. */
  readonly name: string;
  readonly shape: WindowShape;
  readonly interval: number;
  /** Horizon steps at which baselines are compared. */
  readonly steps: readonly number[];
  /** A model sees a window only where at least this share of it was measured. */
  readonly minMeasured: number;
  readonly statics: Statics;
}

/** Ids of the models in use; empty for none. */
interface Roles {
  champion: string;
  challenger: string;
}

interface Pending {
  readonly position: Position;
  readonly window: SeriesWindow;
  /** Full and measured enough for a model. */
  readonly usable: boolean;
  readonly champion: ServedModel | undefined;
  readonly challenger: ServedModel | undefined;
}

/**
 * Forecasts from every window that arrives: with the champion, and beside it with the challenger. All windows of a
 * micro-batch go through a model in one call. An activation in the middle of a batch changes the models exactly there:
 * windows before it are forecast with the old ones.
 *
 * Where no model can forecast (none is active, the window is not full yet or has too many gaps) the better of last value
 * and seasonal naive does.
 */
export class Forecasting implements Operator<SeriesWindow, ForecastCandidates> {
  readonly #config: ForecastConfig;
  readonly #load: (id: string) => Promise<ServedModel>;
  #roles!: GlobalStore<Roles>;
  #champion: ServedModel | undefined;
  #challenger: ServedModel | undefined;
  #pending: Pending[] = [];

  /** @param load waits until the model is there: state that was restored names its models by id. */
  constructor(config: ForecastConfig, load: (id: string) => Promise<ServedModel>) {
    this.#config = config;
    this.#load = load;
  }

  init(context: OperatorContext): void {
    this.#roles = context.global('models', jsonCodec<Roles>(), { champion: '', challenger: '' });
  }

  async prepare(): Promise<void> {
    const { champion, challenger } = this.#roles.get();
    this.#champion = champion === '' ? undefined : await this.#restored(champion);
    this.#challenger = challenger === '' ? undefined : await this.#restored(challenger);
  }

  /** Undefined where the windows are not those it was activated for: the configuration has changed since. */
  async #restored(id: string): Promise<ServedModel | undefined> {
    const served = await this.#load(id);
    return this.#fits(served) ? served : undefined;
  }

  process(record: StreamRecord<SeriesWindow>): void {
    const { key, row, offset, ingestTime, turn, value: window } = record;
    const usable = this.#isUsable(window);
    this.#pending.push({
      position: { key, row, offset, ingestTime, turn },
      window,
      usable,
      champion: usable ? forQuantity(this.#champion, window.quantity) : undefined,
      challenger: usable ? forQuantity(this.#challenger, window.quantity) : undefined,
    });
  }

  broadcast(value: unknown, _position: Position, out: Collector<ForecastCandidates>): void {
    if (isFlush(value)) return;
    const { activation, served, refusal } = value as PreparedActivation;
    if (activation.name !== this.#config.name) {
      out.count('activation-of-another-line');
      return;
    }
    if (refusal !== '' || (served !== undefined && !this.#fits(served))) {
      out.count('activation-refused');
      return;
    }
    if (activation.role === 'champion') {
      this.#champion = served;
      // A promoted challenger has left the shadow.
      if (served !== undefined && served.model.id === this.#challenger?.model.id) this.#challenger = undefined;
    } else {
      this.#challenger = served;
    }
    this.#roles.set({ champion: this.#champion?.model.id ?? '', challenger: this.#challenger?.model.id ?? '' });
    out.count('activated');
  }

  flush(out: DeferredCollector<ForecastCandidates>): void {
    const pending = this.#pending;
    if (pending.length === 0) return;
    this.#pending = [];
    const sees = (served: ServedModel | undefined) => served?.model.inputs !== undefined;
    const rows = pending.some(({ champion, challenger }) => sees(champion) || sees(challenger))
      ? new InputRows(
          pending.filter(({ usable }) => usable),
          this.#config.statics,
        )
      : undefined;
    const champions = this.#forecastAll(pending, 'champion', rows);
    const challengers = this.#forecastAll(pending, 'challenger', rows);
    pending.forEach(({ position, window }, i) => {
      out.at(position);
      let champion = champions[i];
      const challenger = challengers[i];
      if (champion === undefined || !allFinite(champion)) {
        if (champion !== undefined) out.count('model-not-finite');
        champion = this.#naive(window);
      }
      const candidates = challenger !== undefined && allFinite(challenger) ? [champion, challenger] : [champion];
      out.count(champion.calibration.length > 0 ? 'forecast-model' : 'forecast-naive');
      out.emit({ window, candidates }, window.origin);
    });
  }

  #isUsable(window: SeriesWindow): boolean {
    const { shape, minMeasured } = this.#config;
    return window.values.length === shape.lookback && window.measured >= minMeasured * shape.lookback;
  }

  #fits({ model, artefact }: ServedModel): boolean {
    const { shape, interval } = this.#config;
    return (
      model.shape.lookback === shape.lookback && model.shape.horizon === shape.horizon && artefact.interval === interval
    );
  }

  /** One call for each model: there are two only where the batch holds an activation. */
  #forecastAll(pending: readonly Pending[], role: CandidateRole, rows?: InputRows): (Candidate | undefined)[] {
    const groups = new Map<ServedModel, number[]>();
    pending.forEach((item, i) => {
      const served = item[role];
      if (served === undefined) return;
      const group = groups.get(served);
      if (group === undefined) groups.set(served, [i]);
      else group.push(i);
    });
    const results: (Candidate | undefined)[] = new Array(pending.length);
    for (const [served, members] of groups) this.#forecastGroup(pending, members, served, role, results, rows);
    return results;
  }

  #forecastGroup(
    pending: readonly Pending[],
    members: readonly number[],
    served: ServedModel,
    role: CandidateRole,
    results: (Candidate | undefined)[],
    rows?: InputRows,
  ): void {
    const { lookback, horizon } = this.#config.shape;
    const layout = served.model.inputs;
    const inputs = new Float32Array(members.length * (layout?.size ?? 0));
    const values = new Float32Array(members.length * lookback);
    const outputs = new Float32Array(members.length * horizon);
    const scales = members.map((member, r) => {
      const { position, window } = pending[member]!;
      const scale = scaleFor(served, position.key, window);
      for (let k = 0; k < lookback; k++) {
        values[r * lookback + k] = standardise(window.values[k]!, scale.mean, scale.deviation);
      }
      if (layout !== undefined) {
        const scaleOther = (other: SeriesWindow) => scaleFor(served, position.key, other);
        rows?.write(layout, pending[member]!, scaleOther, inputs, r * layout.size);
      }
      return scale;
    });
    served.model.forecast({ count: members.length, values, ...(layout && { inputs }) }, outputs);
    members.forEach((member, r) => {
      const { mean, deviation } = scales[r]!;
      const forecast = new Float64Array(horizon);
      for (let h = 0; h < horizon; h++) forecast[h] = mean + scaleOf(deviation) * outputs[r * horizon + h]!;
      const { quantiles } = served.artefact.calibration;
      const unit = scaleOf(deviation);
      const row = layout && { inputs: inputs.slice(r * layout.size, (r + 1) * layout.size) };
      results[member] = { role, model: modelName(served), calibration: quantiles, unit, values: forecast, ...row };
    });
  }

  #naive(window: SeriesWindow): Candidate {
    const { shape, steps } = this.#config;
    const model = betterBaseline(window.values, steps, shape.season);
    const values = baselineForecast(model, window.values, shape.horizon, shape.season);
    return { role: 'champion', model, calibration: [], unit: scaleOf(window.deviation), values };
  }
}

const RIDGE = 'ridge:';

/** The name of a model in forecasts and scores: its id, and for a ridge regression `ridge:` before it. */
export function modelName({ model }: ServedModel): string {
  return model.family === 'ridge' ? `${RIDGE}${model.id}` : model.id;
}

/** The id in the name of a model, see {@link modelName}. */
export function idIn(name: string): string {
  return name.startsWith(RIDGE) ? name.slice(RIDGE.length) : name;
}

/** The key under which a fixed scaler may hold the scale of all series that it does not name. */
export const ANY_SERIES = '*';
/** The model where it forecasts this quantity. */
function forQuantity(served: ServedModel | undefined, quantity: string): ServedModel | undefined {
  const targets = served === undefined ? undefined : inputsOf(served.artefact)?.targets;
  return targets === undefined || targets.length === 0 || targets.includes(quantity) ? served : undefined;
}

/** What standardises a window for this model: the training rows' scale of the series, or the series' rolling one. */
export function scaleFor({ artefact }: ServedModel, device: string, window: SeriesWindow): Scale {
  const { kind, series } = artefact.scaler;
  const fixed =
    kind === 'fixed' ? (series.get(seriesKey(device, window.quantity)) ?? series.get(ANY_SERIES)) : undefined;
  return fixed ?? window;
}

function allFinite({ values }: Candidate): boolean {
  return values.every((value) => Number.isFinite(value));
}
