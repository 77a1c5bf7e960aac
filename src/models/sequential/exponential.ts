const f = Math.fround;
const LOG2_E = f(Math.LOG2E);
const LN2_HIGH = f(0.693359375);
const LN2_LOW = f(-2.1219444e-4);
/** 1.5 · 2²³: adding and subtracting it rounds to the nearest integer, ties to even. */
const ROUND = f(12582912);
const P0 = f(1.98756915e-4);
const P1 = f(1.3981999507e-3);
const P2 = f(8.3334519073e-3);
const P3 = f(4.1665795894e-2);
const P4 = f(1.6666665459e-1);
const P5 = f(5.0000001201e-1);

/** 2ⁿ for n = −126 … 127, at index n + 126. */
const POWERS = Float32Array.from({ length: 254 }, (_, i) => 2 ** (i - 126));

/**
 * eˣ for a single-precision x, clamped to −87 … 88; relative error below 2e-7 (polynomial of the Cephes library). For
 * softmax and the like, in the arithmetic that arithmetic.ts describes; its exp2 would lose digits far from zero.
 */
export function exp(x: number): number {
  const clamped = Math.max(-87, Math.min(x, 88));
  const n = f(f(f(clamped * LOG2_E) + ROUND) - ROUND);
  const r = f(f(clamped - f(n * LN2_HIGH)) - f(n * LN2_LOW));
  let y = f(f(P0 * r) + P1);
  y = f(f(y * r) + P2);
  y = f(f(y * r) + P3);
  y = f(f(y * r) + P4);
  y = f(f(y * r) + P5);
  y = f(f(f(f(y * r) * r) + r) + 1);
  return f(y * (POWERS[n + 126] as number));
}
