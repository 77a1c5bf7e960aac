// 2ˣ, sigmoid and tanh, the same operations in the same order as ../../arithmetic.ts; v… on four lanes, s… on one.

/** 1.5 · 2²³ + 127: adding it leaves n + 127 in the low bits, which moved up by 23 are the exponent of 2ⁿ. */
export const ROUND: f32 = 12583039;
const P5: f32 = 0.001326472731307149;
const P4: f32 = 0.009671512991189957;
const P3: f32 = 0.05550733581185341;
const P2: f32 = 0.24022242426872253;
const P1: f32 = 0.6931470036506653;
export const LOG2E: f32 = -1.4426950408889634;
export const LOG2E2: f32 = -2.8853900817779268;

/** x · s in the range of {@link ROUND}. */
// @ts-ignore: decorator
@inline
function scaled(x: v128, s: v128): v128 {
  return f32x4.pmax(f32x4.pmin(f32x4.mul(x, s), f32x4.splat(126)), f32x4.splat(-126));
}

/** 1 + 2ˣ. */
// @ts-ignore: decorator
@inline
function onePlus(x: v128): v128 {
  const n = f32x4.add(x, f32x4.splat(ROUND));
  const r = f32x4.sub(x, f32x4.sub(n, f32x4.splat(ROUND)));
  let y = f32x4.add(f32x4.mul(f32x4.splat(P5), r), f32x4.splat(P4));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(P3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(P2));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(P1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1));
  return f32x4.add(f32x4.splat(1), f32x4.mul(y, i32x4.shl(n, 23)));
}

/** 1 / (1 + 2ˢˣ), or with `double` 2 / (1 + 2ˢˣ) − 1, of four numbers. */
// @ts-ignore: decorator
@inline
export function squash1(x: v128, s: v128, double: bool): v128 {
  return fraction(onePlus(scaled(x, s)), double);
}

// @ts-ignore: decorator
@inline
function fraction(y: v128, double: bool): v128 {
  return double ? f32x4.sub(f32x4.div(f32x4.splat(2), y), f32x4.splat(1)) : f32x4.div(f32x4.splat(1), y);
}

/**
 * The same of the 32 numbers at `p`: eight independent chains of operations side by side, because a processor does not look
 * far enough ahead to overlap them where they stand one after the other.
 */
// @ts-ignore: decorator
@inline
export function squash8(p: usize, s: v128, double: bool): void {
  const y0 = onePlus(scaled(v128.load(p), s));
  const y1 = onePlus(scaled(v128.load(p, 16), s));
  const y2 = onePlus(scaled(v128.load(p, 32), s));
  const y3 = onePlus(scaled(v128.load(p, 48), s));
  const y4 = onePlus(scaled(v128.load(p, 64), s));
  const y5 = onePlus(scaled(v128.load(p, 80), s));
  const y6 = onePlus(scaled(v128.load(p, 96), s));
  const y7 = onePlus(scaled(v128.load(p, 112), s));
  v128.store(p, fraction(y0, double));
  v128.store(p, fraction(y1, double), 16);
  v128.store(p, fraction(y2, double), 32);
  v128.store(p, fraction(y3, double), 48);
  v128.store(p, fraction(y4, double), 64);
  v128.store(p, fraction(y5, double), 80);
  v128.store(p, fraction(y6, double), 96);
  v128.store(p, fraction(y7, double), 112);
}

function sexp2(value: f32): f32 {
  const x: f32 = max<f32>(-126, min<f32>(value, 126));
  const shifted: f32 = x + ROUND;
  const r: f32 = x - (shifted - ROUND);
  let y: f32 = P5 * r + P4;
  y = y * r + P3;
  y = y * r + P2;
  y = y * r + P1;
  y = y * r + 1;
  return y * reinterpret<f32>(reinterpret<i32>(shifted) << 23);
}

// @ts-ignore: decorator
@inline
export function ssigmoid(x: f32): f32 {
  return 1 / (1 + sexp2(x * LOG2E));
}

// @ts-ignore: decorator
@inline
export function stanh(x: f32): f32 {
  return 2 / (1 + sexp2(x * LOG2E2)) - 1;
}
