/**
 * Online tracking of the quantile that an interval needs: the proportional part of conformal PID control (Angelopoulos,
 * Candès, Tibshirani 2023). After each actual the half-width `q` grows where the actual was outside and shrinks a little
 * where it was inside, so that in the long run the share outside is `1 − level`, whatever the data do. Steps are
 * proportional to the largest recent residual. Two numbers for each horizon step, residuals in deviations.
 */
export interface QuantileConfig {
  /** Nominal coverage, for example 0.9. */
  readonly level: number;
  /** Share of the largest recent residual that one miss may move the half-width by. */
  readonly rate: number;
  /** What is left of the largest residual after each actual. */
  readonly memory: number;
}

export const QUANTILE_DEFAULTS: QuantileConfig = { level: 0.9, rate: 0.1, memory: 0.99 };

/** Half-width before anything is known, in deviations. */
export const FIRST_QUANTILE = 2;

/**
 * @param state `[q, largest]` pairs begin at `at`
 * @param residual absolute residual in deviations
 */
export function trackQuantile(config: QuantileConfig, state: Float32Array, at: number, residual: number): void {
  if (!Number.isFinite(residual)) return;
  const q = state[at]!;
  const largest = Math.max(state[at + 1]! * config.memory, residual);
  const miss = residual > q ? 1 : 0;
  state[at] = Math.max(0, q + config.rate * largest * (miss - (1 - config.level)));
  state[at + 1] = largest;
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
