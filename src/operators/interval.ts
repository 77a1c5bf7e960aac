/**
 * Online tracking of the quantile that an interval needs: quantile tracking of conformal PID control (Angelopoulos, Candès,
 * Tibshirani 2023). After each actual the half-width `q` grows where the actual was outside its interval and shrinks a
 * little where it was inside, so that in the long run the share outside is `1 − level`, whatever the data do.
 *
 * What counts as outside is the interval that went out with the forecast, not the one of now: the residual of step h is
 * known h buckets late, and compared with the half-width of now the intervals of long steps become too narrow. Steps are
 * proportional to the mean residual, which moves slowly: proportional to the residual itself, misses would weigh more
 * than hits. The later a residual comes, the smaller its step. Two numbers for each horizon step, in deviations.
 */
export interface QuantileConfig {
  /** Nominal coverage, for example 0.9. */
  readonly level: number;
  /** Share of the mean residual that one miss at once known may move the half-width by. */
  readonly rate: number;
  /** What is left of the mean residual after each actual. */
  readonly memory: number;
  /** Buckets in a season: a residual that comes a season late moves half as much as one known at once. */
  readonly season: number;
}

/** Chosen on the validation parts of the sets of bench/accuracy/intervals.mjs. */
export const QUANTILE_DEFAULTS: QuantileConfig = { level: 0.9, rate: 0.2, memory: 0.998, season: 24 };

/** Half-width before anything is known, in deviations. */
export const FIRST_QUANTILE = 2;

/** @param state `[q, mean residual]` begin at `at`. @param q half-width to begin with */
export function beginQuantile(state: Float32Array, at: number, q: number): void {
  state[at] = q;
  state[at + 1] = q / 2;
}

/**
 * @param residual absolute residual in deviations
 * @param missed whether it was outside its interval
 * @param step horizon step that it is of
 */
export function trackQuantile(
  { level, rate, memory, season }: QuantileConfig,
  state: Float32Array,
  at: number,
  residual: number,
  missed: boolean,
  step: number,
): void {
  if (!Number.isFinite(residual)) return;
  const mean = state[at + 1]! * memory + residual * (1 - memory);
  const gain = (rate * season) / (season + step);
  state[at] = Math.max(0, state[at]! + gain * mean * ((missed ? 1 : 0) - (1 - level)));
  state[at + 1] = mean;
}

/** Horizon steps that are scored: 1, the powers of two, and the last. */
export function scoredSteps(horizon: number): number[] {
  const steps: number[] = [];
  for (let step = 1; step < horizon; step *= 2) steps.push(step);
  steps.push(horizon);
  return steps;
}

/** Half-widths for every horizon step, linear between the tracked ones. @param q at the scored steps */
export function spreadOverHorizon(steps: readonly number[], q: (index: number) => number, out: Float64Array): void {
  let right = 0;
  for (let i = 0; i < out.length; i++) {
    const step = i + 1;
    while (right < steps.length - 1 && steps[right]! < step) right++;
    const left = Math.max(0, right - 1);
    const from = steps[left]!;
    const to = steps[right]!;
    const share = to === from ? 0 : Math.min(1, Math.max(0, (step - from) / (to - from)));
    out[i] = q(left) + (q(right) - q(left)) * share;
  }
}
