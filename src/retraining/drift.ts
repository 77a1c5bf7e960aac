import type { Score } from '../events/records.ts';
import { scaleOf } from '../operators/items.ts';
import { type DriftSettings, PageHinkley } from './page-hinkley.ts';

/** Times that are kept. */
const MOST_TIMES = 20_000;
/** The newest times may still lack the scores of partitions that are behind. */
const UNSETTLED = 2;

/** The error of one model as the stream scores it: the mean over series and scored steps for each time, in deviations. */
export class ErrorTrack {
  readonly model: string;
  readonly #times = new Map<number, { sum: number; count: number }>();

  /** @param model its name in `scores` */
  constructor(model: string) {
    this.model = model;
  }

  /** Newest time that was scored; −∞ before the first. */
  newest = Number.NEGATIVE_INFINITY;

  add(score: Score): void {
    for (const { role, model, value } of score.entries) {
      if (role !== 'champion' || model !== this.model) continue;
      const sums = this.#times.get(score.time) ?? { sum: 0, count: 0 };
      sums.sum += Math.abs(score.actual - value) / scaleOf(score.deviation);
      sums.count++;
      this.#times.set(score.time, sums);
      this.newest = Math.max(this.newest, score.time);
    }
    if (this.#times.size > MOST_TIMES) this.#times.delete(Math.min(...this.#times.keys()));
  }

  /** Where a lasting rise of the error began, or undefined. */
  drift(settings: DriftSettings): number | undefined {
    const test = new PageHinkley(settings);
    const times = [...this.#times.keys()].sort((a, b) => a - b).slice(0, -UNSETTLED);
    for (const time of times) {
      const { sum, count } = this.#times.get(time)!;
      test.add(time, sum / count);
    }
    return test.change;
  }
}
