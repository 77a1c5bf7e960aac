import { beginQuantile, type QuantileConfig, trackQuantile } from './interval.ts';

/**
 * How the half-width of an interval follows the residuals of a series at one horizon step. State is a run of floats;
 * everything is in deviations.
 */
export interface IntervalMethod {
  /** Floats of state for each series, model and horizon step. */
  readonly floats: number;
  /** @param q half-width before anything is known */
  begin(state: Float32Array, at: number, q: number): void;
  /** Takes an absolute residual, `step` buckets after the forecast. @param missed outside the interval that went out */
  track(state: Float32Array, at: number, residual: number, missed: boolean, step: number): void;
  halfWidth(state: Float32Array, at: number): number;
}

export const INTERVAL_METHODS = ['tracking', 'rolling'] as const;
export type IntervalMethodName = (typeof INTERVAL_METHODS)[number];

/** Two floats: for fleets of any size; see {@link trackQuantile}. */
export function trackingMethod(config: QuantileConfig): IntervalMethod {
  return {
    floats: 2,
    begin: beginQuantile,
    track: (state, at, residual, missed, step) => trackQuantile(config, state, at, residual, missed, step),
    halfWidth: (state, at) => state[at]!,
  };
}

export interface RollingConfig {
  /** Nominal coverage. */
  readonly level: number;
  /** Residuals that are remembered for each series, model and horizon step. */
  readonly residuals: number;
  /** By how much one miss or hit moves the level that is asked of the buffer (ACI's γ). */
  readonly rate: number;
}

export const ROLLING_DEFAULTS = { residuals: 720, rate: 0.005 } as const;

/** So many residuals before the buffer is believed. */
const LEAST = 20;

/**
 * The newest residuals in a ring, and a level of their quantile that adapts: adaptive conformal inference (Gibbs and
 * Candès, 2021). A few kilobytes for each model and step: for small fleets.
 */
export function rollingMethod({ level, residuals: length, rate }: RollingConfig): IntervalMethod {
  const sorted = new Float32Array(length);
  const halfWidth = (state: Float32Array, at: number): number => {
    const count = Math.min(length, state[at + 1]!);
    if (count < LEAST) return state[at]!;
    const part = sorted.subarray(0, count);
    part.set(state.subarray(at + 3, at + 3 + count));
    part.sort();
    const rank = Math.ceil((count + 1) * state[at + 2]!);
    return part[Math.min(count, Math.max(1, rank)) - 1]!;
  };
  return {
    // Half-width to begin with, residuals so far, the adapted level, the ring.
    floats: 3 + length,
    begin(state, at, q) {
      state.fill(0, at, at + 3 + length);
      state[at] = q;
      state[at + 2] = level;
    },
    track(state, at, residual, missed) {
      if (!Number.isFinite(residual)) return;
      state[at + 2] = Math.min(1, Math.max(0, state[at + 2]! + rate * ((missed ? 1 : 0) - (1 - level))));
      // Whole numbers stay exact in a float up to 2²⁴: the count goes on round the ring.
      const seen = state[at + 1]!;
      state[at + 3 + (seen % length)] = residual;
      state[at + 1] = seen + 1 === 2 * length ? length : seen + 1;
    },
    halfWidth,
  };
}
