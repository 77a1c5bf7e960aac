import type { Score, ScoreEntry } from '../events/records.ts';
import type { WindowShape } from '../models/model.ts';
import { scaleOf } from '../operators/items.ts';
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

export type Verdict = 'challenger-better' | 'champion-better' | 'undecided' | 'no-difference';

/**
 * Two models on the same actuals: mean absolute errors in deviations, over series and scored steps, one number for each
 * time. The order in which scores come does not matter, so a learner that starts again comes to the same numbers.
 */
export class Trial {
  readonly champion: string;
  readonly challenger: string;
  readonly #horizon: number;
  /** By time: sums of both, and pairs. */
  readonly #times = new Map<number, { champion: number; challenger: number; pairs: number }>();

  /** @param champion, challenger names as in `scores` */
  constructor(champion: string, challenger: string, horizon: number) {
    this.champion = champion;
    this.challenger = challenger;
    this.#horizon = horizon;
  }

  get times(): number {
    return this.#times.size;
  }

  add(score: Score): void {
    const unit = scaleOf(score.deviation);
    const error = ({ value }: ScoreEntry): number => Math.abs(score.actual - value) / unit;
    for (const entry of score.entries) {
      if (entry.role === 'baseline' || entry.model !== this.challenger) continue;
      const other = score.entries.find(
        ({ role, model, step }) => role !== 'baseline' && model === this.champion && step === entry.step,
      );
      if (other === undefined) continue;
      const sums = this.#times.get(score.time) ?? { champion: 0, challenger: 0, pairs: 0 };
      sums.champion += error(other);
      sums.challenger += error(entry);
      sums.pairs++;
      this.#times.set(score.time, sums);
    }
  }

  /** @param first only the first so many times */
  result(first = Number.POSITIVE_INFINITY): TrialResult {
    const times = [...this.#times]
      .sort(([a], [b]) => a - b)
      .slice(0, first)
      .map(([, sums]) => sums);
    const differences = times.map(({ champion, challenger, pairs }) => (champion - challenger) / pairs);
    const total = { champion: 0, challenger: 0, pairs: 0 };
    for (const { champion, challenger, pairs } of times) {
      total.champion += champion;
      total.challenger += challenger;
      total.pairs += pairs;
    }
    return {
      ...dieboldMariano(differences, this.#horizon),
      championMae: total.champion / total.pairs,
      challengerMae: total.challenger / total.pairs,
      pairs: total.pairs,
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
 * (Bonferroni: right for looks that depend on each other in any way). It does not matter when the trial is asked.
 */
export function judgeTrial(trial: Trial, settings: TrialSettings): { verdict: Verdict; result: TrialResult } {
  const points = lookPoints(settings);
  const significance = settings.significance / points.length;
  for (const point of points) {
    if (trial.times < point + UNSETTLED) return { verdict: 'undecided', result: trial.result(point) };
    const result = trial.result(point);
    const better = result.mean > settings.margin * result.championMae;
    if (better && result.p <= significance) return { verdict: 'challenger-better', result };
    if (result.mean < 0 && 1 - result.p <= significance) return { verdict: 'champion-better', result };
  }
  return { verdict: 'no-difference', result: trial.result(points.at(-1)) };
}
