// 2ˣ, sigmoid and tanh, the same operations in the same order as ../../arithmetic.ts; v… on four lanes, s… on one.

// @ts-ignore: decorator
@inline
function vexp2(x: v128): v128 {
  const round = f32x4.splat(12583039);
  x = f32x4.pmax(f32x4.pmin(x, f32x4.splat(126)), f32x4.splat(-126));
  const shifted = f32x4.add(x, round);
  const r = f32x4.sub(x, f32x4.sub(shifted, round));
  let y = f32x4.add(f32x4.mul(f32x4.splat(0.001326472731307149), r), f32x4.splat(0.009671512991189957));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(0.05550733581185341));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(0.24022242426872253));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(0.6931470036506653));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1));
  // The low bits of the shifted number are n + 127: moved up they are the exponent of 2ⁿ.
  return f32x4.mul(y, i32x4.shl(shifted, 23));
}

// @ts-ignore: decorator
@inline
export function vsigmoid(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, vexp2(f32x4.mul(x, f32x4.splat(-1.4426950408889634)))));
}

// @ts-ignore: decorator
@inline
export function vtanh(x: v128): v128 {
  const one = f32x4.splat(1);
  const e = vexp2(f32x4.mul(x, f32x4.splat(-2.8853900817779268)));
  return f32x4.sub(f32x4.div(f32x4.splat(2), f32x4.add(one, e)), one);
}

function sexp2(value: f32): f32 {
  const x: f32 = max<f32>(-126, min<f32>(value, 126));
  const shifted: f32 = x + <f32>12583039;
  const r: f32 = x - (shifted - <f32>12583039);
  let y: f32 = <f32>0.001326472731307149 * r + <f32>0.009671512991189957;
  y = y * r + <f32>0.05550733581185341;
  y = y * r + <f32>0.24022242426872253;
  y = y * r + <f32>0.6931470036506653;
  y = y * r + 1;
  return y * reinterpret<f32>(reinterpret<i32>(shifted) << 23);
}

// @ts-ignore: decorator
@inline
export function ssigmoid(x: f32): f32 {
  return 1 / (1 + sexp2(x * <f32>-1.4426950408889634));
}

// @ts-ignore: decorator
@inline
export function stanh(x: f32): f32 {
  return 2 / (1 + sexp2(x * <f32>-2.8853900817779268)) - 1;
}
