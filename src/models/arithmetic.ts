/**
 * The arithmetic of forecasts, specified down to the last bit: IEEE 754 single precision, every product and every sum
 * rounded by itself (no fused multiply-add), sums from the first index to the last, and the exponential function below
 * instead of the engine's, whose last bit is not specified. The WebAssembly kernel does exactly the same operations.
 *
 * Forecasts and artefacts carry this number. It goes up whenever any result could change in any bit.
 */
export const ARITHMETIC_VERSION = 1;

const f = Math.fround;
const MINUS_LOG2_E = f(-Math.LOG2E);
const MINUS_2_LOG2_E = f(-2 * Math.LOG2E);
/** 1.5 · 2²³ + 127: adding and subtracting it rounds to the nearest integer, ties to even. */
const ROUND = f(12583039);
const P5 = f(0.001326472731307149);
const P4 = f(0.009671512991189957);
const P3 = f(0.05550733581185341);
const P2 = f(0.24022242426872253);
const P1 = f(0.6931470036506653);

/** 2ⁿ for n = −126 … 126, at index n + 126. */
const POWERS = Float32Array.from({ length: 253 }, (_, i) => 2 ** (i - 126));

/** 2ˣ for a single-precision x, clamped to ±126; relative error below 2e-7. */
export function exp2(x: number): number {
  const clamped = Math.max(-126, Math.min(x, 126));
  const n = f(f(clamped + ROUND) - ROUND);
  const r = f(clamped - n);
  let y = f(f(P5 * r) + P4);
  y = f(f(y * r) + P3);
  y = f(f(y * r) + P2);
  y = f(f(y * r) + P1);
  y = f(f(y * r) + 1);
  return f(y * (POWERS[n + 126] as number));
}

/** 1 / (1 + e⁻ˣ), absolute error below 2e-7. */
export function sigmoid(x: number): number {
  return f(1 / f(1 + exp2(f(x * MINUS_LOG2_E))));
}

/** Absolute error below 2e-7. */
export function tanh(x: number): number {
  return f(f(2 / f(1 + exp2(f(x * MINUS_2_LOG2_E)))) - 1);
}

/** Cosine of 0 ≤ x ≤ π in double precision by its series, the same on every engine; absolute error below 1e-12. */
export function cosine(x: number): number {
  const folded = x > Math.PI / 2 ? Math.PI - x : x;
  const square = folded * folded;
  let sum = 0;
  for (let n = 18; n > 0; n -= 2) sum = (-square / (n * (n - 1))) * (1 + sum);
  return x > Math.PI / 2 ? -(1 + sum) : 1 + sum;
}
