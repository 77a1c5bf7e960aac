import type { Score, ScoreEntry } from '../events/records.ts';
import type { WindowShape } from '../models/model.ts';
import { scaleOf } from '../operators/items.ts';
import { DeviceShares } from './device-shares.ts';
import { dieboldMariano, type PairedTest } from './diebold-mariano.ts';

export interface TrialSettings {
  /** Buckets (times, not series) that both must have been scored on before anything is decided. */
  readonly least: number;
  /** Buckets after which a trial ends in any case. */
  readonly most: number;
  /** Share of the champion's error by which the other must be better. */
  readonly margin: number;
  /** Probability of error that is put up with, over the whole trial. */
  readonly significance: number;
  /** How often the numbers are looked at: at `least` buckets, at `most`, and evenly between. */
  readonly looks: number;
}

export interface TrialResult extends PairedTest {
  readonly championMae: number;
  readonly challengerMae: number;
  /** Pairs of forecasts that were compared. */
  readonly pairs: number;
}

/** `never-scored`: too few buckets had forecasts of both in all the time since the trial began. */
export type Verdict = 'challenger-better' | 'champion-better' | 'undecided' | 'no-difference' | 'never-scored';

/** A time counts where at least this share of the devices has pairs that the median time has: one that delivers late is no fleet. */
const LEAST_SHARE = 0.25;

/**
 * Two models on the same actuals: mean absolute errors in deviations, over series and scored steps, one number for each
 * time, in which each device counts alike. The order in which scores come does not matter, so a learner that starts again comes to the same numbers.
 */
export class Trial {
  readonly champion: string;
  readonly challenger: string;
  readonly #horizon: number;
  readonly #since: number;
  readonly #times = new Map<number, { readonly shares: DeviceShares; pairs: number }>();
  readonly #closed = new Set<number>();
  /** Look points that are past and have decided nothing: what comes late does not open them again. */
  looked = 0;

  /**
   * @param champion, challenger names as in `scores`
   * @param since event time at which the trial began: only later times count, whatever a device delivers of before
   */
  constructor(champion: string, challenger: string, horizon: number, since = Number.NEGATIVE_INFINITY) {
    this.champion = champion;
    this.challenger = challenger;
    this.#horizon = horizon;
    this.#since = since;
  }

  /** Times that count. */
  get times(): number {
    return this.#counted().length;
  }

  /** Times that anything was scored at since the trial began, by either of the two or not. */
  get closed(): number {
    return this.#closed.size;
  }

  add(score: Score): void {
    if (score.time <= this.#since) return;
    this.#closed.add(score.time);
    const unit = scaleOf(score.deviation);
    const error = ({ value }: ScoreEntry): number => Math.abs(score.actual - value) / unit;
    for (const entry of score.entries) {
      if (entry.role === 'baseline' || entry.model !== this.challenger) continue;
      const other = score.entries.find(
        ({ role, model, step }) => role !== 'baseline' && model === this.champion && step === entry.step,
      );
      if (other === undefined) continue;
      const time = this.#times.get(score.time) ?? { shares: new DeviceShares(), pairs: 0 };
      time.shares.add(score.device, error(other), error(entry));
      time.pairs++;
      this.#times.set(score.time, time);
    }
  }

  /** In the order of time. */
  #counted() {
    const sizes = [...this.#times.values()].map(({ shares }) => shares.devices).sort((a, b) => a - b);
    const least = LEAST_SHARE * (sizes[sizes.length >> 1] ?? 0);
    return [...this.#times].filter(([, { shares }]) => shares.devices >= least).sort(([a], [b]) => a - b);
  }

  /** @param first only the first so many times */
  result(first = Number.POSITIVE_INFINITY): TrialResult {
    const times = this.#counted()
      .slice(0, first)
      .map(([, { shares, pairs }]) => ({ ...shares.means(), pairs }));
    const differences = times.map(({ champion, challenger }) => champion - challenger);
    const mean = (of: 'champion' | 'challenger'): number =>
      times.reduce((sum, time) => sum + time[of], 0) / times.length;
    return {
      ...dieboldMariano(differences, this.#horizon),
      championMae: mean('champion'),
      challengerMae: mean('challenger'),
      pairs: times.reduce((sum, { pairs }) => sum + pairs, 0),
    };
  }
}

/** The defaults of a trial, in buckets: two horizons or seasons at the first look, fourteen at the last. */
export function trialDefaults({ shape }: { readonly shape: Pick<WindowShape, 'horizon' | 'season'> }): TrialSettings {
  const { horizon, season } = shape;
  return {
    least: 2 * Math.max(horizon, season),
    most: 14 * Math.max(horizon, season),
    margin: 0,
    significance: 0.01,
    looks: 5,
  };
}

/** The newest times may still lack the scores of partitions that are behind. */
const UNSETTLED = 2;

/** Numbers of buckets at which a trial is looked at, ascending. */
export function lookPoints({ least, most, looks }: TrialSettings): number[] {
  if (looks <= 1 || most <= least) return [Math.max(least, most)];
  const points = Array.from({ length: looks }, (_, k) => Math.round(least + (k * (most - least)) / (looks - 1)));
  return [...new Set(points)];
}

/**
 * What a trial says. A test that is repeated on every new bucket finds a difference sooner or later where there is none;
 * so the numbers count only at fixed points, on the buckets up to there, and each look has its share of the significance
 * (Bonferroni: right for looks that depend on each other in any way). It does not matter when the trial is asked; a look
 * that has decided nothing is past for this trial, and only one that is followed anew takes it again.
 *
 * A trial ends without a difference to tell where nothing was scored in the buckets that it may last, or where twice as
 * many have not been enough: a model whose forecasts never meet those of the other must not keep the line for ever.
 */
export function judgeTrial(trial: Trial, settings: TrialSettings): { verdict: Verdict; result: TrialResult } {
  const points = lookPoints(settings);
  const significance = settings.significance / points.length;
  const most = points.at(-1)! + UNSETTLED;
  const { times, closed } = trial;
  const over = closed >= (times === 0 ? most : 2 * most);
  for (const point of points) {
    if (point <= trial.looked) continue;
    if (times < point + UNSETTLED) {
      return { verdict: over ? 'never-scored' : 'undecided', result: trial.result(point) };
    }
    const result = trial.result(point);
    const better = result.mean > settings.margin * result.championMae;
    if (better && result.p <= significance) return { verdict: 'challenger-better', result };
    if (result.mean < 0 && 1 - result.p <= significance) return { verdict: 'champion-better', result };
    trial.looked = point;
  }
  return { verdict: 'no-difference', result: trial.result(points.at(-1)) };
}
