// exp, sigmoid and tanh, the same operations in the same order as ../../arithmetic.ts; v… on four lanes, s… on one.

// @ts-ignore: decorator
@inline
function vexp(x: v128): v128 {
  x = f32x4.max(f32x4.splat(-87), f32x4.min(x, f32x4.splat(88)));
  const round = f32x4.splat(12582912);
  const n = f32x4.sub(f32x4.add(f32x4.mul(x, f32x4.splat(1.4426950408889634)), round), round);
  const r = f32x4.sub(
    f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375))),
    f32x4.mul(n, f32x4.splat(-2.1219444e-4)),
  );
  let y = f32x4.add(f32x4.mul(f32x4.splat(1.987569150e-4), r), f32x4.splat(1.3981999507e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(8.3334519073e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(4.1665795894e-2));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.6666665459e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(5.0000001201e-1));
  y = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(y, r), r), r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return f32x4.mul(y, power);
}

// @ts-ignore: decorator
@inline
export function vsigmoid(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, vexp(f32x4.neg(x))));
}

// @ts-ignore: decorator
@inline
export function vtanh(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.sub(f32x4.div(f32x4.splat(2), f32x4.add(one, vexp(f32x4.mul(f32x4.splat(-2), x)))), one);
}

export function sexp(value: f32): f32 {
  const x: f32 = max<f32>(-87, min<f32>(value, 88));
  const n: f32 = x * <f32>1.4426950408889634 + <f32>12582912 - <f32>12582912;
  const r: f32 = x - n * <f32>0.693359375 - n * <f32>-2.1219444e-4;
  let y: f32 = <f32>1.987569150e-4 * r + <f32>1.3981999507e-3;
  y = y * r + <f32>8.3334519073e-3;
  y = y * r + <f32>4.1665795894e-2;
  y = y * r + <f32>1.6666665459e-1;
  y = y * r + <f32>5.0000001201e-1;
  y = y * r * r + r + 1;
  return y * reinterpret<f32>((<i32>n + 127) << 23);
}

// @ts-ignore: decorator
@inline
export function ssigmoid(x: f32): f32 {
  return 1 / (1 + sexp(-x));
}

// @ts-ignore: decorator
@inline
export function stanh(x: f32): f32 {
  return 2 / (1 + sexp(-2 * x)) - 1;
}
