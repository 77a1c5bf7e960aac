/** Names under which the forecasts without a model appear in `forecasts` and `scores`. */
export const LAST_VALUE = 'last-value';
export const SEASONAL_NAIVE = 'seasonal-naive';
export type Baseline = typeof LAST_VALUE | typeof SEASONAL_NAIVE;
/** Both in shares by horizon step; see naive-mix.ts. */
export const NAIVE_MIX = 'naive-mix';

/** Whether a forecast of this name was made without a model. */
export function isNaiveName(model: string): boolean {
  return model === LAST_VALUE || model === SEASONAL_NAIVE || model === NAIVE_MIX;
}

/**
 * What the baseline forecast for the newest value of the window, `step` buckets before it.
 * @returns NaN where the window, and what is known from before it, do not reach back so far.
 */
export function hindcast(
  baseline: Baseline,
  { values, earlier }: { readonly values: ArrayLike<number>; readonly earlier?: ArrayLike<number> },
  step: number,
  season: number,
): number {
  const back = baseline === LAST_VALUE ? step : season * Math.ceil(step / season);
  const at = values.length - 1 - back;
  if (at >= 0) return values[at]!;
  return earlier?.[earlier.length + at] ?? Number.NaN;
}

/** Forecasts raw values from a raw window. A window shorter than a season has its last value repeated. */
export function baselineForecast(
  baseline: Baseline,
  values: ArrayLike<number>,
  horizon: number,
  season: number,
): Float64Array {
  const { length } = values;
  const out = new Float64Array(horizon);
  if (baseline === LAST_VALUE || length < season) return out.fill(values[length - 1]!);
  for (let i = 0; i < horizon; i++) out[i] = values[length - season + (i % season)]!;
  return out;
}

/**
 * The baseline that would have been better over the window at the given steps: a function of the window alone, so that
 * it needs no memory and no restart can change it. Last value until a season has passed.
 */
export function betterBaseline(values: ArrayLike<number>, steps: readonly number[], season: number): Baseline {
  const { length } = values;
  if (length < season) return LAST_VALUE;
  let last = 0;
  let seasonal = 0;
  let compared = 0;
  for (const step of steps) {
    const back = season * Math.ceil(step / season);
    for (let t = back; t < length; t++) {
      last += Math.abs(values[t]! - values[t - step]!);
      seasonal += Math.abs(values[t]! - values[t - back]!);
      compared++;
    }
  }
  // With one season and no bucket more nothing can be compared yet: a season is the better guess for most steps.
  return compared === 0 || seasonal < last ? SEASONAL_NAIVE : LAST_VALUE;
}
