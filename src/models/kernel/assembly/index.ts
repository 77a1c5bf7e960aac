// The WebAssembly kernel; the contract of every function stands in ../kernel.ts, the same bits in ../portable.ts.
// AssemblyScript: compiled by scripts/build-kernel.mjs to ../wasm/kernel.wasm. Pointers are bytes, strides too.
//
// No relaxed SIMD and no fused multiply-add: every lane does what a scalar float would do, in the same order.

import { LOG2E, LOG2E2, squash1, squash8, ssigmoid, stanh } from './functions';

/** Rows of the packed panel: 256 × 16 floats, 16 KiB, half of a first-level cache. */
const BLOCK: i32 = 256;
/** Below so many rows of output, packing costs more than it brings. */
const PACK_ROWS: i32 = 8;

/** Weights of so many bytes lie in a first-level cache with what goes through them: to pack them costs more than it brings. */
const NEAR: usize = 20 * 1024;

let panel: usize = 0;

/** Place of a scratch area of 4,096 floats; every thread has its own. */
export function setScratch(at: usize): void {
  panel = at;
}

/** out[i, j] += Σₖ a[i, k] · b[k, j], k ascending; a by two strides, so that it may be read as its transpose. */
export function gemm(
  rows: i32,
  inner: i32,
  cols: i32,
  a: usize,
  strideRow: usize,
  strideInner: usize,
  b: usize,
  ldB: usize,
  out: usize,
  ldOut: usize,
): void {
  const wide = cols & ~7;
  for (let from = 0; from < inner; from += BLOCK) {
    const count = min(BLOCK, inner - from);
    const aBlock = a + <usize>from * strideInner;
    const bBlock = b + <usize>from * ldB;
    let j = 0;
    for (; j + 15 < cols; j += 16) {
      let source = bBlock + <usize>(j << 2);
      let ldSource = ldB;
      if (rows >= PACK_ROWS) {
        for (let k = 0, p = source, to = panel; k < count; k++, p += ldB, to += 64) {
          v128.store(to, v128.load(p));
          v128.store(to, v128.load(p, 16), 16);
          v128.store(to, v128.load(p, 32), 32);
          v128.store(to, v128.load(p, 48), 48);
        }
        source = panel;
        ldSource = 64;
      }
      const target = out + <usize>(j << 2);
      let i = 0;
      for (; i + 1 < rows; i += 2) {
        tile2(count, aBlock + <usize>i * strideRow, strideRow, strideInner, source, ldSource, target + <usize>i * ldOut, ldOut);
      }
      if (i < rows) {
        tile1(count, aBlock + <usize>i * strideRow, strideInner, source, ldSource, target + <usize>i * ldOut);
        tile1(count, aBlock + <usize>i * strideRow, strideInner, source + 32, ldSource, target + <usize>i * ldOut + 32);
      }
    }
    for (; j < wide; j += 8) {
      let source = bBlock + <usize>(j << 2);
      let ldSource = ldB;
      if (rows >= PACK_ROWS) {
        for (let k = 0, p = source, to = panel; k < count; k++, p += ldB, to += 32) {
          v128.store(to, v128.load(p));
          v128.store(to, v128.load(p, 16), 16);
        }
        source = panel;
        ldSource = 32;
      }
      const target = out + <usize>(j << 2);
      let i = 0;
      for (; i + 3 < rows; i += 4) {
        tile4(count, aBlock + <usize>i * strideRow, strideRow, strideInner, source, ldSource, target + <usize>i * ldOut, ldOut);
      }
      for (; i < rows; i++) {
        tile1(count, aBlock + <usize>i * strideRow, strideInner, source, ldSource, target + <usize>i * ldOut);
      }
    }
    if (j + 3 < cols) {
      for (let i = 0; i < rows; i++) {
        narrow(count, aBlock + <usize>i * strideRow, strideInner, bBlock + <usize>(j << 2), ldB, out + <usize>i * ldOut + <usize>(j << 2));
      }
      j += 4;
    }
    for (; j < cols; j++) {
      for (let i = 0; i < rows; i++) {
        single(count, aBlock + <usize>i * strideRow, strideInner, bBlock + <usize>(j << 2), ldB, out + <usize>i * ldOut + <usize>(j << 2));
      }
    }
  }
}

/**
 * z[i, :] = bias + x[i, :] · kernel + h[i, :] · recurrent, in this order: the sums of an LSTM's gates in one pass, without
 * going through memory between the products. No recurrent part where `units` is 0.
 */
export function gates(
  rows: i32,
  inputs: i32,
  units: i32,
  cols: i32,
  bias: usize,
  x: usize,
  ldX: usize,
  kernel: usize,
  h: usize,
  ldH: usize,
  recurrent: usize,
  z: usize,
): void {
  const ld = <usize>cols << 2;
  const packed = rows >= PACK_ROWS && inputs + units <= BLOCK ? cols & ~15 : 0;
  for (let j = 0; j < packed; j += 16) {
    const at = <usize>(j << 2);
    let first = kernel + at;
    let second = recurrent + at;
    let ldW = ld;
    if (<usize>(inputs + units) * ld > NEAR) {
      first = panel;
      second = pack(inputs, kernel + at, ld, first);
      pack(units, recurrent + at, ld, second);
      ldW = 64;
    }
    const b = bias + at;
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let i = 0;
    let a0 = x;
    let c0 = h;
    let o0 = z + at;
    for (; i + 1 < rows; i += 2, a0 += 2 * ldX, c0 += 2 * ldH, o0 += 2 * ld) {
      let s00 = b0;
      let s01 = b1;
      let s02 = b2;
      let s03 = b3;
      let s10 = b0;
      let s11 = b1;
      let s12 = b2;
      let s13 = b3;
      let w = first;
      let count = inputs;
      let p0 = a0;
      let p1 = a0 + ldX;
      for (let part = 0; part < 2; part++) {
        for (let k = 0; k < count; k++) {
          const w0 = v128.load(w);
          const w1 = v128.load(w, 16);
          const w2 = v128.load(w, 32);
          const w3 = v128.load(w, 48);
          const v0 = v128.load32_splat(p0);
          s00 = f32x4.add(s00, f32x4.mul(v0, w0));
          s01 = f32x4.add(s01, f32x4.mul(v0, w1));
          s02 = f32x4.add(s02, f32x4.mul(v0, w2));
          s03 = f32x4.add(s03, f32x4.mul(v0, w3));
          const v1 = v128.load32_splat(p1);
          s10 = f32x4.add(s10, f32x4.mul(v1, w0));
          s11 = f32x4.add(s11, f32x4.mul(v1, w1));
          s12 = f32x4.add(s12, f32x4.mul(v1, w2));
          s13 = f32x4.add(s13, f32x4.mul(v1, w3));
          w += ldW;
          p0 += 4;
          p1 += 4;
        }
        w = second;
        count = units;
        p0 = c0;
        p1 = c0 + ldH;
      }
      const o1 = o0 + ld;
      v128.store(o0, s00);
      v128.store(o0, s01, 16);
      v128.store(o0, s02, 32);
      v128.store(o0, s03, 48);
      v128.store(o1, s10);
      v128.store(o1, s11, 16);
      v128.store(o1, s12, 32);
      v128.store(o1, s13, 48);
    }
    if (i < rows) {
      v128.store(o0, b0);
      v128.store(o0, b1, 16);
      v128.store(o0, b2, 32);
      v128.store(o0, b3, 48);
      tile1(inputs, a0, 4, first, ldW, o0);
      tile1(units, c0, 4, second, ldW, o0);
      tile1(inputs, a0, 4, first + 32, ldW, o0 + 32);
      tile1(units, c0, 4, second + 32, ldW, o0 + 32);
    }
  }
  if (packed === cols) return;
  const rest = <usize>(packed << 2);
  const left = cols - packed;
  fillRows(rows, left, bias + rest, z + rest, ld);
  gemm(rows, inputs, left, x, ldX, 4, kernel + rest, ld, z + rest, ld);
  if (units > 0) gemm(rows, units, left, h, ldH, 4, recurrent + rest, ld, z + rest, ld);
}

/** Copies sixteen columns of so many rows to `to`. @returns the place behind them */
// @ts-ignore: decorator
@inline
function pack(count: i32, from: usize, ld: usize, to: usize): usize {
  for (let k = 0; k < count; k++, from += ld, to += 64) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    v128.store(to, v128.load(from, 32), 32);
    v128.store(to, v128.load(from, 48), 48);
  }
  return to;
}

/** Two rows by sixteen columns: the fastest shape on sixteen registers. */
// @ts-ignore: decorator
@inline
function tile2(count: i32, a0: usize, strideRow: usize, strideInner: usize, b: usize, ldB: usize, o0: usize, ldOut: usize): void {
  let a1 = a0 + strideRow;
  const o1 = o0 + ldOut;
  let s00 = v128.load(o0);
  let s01 = v128.load(o0, 16);
  let s02 = v128.load(o0, 32);
  let s03 = v128.load(o0, 48);
  let s10 = v128.load(o1);
  let s11 = v128.load(o1, 16);
  let s12 = v128.load(o1, 32);
  let s13 = v128.load(o1, 48);
  for (let k = 0; k < count; k++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    b += ldB;
    const x0 = v128.load32_splat(a0);
    s00 = f32x4.add(s00, f32x4.mul(x0, b0));
    s01 = f32x4.add(s01, f32x4.mul(x0, b1));
    s02 = f32x4.add(s02, f32x4.mul(x0, b2));
    s03 = f32x4.add(s03, f32x4.mul(x0, b3));
    const x1 = v128.load32_splat(a1);
    s10 = f32x4.add(s10, f32x4.mul(x1, b0));
    s11 = f32x4.add(s11, f32x4.mul(x1, b1));
    s12 = f32x4.add(s12, f32x4.mul(x1, b2));
    s13 = f32x4.add(s13, f32x4.mul(x1, b3));
    a0 += strideInner;
    a1 += strideInner;
  }
  v128.store(o0, s00);
  v128.store(o0, s01, 16);
  v128.store(o0, s02, 32);
  v128.store(o0, s03, 48);
  v128.store(o1, s10);
  v128.store(o1, s11, 16);
  v128.store(o1, s12, 32);
  v128.store(o1, s13, 48);
}

// @ts-ignore: decorator
@inline
function tile4(count: i32, a0: usize, strideRow: usize, strideInner: usize, b: usize, ldB: usize, o0: usize, ldOut: usize): void {
  let a1 = a0 + strideRow;
  let a2 = a1 + strideRow;
  let a3 = a2 + strideRow;
  const o1 = o0 + ldOut;
  const o2 = o1 + ldOut;
  const o3 = o2 + ldOut;
  let s00 = v128.load(o0);
  let s01 = v128.load(o0, 16);
  let s10 = v128.load(o1);
  let s11 = v128.load(o1, 16);
  let s20 = v128.load(o2);
  let s21 = v128.load(o2, 16);
  let s30 = v128.load(o3);
  let s31 = v128.load(o3, 16);
  for (let k = 0; k < count; k++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    b += ldB;
    let x = v128.load32_splat(a0);
    s00 = f32x4.add(s00, f32x4.mul(x, b0));
    s01 = f32x4.add(s01, f32x4.mul(x, b1));
    x = v128.load32_splat(a1);
    s10 = f32x4.add(s10, f32x4.mul(x, b0));
    s11 = f32x4.add(s11, f32x4.mul(x, b1));
    x = v128.load32_splat(a2);
    s20 = f32x4.add(s20, f32x4.mul(x, b0));
    s21 = f32x4.add(s21, f32x4.mul(x, b1));
    x = v128.load32_splat(a3);
    s30 = f32x4.add(s30, f32x4.mul(x, b0));
    s31 = f32x4.add(s31, f32x4.mul(x, b1));
    a0 += strideInner;
    a1 += strideInner;
    a2 += strideInner;
    a3 += strideInner;
  }
  v128.store(o0, s00);
  v128.store(o0, s01, 16);
  v128.store(o1, s10);
  v128.store(o1, s11, 16);
  v128.store(o2, s20);
  v128.store(o2, s21, 16);
  v128.store(o3, s30);
  v128.store(o3, s31, 16);
}

// @ts-ignore: decorator
@inline
function tile1(count: i32, a: usize, strideInner: usize, b: usize, ldB: usize, o: usize): void {
  let s0 = v128.load(o);
  let s1 = v128.load(o, 16);
  for (let k = 0; k < count; k++) {
    const x = v128.load32_splat(a);
    s0 = f32x4.add(s0, f32x4.mul(x, v128.load(b)));
    s1 = f32x4.add(s1, f32x4.mul(x, v128.load(b, 16)));
    a += strideInner;
    b += ldB;
  }
  v128.store(o, s0);
  v128.store(o, s1, 16);
}

// @ts-ignore: decorator
@inline
function narrow(count: i32, a: usize, strideInner: usize, b: usize, ldB: usize, o: usize): void {
  let s = v128.load(o);
  for (let k = 0; k < count; k++) {
    s = f32x4.add(s, f32x4.mul(v128.load32_splat(a), v128.load(b)));
    a += strideInner;
    b += ldB;
  }
  v128.store(o, s);
}

// @ts-ignore: decorator
@inline
function single(count: i32, a: usize, strideInner: usize, b: usize, ldB: usize, o: usize): void {
  let s = load<f32>(o);
  for (let k = 0; k < count; k++) {
    s += load<f32>(a) * load<f32>(b);
    a += strideInner;
    b += ldB;
  }
  store<f32>(o, s);
}

export function fillRows(rows: i32, cols: i32, row: usize, out: usize, ldOut: usize): void {
  for (let r = 0; r < rows; r++, out += ldOut) memory.copy(out, row, <usize>cols << 2);
}

export function sumRows(rows: i32, cols: i32, z: usize, ldZ: usize, out: usize): void {
  let j = 0;
  for (; j + 3 < cols; j += 4) {
    let s = v128.load(out);
    for (let r = 0, p = z; r < rows; r++, p += ldZ) s = f32x4.add(s, v128.load(p));
    v128.store(out, s);
    z += 16;
    out += 16;
  }
  for (; j < cols; j++) {
    let s = load<f32>(out);
    for (let r = 0, p = z; r < rows; r++, p += ldZ) s += load<f32>(p);
    store<f32>(out, s);
    z += 4;
    out += 4;
  }
}

export function transpose(rows: i32, cols: i32, a: usize, out: usize): void {
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < cols; j++) {
      store<f32>(out + (<usize>(j * rows + r) << 2), load<f32>(a + (<usize>(r * cols + j) << 2)));
    }
  }
}

export function add(count: i32, x: usize, out: usize): void {
  let i = 0;
  for (; i + 3 < count; i += 4, x += 16, out += 16) v128.store(out, f32x4.add(v128.load(out), v128.load(x)));
  for (; i < count; i++, x += 4, out += 4) store<f32>(out, load<f32>(out) + load<f32>(x));
}

export function relu(count: i32, x: usize): void {
  const zero = f32x4.splat(0);
  let i = 0;
  for (; i + 3 < count; i += 4, x += 16) {
    const v = v128.load(x);
    v128.store(x, v128.and(v, f32x4.gt(v, zero)));
  }
  for (; i < count; i++, x += 4) if (!(load<f32>(x) > 0)) store<f32>(x, 0);
}

export function reluGradient(count: i32, activated: usize, gradient: usize): void {
  const zero = f32x4.splat(0);
  let i = 0;
  for (; i + 3 < count; i += 4, activated += 16, gradient += 16) {
    v128.store(gradient, v128.and(v128.load(gradient), f32x4.gt(v128.load(activated), zero)));
  }
  for (; i < count; i++, activated += 4, gradient += 4) if (!(load<f32>(activated) > 0)) store<f32>(gradient, 0);
}

/** {@link squash1} of `count` numbers, a multiple of four. */
// @ts-ignore: decorator
@inline
function squash(count: i32, p: usize, scale: f32, double: bool): void {
  const s = f32x4.splat(scale);
  const end = p + (<usize>count << 2);
  for (const whole = p + (<usize>(count & ~31) << 2); p < whole; p += 128) squash8(p, s, double);
  for (; p < end; p += 16) v128.store(p, squash1(v128.load(p), s, double));
}

export function cell(rows: i32, units: i32, z: usize, cBefore: usize, c: usize, tanhC: usize, h: usize): void {
  const gate = <usize>units << 2;
  const four = units & ~3;
  for (let r = 0; r < rows; r++) {
    if (four === units) squash(2 * units, z, LOG2E, false);
    else {
      squash(four, z, LOG2E, false);
      squash(four, z + gate, LOG2E, false);
    }
    squash(four, z + 2 * gate, LOG2E2, true);
    squash(four, z + 3 * gate, LOG2E, false);
    let u = 0;
    for (; u < four; u += 4, z += 16, cBefore += 16, c += 16, tanhC += 16) {
      const kept = f32x4.mul(v128.load(z + gate), v128.load(cBefore));
      const state = f32x4.add(kept, f32x4.mul(v128.load(z), v128.load(z + 2 * gate)));
      v128.store(c, state);
      v128.store(tanhC, state);
    }
    const back = <usize>four << 2;
    z -= back;
    tanhC -= back;
    squash(four, tanhC, LOG2E2, true);
    for (u = 0; u < four; u += 4, z += 16, tanhC += 16, h += 16) {
      v128.store(h, f32x4.mul(v128.load(z + 3 * gate), v128.load(tanhC)));
    }
    for (; u < units; u++, z += 4, cBefore += 4, c += 4, tanhC += 4, h += 4) {
      const input = ssigmoid(load<f32>(z));
      const forget = ssigmoid(load<f32>(z + gate));
      const candidate = stanh(load<f32>(z + 2 * gate));
      const output = ssigmoid(load<f32>(z + 3 * gate));
      const state = forget * load<f32>(cBefore) + input * candidate;
      const squashed = stanh(state);
      store<f32>(z, input);
      store<f32>(z + gate, forget);
      store<f32>(z + 2 * gate, candidate);
      store<f32>(z + 3 * gate, output);
      store<f32>(c, state);
      store<f32>(tanhC, squashed);
      store<f32>(h, output * squashed);
    }
    z += 3 * gate;
  }
}

export function cellGradient(rows: i32, units: i32, gates: usize, cBefore: usize, tanhC: usize, dh: usize, dc: usize): void {
  const gate = <usize>units << 2;
  const one = f32x4.splat(1);
  for (let r = 0; r < rows; r++) {
    let u = 0;
    for (; u + 3 < units; u += 4, gates += 16, cBefore += 16, tanhC += 16, dh += 16, dc += 16) {
      const input = v128.load(gates);
      const forget = v128.load(gates + gate);
      const candidate = v128.load(gates + 2 * gate);
      const output = v128.load(gates + 3 * gate);
      const squashed = v128.load(tanhC);
      const dHidden = v128.load(dh);
      const dState = f32x4.add(
        v128.load(dc),
        f32x4.mul(f32x4.mul(dHidden, output), f32x4.sub(one, f32x4.mul(squashed, squashed))),
      );
      v128.store(gates, f32x4.mul(f32x4.mul(dState, candidate), f32x4.mul(input, f32x4.sub(one, input))));
      v128.store(gates + gate, f32x4.mul(f32x4.mul(dState, v128.load(cBefore)), f32x4.mul(forget, f32x4.sub(one, forget))));
      v128.store(gates + 2 * gate, f32x4.mul(f32x4.mul(dState, input), f32x4.sub(one, f32x4.mul(candidate, candidate))));
      v128.store(gates + 3 * gate, f32x4.mul(f32x4.mul(dHidden, squashed), f32x4.mul(output, f32x4.sub(one, output))));
      v128.store(dc, f32x4.mul(dState, forget));
    }
    for (; u < units; u++, gates += 4, cBefore += 4, tanhC += 4, dh += 4, dc += 4) {
      const input = load<f32>(gates);
      const forget = load<f32>(gates + gate);
      const candidate = load<f32>(gates + 2 * gate);
      const output = load<f32>(gates + 3 * gate);
      const squashed = load<f32>(tanhC);
      const dHidden = load<f32>(dh);
      const dState = load<f32>(dc) + dHidden * output * (1 - squashed * squashed);
      store<f32>(gates, dState * candidate * (input * (1 - input)));
      store<f32>(gates + gate, dState * load<f32>(cBefore) * (forget * (1 - forget)));
      store<f32>(gates + 2 * gate, dState * input * (1 - candidate * candidate));
      store<f32>(gates + 3 * gate, dHidden * squashed * (output * (1 - output)));
      store<f32>(dc, dState * forget);
    }
    gates += 3 * gate;
  }
}

export function adam(
  count: i32,
  weights: usize,
  gradients: usize,
  first: usize,
  second: usize,
  scale: f32,
  rate: f32,
  correction: f32,
): void {
  let i = 0;
  const vscale = f32x4.splat(scale);
  const vrate = f32x4.splat(rate);
  const vcorrection = f32x4.splat(correction);
  for (; i + 3 < count; i += 4) {
    const g = f32x4.mul(v128.load(gradients), vscale);
    const m = f32x4.add(f32x4.mul(f32x4.splat(0.9), v128.load(first)), f32x4.mul(f32x4.splat(0.1), g));
    const v = f32x4.add(
      f32x4.mul(f32x4.splat(0.999), v128.load(second)),
      f32x4.mul(f32x4.splat(0.001), f32x4.mul(g, g)),
    );
    v128.store(first, m);
    v128.store(second, v);
    const down = f32x4.add(f32x4.sqrt(f32x4.mul(v, vcorrection)), f32x4.splat(1e-8));
    v128.store(weights, f32x4.sub(v128.load(weights), f32x4.div(f32x4.mul(vrate, m), down)));
    weights += 16;
    gradients += 16;
    first += 16;
    second += 16;
  }
  for (; i < count; i++) {
    const g = load<f32>(gradients) * scale;
    const m = <f32>0.9 * load<f32>(first) + <f32>0.1 * g;
    const v = <f32>0.999 * load<f32>(second) + <f32>0.001 * (g * g);
    store<f32>(first, m);
    store<f32>(second, v);
    store<f32>(weights, load<f32>(weights) - (rate * m) / (sqrt<f32>(v * correction) + <f32>1e-8));
    weights += 4;
    gradients += 4;
    first += 4;
    second += 4;
  }
}
