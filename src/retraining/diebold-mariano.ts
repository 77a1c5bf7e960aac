/** The outcome of a paired test on a series of loss differences. */
export interface PairedTest {
  /** Mean difference: positive where the second forecast is better. */
  readonly mean: number;
  readonly statistic: number;
  /** Probability of a difference as large or larger if both were equally good: small speaks for the second. */
  readonly p: number;
  readonly count: number;
}

/**
 * Diebold–Mariano test of equal accuracy with the small-sample correction of Harvey, Leybourne and Newbold (1997).
 * Forecasts that reach `horizon` steps ahead have errors that are correlated up to `horizon − 1` steps; the variance of
 * the mean allows for it (Bartlett weights, so that it cannot be negative).
 * @param differences loss of the first less loss of the second, in order of time
 */
export function dieboldMariano(differences: ArrayLike<number>, horizon: number): PairedTest {
  const n = differences.length;
  let mean = 0;
  for (let t = 0; t < n; t++) mean += differences[t]! / n;
  if (n < 2) return { mean, statistic: 0, p: 0.5, count: n };
  const lags = Math.min(horizon - 1, n - 2);
  let variance = 0;
  for (let lag = 0; lag <= lags; lag++) {
    let sum = 0;
    for (let t = lag; t < n; t++) sum += (differences[t]! - mean) * (differences[t - lag]! - mean);
    variance += ((lag === 0 ? 1 : 2 * (1 - lag / (lags + 1))) * sum) / n;
  }
  if (!(variance > 0)) return { mean, statistic: 0, p: mean > 0 ? 0 : mean < 0 ? 1 : 0.5, count: n };
  const h = lags + 1;
  const correction = Math.sqrt(Math.max(0, (n + 1 - 2 * h + (h * (h - 1)) / n) / n));
  const statistic = (correction * mean) / Math.sqrt(variance / n);
  return { mean, statistic, p: 1 - studentCdf(statistic, n - 1), count: n };
}

/** Distribution function of Student's t. */
export function studentCdf(t: number, freedom: number): number {
  const tail = incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5) / 2;
  return t > 0 ? 1 - tail : tail;
}

/** Regularised incomplete beta function by its continued fraction (Lentz). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a;
  const tiny = 1e-300;
  let c = 1;
  let d = 1 / nonZero(1 - ((a + b) * x) / (a + 1), tiny);
  let fraction = d;
  for (let m = 1; m < 300; m++) {
    for (const term of [
      (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
      (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)),
    ]) {
      d = 1 / nonZero(1 + term * d, tiny);
      c = nonZero(1 + term / c, tiny);
      fraction *= c * d;
    }
    if (Math.abs(c * d - 1) < 1e-14) break;
  }
  return front * fraction;
}

function nonZero(value: number, tiny: number): number {
  return Math.abs(value) < tiny ? tiny : value;
}

/** Lanczos approximation, x > 0. */
function logGamma(x: number): number {
  const terms = [76.18009172947146, -86.50532032941678, 24.01409824083091, -1.231739572450155, 1.208650973866179e-3];
  let sum = 1.000000000190015 - 5.395239384953e-6 / (x + 6);
  terms.forEach((term, i) => {
    sum += term / (x + 1 + i);
  });
  const shifted = x + 5.5;
  return (x + 0.5) * Math.log(shifted) - shifted + Math.log((2.506628274631 * sum) / x);
}
