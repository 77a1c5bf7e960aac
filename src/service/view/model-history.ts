import type { Score } from '../../events/records.ts';

/** A model's errors on the stream, over all series. */
export interface ModelTrack {
  readonly model: string;
  /** Scored forecasts. */
  readonly scored: number;
  /** By scored step: mean absolute error in deviations, share of the actuals inside the interval. */
  readonly steps: readonly { readonly step: number; readonly error: number; readonly coverage: number }[];
  /** The same by day of event time (its start, UTC), oldest first. */
  readonly days: readonly { readonly day: number; readonly error: number; readonly coverage: number }[];
}

interface Sums {
  count: number;
  error: number;
  inside: number;
}

const DAY = 86_400_000;
const MODELS = 24;
const DAYS = 400;

/** Errors and coverage by model, over horizon and days: how its life went. Bounded; the oldest models and days go. */
export class ModelHistory {
  readonly #models = new Map<string, { steps: Map<number, Sums>; days: Map<number, Sums> }>();

  add({ time, actual, deviation, entries }: Score): void {
    if (!(deviation > 0) || !Number.isFinite(actual)) return;
    const day = Math.floor(time / DAY) * DAY;
    for (const { model, step, value, lower, upper } of entries) {
      const { steps, days } = this.#of(model);
      const error = Math.abs(actual - value) / deviation;
      const inside = actual >= lower && actual <= upper ? 1 : 0;
      put(steps, step, error, inside);
      put(days, day, error, inside);
      if (days.size > DAYS) days.delete(Math.min(...days.keys()));
    }
  }

  track(model: string): ModelTrack | undefined {
    const found = this.#models.get(model);
    if (found === undefined) return undefined;
    const rows = (sums: Map<number, Sums>) =>
      [...sums]
        .sort(([a], [b]) => a - b)
        .map(([at, { count, error, inside }]) => ({ at, error: error / count, coverage: inside / count }));
    return {
      model,
      scored: [...found.steps.values()].reduce((sum, { count }) => sum + count, 0),
      steps: rows(found.steps).map(({ at, ...rest }) => ({ step: at, ...rest })),
      days: rows(found.days).map(({ at, ...rest }) => ({ day: at, ...rest })),
    };
  }

  #of(model: string): { steps: Map<number, Sums>; days: Map<number, Sums> } {
    let found = this.#models.get(model);
    if (found === undefined) {
      found = { steps: new Map(), days: new Map() };
      this.#models.set(model, found);
      if (this.#models.size > MODELS) this.#models.delete(this.#models.keys().next().value!);
    }
    return found;
  }
}

function put(sums: Map<number, Sums>, at: number, error: number, inside: number): void {
  const held = sums.get(at) ?? { count: 0, error: 0, inside: 0 };
  held.count++;
  held.error += error;
  held.inside += inside;
  sums.set(at, held);
}
