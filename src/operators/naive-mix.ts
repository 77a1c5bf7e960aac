import { LAST_VALUE, NAIVE_MIX, SEASONAL_NAIVE } from './baselines.ts';

/**
 * Mixes last value and seasonal naive where no model serves. Which of the two is better changes with the horizon step (a
 * series goes on from where it is for some buckets and returns to its season after them), and it changes after an unusual
 * day, which one of them repeats a season later. A choice of the one that was better is wrong for as long as it takes to
 * see it; a mix by the errors of both at each step is not far from the better one meanwhile, and better than both where
 * their errors differ in sign. The weight of each is the inverse of the fourth power of its discounted error (the
 * combination of Bates and Granger, 1969, with more weight on the better one). Memory and power were chosen on the first 80 % of
 * the series of bench/accuracy/ladder.mjs and the training parts of ETTh1 and Jena.
 *
 * State: buckets compared, then for each scored step the discounted absolute errors of last value and seasonal naive.
 */
export interface MixConfig {
  /** Buckets to compare before the mix is believed. */
  readonly least: number;
  /** Buckets that the errors remember, about. */
  readonly memory: number;
}

export function mixDefaults(horizon: number, season: number): MixConfig {
  const span = Math.max(horizon, season);
  return { least: span, memory: 2 * span };
}

/** A share below it, or as near to 1, is none: where one forecast is far better, it goes out as it is. */
const LEAST_SHARE = 0.02;

export function mixFloats(steps: number): number {
  return 1 + 2 * steps;
}

/**
 * Errors of one bucket.
 * @param state the mix's floats begin at `at`
 * @param errors absolute ones of last value and seasonal naive by scored step, in deviations; NaN where there is none
 */
export function watchMix(
  { memory }: MixConfig,
  state: Float32Array,
  at: number,
  errors: { readonly lastValue: Float64Array; readonly seasonalNaive: Float64Array },
): void {
  const { lastValue, seasonalNaive } = errors;
  const left = 1 - 1 / memory;
  let seen = false;
  for (let i = 0; i < lastValue.length; i++) {
    const [last, seasonal] = [lastValue[i]!, seasonalNaive[i]!];
    if (!Number.isFinite(last + seasonal)) continue;
    const place = at + 1 + 2 * i;
    state[place] = state[place]! * left + last;
    state[place + 1] = state[place + 1]! * left + seasonal;
    seen = true;
  }
  if (seen) state[at] = Math.min(memory, state[at]! + 1);
}

/** The share of the last value at each scored step, 0 to 1; undefined until enough buckets were compared. */
export function mixShares(
  { least }: MixConfig,
  state: Float32Array,
  at: number,
  steps: number,
): Float64Array | undefined {
  if (state[at]! < least) return undefined;
  return Float64Array.from({ length: steps }, (_, i) => {
    const [last, seasonal] = [state[at + 1 + 2 * i]!, state[at + 2 + 2 * i]!];
    const most = Math.max(last, seasonal);
    // Two perfect forecasts are alike.
    if (!(most > 0)) return 0.5;
    const share = fourth(seasonal / most) / (fourth(last / most) + fourth(seasonal / most));
    return share < LEAST_SHARE ? 0 : share > 1 - LEAST_SHARE ? 1 : share;
  });
}

/** The name under which a mix goes out: that of the one forecast, where it is of one alone. */
export function mixName(shares: Float64Array): string {
  if (shares.every((share) => share === 1)) return LAST_VALUE;
  return shares.every((share) => share === 0) ? SEASONAL_NAIVE : NAIVE_MIX;
}

function fourth(x: number): number {
  return x * x * (x * x);
}
