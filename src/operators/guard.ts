import { type Baseline, LAST_VALUE, SEASONAL_NAIVE } from './baselines.ts';

/**
 * Keeps the naive forecast for a series where the model has lately been worse: whatever a model has shown on its hold-out,
 * a series may be none of those that it is good at, or may have changed.
 * Discounted sums of absolute errors on the same actuals, a few bytes a series.
 */
export interface GuardConfig {
  /** Buckets of a season or of the horizon, whichever is longer. */
  readonly span: number;
  /** Buckets that the sums remember, about. */
  readonly memory: number;
  /** The model must be worse by this share before the naive forecast takes over; it returns when it is not worse any more. */
  readonly margin: number;
}

/** Sums of model, last value and seasonal naive since the model came, buckets since then, 1 while the naive forecast is kept. */
export const GUARD_FLOATS = 5;
const [MODEL, LAST, SEASONAL, SEEN, KEPT] = [0, 1, 2, 3, 4];

export function guardDefaults(horizon: number, season: number): GuardConfig {
  const span = Math.max(horizon, season);
  return { span, memory: 4 * span, margin: 0.02 };
}

/** Mean errors of one bucket, in deviations. */
export interface BucketErrors {
  readonly lastValue: number;
  readonly seasonalNaive: number;
}

/**
 * Errors of the model and of both naive forecasts at the same horizon steps of one bucket.
 * @param state the guard's floats begin at `at`
 */
export function watchModel(
  { memory, margin, span }: GuardConfig,
  state: Float32Array,
  at: number,
  errors: BucketErrors & { readonly model: number },
): void {
  const { model, lastValue, seasonalNaive } = errors;
  if (!Number.isFinite(model + lastValue + seasonalNaive)) return;
  const left = 1 - 1 / memory;
  state[at + MODEL] = state[at + MODEL]! * left + model;
  state[at + LAST] = state[at + LAST]! * left + lastValue;
  state[at + SEASONAL] = state[at + SEASONAL]! * left + seasonalNaive;
  state[at + SEEN] = Math.min(memory, state[at + SEEN]! + 1);
  const naive = Math.min(state[at + LAST]!, state[at + SEASONAL]!);
  // The fewer buckets, the greater the difference that it takes.
  const doubt = 0.5 * Math.max(0, span / state[at + SEEN]! - 1);
  if (state[at + MODEL]! > naive * (1 + margin + doubt)) state[at + KEPT] = 1;
  else if (state[at + MODEL]! <= naive) state[at + KEPT] = 0;
}

/** Begins anew for another model. */
export function forgetModel(state: Float32Array, at: number): void {
  state.fill(0, at, at + GUARD_FLOATS);
}

/** The naive forecast that serves instead of the model; undefined where the model does. */
export function keptInstead(state: Float32Array, at: number): Baseline | undefined {
  if (state[at + KEPT] !== 1) return undefined;
  return state[at + LAST]! <= state[at + SEASONAL]! ? LAST_VALUE : SEASONAL_NAIVE;
}

/** How many horizon steps each scored step stands for: those between two are shared out by their distance. */
export function stepWeights(steps: readonly number[]): Float64Array {
  const weights = new Float64Array(steps.length);
  const horizon = steps.at(-1)!;
  for (let step = 1, right = 0; step <= horizon; step++) {
    while (steps[right]! < step) right++;
    if (right === 0 || steps[right] === step) {
      weights[right]! += 1;
      continue;
    }
    const share = (step - steps[right - 1]!) / (steps[right]! - steps[right - 1]!);
    weights[right]! += share;
    weights[right - 1]! += 1 - share;
  }
  return weights;
}
