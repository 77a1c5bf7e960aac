import type { Score, ScoreEntry } from '../events/records.ts';
import { scaleOf } from '../operators/items.ts';
import { dieboldMariano, type PairedTest } from './diebold-mariano.ts';

export interface TrialSettings {
  /** Buckets (times, not series) that both must have been scored on before anything is decided. */
  readonly least: number;
  /** Buckets after which a trial ends in any case. */
  readonly most: number;
  /** Share of the champion's error by which the other must be better. */
  readonly margin: number;
  /** Probability of error that is put up with. */
  readonly significance: number;
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

  result(): TrialResult {
    const times = [...this.#times].sort(([a], [b]) => a - b).map(([, sums]) => sums);
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

/** What the numbers of a trial say. */
export function judgeTrial(result: TrialResult, settings: TrialSettings): Verdict {
  if (result.count < settings.least) return 'undecided';
  const better = result.mean > settings.margin * result.championMae;
  if (better && result.p <= settings.significance) return 'challenger-better';
  if (result.mean < 0 && 1 - result.p <= settings.significance) return 'champion-better';
  return result.count >= settings.most ? 'no-difference' : 'undecided';
}
