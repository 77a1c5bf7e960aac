import type { NextEvent } from '../events/records.ts';
import { ARITHMETIC_VERSION } from '../models/arithmetic.ts';
import { softmax } from '../models/sequential/activations.ts';
import { givesProbabilities, takesCodes } from '../models/sequential/layers.ts';
import { sequentialOf } from '../models/sequential/model.ts';
import { jsonCodec } from '../state/json-codec.ts';
import type { GlobalStore, SlabStore } from '../state/store.ts';
import { isFlush } from './history.ts';
import type { Collector, DeferredCollector, Operator, OperatorContext, Position, StreamRecord } from './operator.ts';
import type { PreparedActivation, ServedModel } from './served-model.ts';

/** Something that a device has reported, as a number: a state, an alarm, a command. */
export interface EventCode {
  readonly code: number;
}

export interface NextEventConfig {
  /** The model line that is followed: activations of other names are counted and do nothing. */
  readonly name: string;
  /** Events that a forecast looks back on. */
  readonly steps: number;
  /** Codes: 0 … codes − 1; others are counted and dropped. */
  readonly codes: number;
}

interface Serving {
  readonly served: ServedModel;
  /** Whether the outputs are logits, as those of a last layer without activation are. */
  readonly logits: boolean;
}

interface Waiting {
  readonly position: Position;
  readonly time: number;
  readonly window: Float32Array;
  readonly serving: Serving;
}

/**
 * Keeps the last events of each device and forecasts the next one with the Sequential model in use, in one call for all
 * devices of a micro-batch. An activation in the middle of a batch changes the model exactly there. Without a model
 * events are counted and kept, and nothing is forecast.
 */
export class NextEventForecast implements Operator<EventCode, NextEvent> {
  readonly #config: NextEventConfig;
  readonly #load: (id: string) => Promise<ServedModel>;
  #events!: SlabStore;
  #champion!: GlobalStore<string>;
  #serving: Serving | undefined;
  #waiting: Waiting[] = [];

  /** @param load waits until the model is there: state that was restored names its model by id. */
  constructor(config: NextEventConfig, load: (id: string) => Promise<ServedModel>) {
    this.#config = config;
    this.#load = load;
  }

  init(context: OperatorContext): void {
    this.#events = context.slab('events', { ring: ['i32', this.#config.steps], seen: ['i32', 1] });
    this.#champion = context.global('model', jsonCodec<string>(), '');
  }

  async prepare(): Promise<void> {
    const id = this.#champion.get();
    const served = id === '' ? undefined : await this.#load(id);
    // The configuration may have changed since the model was activated: it would take others' events for its own.
    this.#serving = served !== undefined && this.#fits(served) ? servingOf(served) : undefined;
  }

  process(record: StreamRecord<EventCode>, out: Collector<NextEvent>): void {
    const { steps, codes } = this.#config;
    const { code } = record.value;
    if (!Number.isInteger(code) || code < 0 || code >= codes) {
      out.count('unknown-code');
      return;
    }
    if (!this.#events.has(record)) this.#events.create(record);
    const ring = this.#events.i32('ring').subarray(record.row * steps, (record.row + 1) * steps);
    const seen = this.#events.i32('seen');
    // The ring turns by moving: windows are short, and lie in order for the model.
    ring.copyWithin(0, 1);
    ring[steps - 1] = code;
    seen[record.row] = Math.min(steps, seen[record.row]! + 1);
    if (seen[record.row] !== steps) out.count('too-few-events');
    else if (this.#serving === undefined) out.count('no-model');
    else {
      const { key, row, offset, ingestTime, turn, time } = record;
      const position = { key, row, offset, ingestTime, turn };
      this.#waiting.push({ position, time, window: Float32Array.from(ring), serving: this.#serving });
    }
  }

  broadcast(value: unknown, _position: Position, out: Collector<NextEvent>): void {
    if (isFlush(value)) return;
    const { activation, served, refusal } = value as PreparedActivation;
    if (activation.name !== this.#config.name) {
      out.count('activation-of-another-line');
      return;
    }
    if (activation.role !== 'champion' || refusal !== '' || (served !== undefined && !this.#fits(served))) {
      out.count('activation-refused');
      return;
    }
    this.#serving = served === undefined ? undefined : servingOf(served);
    this.#champion.set(served?.model.id ?? '');
    out.count('activated');
  }

  flush(out: DeferredCollector<NextEvent>): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    const { codes } = this.#config;
    const scores = new Float32Array(waiting.length * codes);
    // There are two models only where the batch holds an activation; the windows of one stand together.
    for (let from = 0; from < waiting.length; ) {
      const { serving } = waiting[from]!;
      let to = from + 1;
      while (to < waiting.length && waiting[to]!.serving === serving) to++;
      this.#forecast(waiting.slice(from, to), serving, scores.subarray(from * codes, to * codes));
      from = to;
    }
    waiting.forEach(({ position, time, serving }, i) => {
      const row = scores.subarray(i * codes, (i + 1) * codes);
      const probabilities = [...(serving.logits ? softmax(row) : row)];
      let code = 0;
      for (let k = 1; k < codes; k++) if (probabilities[k]! > probabilities[code]!) code = k;
      out.at(position);
      out.emit(
        {
          type: 'NextEvent',
          device: position.key,
          time,
          code,
          probability: probabilities[code]!,
          probabilities,
          model: serving.served.model.id,
          inputOffset: position.offset,
          arithmetic: ARITHMETIC_VERSION,
        },
        time,
      );
    });
  }

  #forecast(waiting: readonly Waiting[], { served }: Serving, out: Float32Array): void {
    const { steps } = this.#config;
    const values = new Float32Array(waiting.length * steps);
    waiting.forEach(({ window }, i) => {
      values.set(window, i * steps);
    });
    served.model.forecast({ count: waiting.length, values }, out);
  }

  #fits({ model, artefact }: ServedModel): boolean {
    const { steps, codes } = this.#config;
    if (model.family !== 'sequential' || model.shape.lookback !== steps || model.shape.horizon !== codes) return false;
    const spec = sequentialOf(artefact);
    const [first] = spec.layers.filter(({ type }) => type === 'Embedding');
    return takesCodes(spec) && first?.type === 'Embedding' && first.inputDim >= codes;
  }
}

function servingOf(served: ServedModel): Serving {
  return { served, logits: !givesProbabilities(sequentialOf(served.artefact)) };
}
