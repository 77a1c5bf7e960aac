/**
 * The arithmetic kernel: dense single-precision primitives on one flat heap. There are two implementations with the
 * same bits: WebAssembly SIMD, and plain typed arrays for comparison.
 *
 * All places are indices into `heap` (floats, not bytes), matrices are row-major, `ld…` is the distance of two rows.
 * Every element of a result is computed by itself, in the order of the inner index, so results do not depend on how rows
 * are batched.
 */
export interface Kernel {
  readonly heap: Float32Array;
  /** `out[r, :] = row` for every r. */
  fillRows(rows: number, cols: number, row: number, out: number, ldOut: number): void;
  /** `out[r, j] += Σₖ x[r, k] · w[k, j]`, k ascending; `w` dense `[inner, cols]`. */
  multiply(
    rows: number,
    inner: number,
    cols: number,
    x: number,
    ldX: number,
    w: number,
    out: number,
    ldOut: number,
  ): void;
  /**
   * The sums of an LSTM's gates: `z[r, :] = bias + x[r, :] · kernel + h[r, :] · recurrent`, in this order, `kernel`
   * `[inputs, cols]`, `recurrent` `[units, cols]` and `z` dense. Without a state before, `units` is 0.
   */
  gates(
    rows: number,
    inputs: number,
    units: number,
    cols: number,
    bias: number,
    x: number,
    ldX: number,
    kernel: number,
    h: number,
    ldH: number,
    recurrent: number,
    z: number,
  ): void;
  /** `out[k, j] += Σᵣ x[r, k] · z[r, j]`, r ascending; `out` dense `[inner, cols]`: the gradient of `w` above. */
  multiplyTransposed(
    rows: number,
    inner: number,
    cols: number,
    x: number,
    ldX: number,
    z: number,
    ldZ: number,
    out: number,
  ): void;
  /** `out[j] += Σᵣ z[r, j]`, r ascending. */
  sumRows(rows: number, cols: number, z: number, ldZ: number, out: number): void;
  /** `out[j, r] = a[r, j]`, both dense. */
  transpose(rows: number, cols: number, a: number, out: number): void;
  /** `out[i] += x[i]` */
  add(count: number, x: number, out: number): void;
  /** `x[i] = max(x[i], 0)` */
  relu(count: number, x: number): void;
  /** `gradient[i] = 0` where the activation is not positive. */
  reluGradient(count: number, activated: number, gradient: number): void;
  /**
   * LSTM cell. `z [rows, 4·units]` holds the sums of the gates i, f, g, o and is overwritten with their activations;
   * `c = f·cBefore + i·g`, `tanhC = tanh(c)`, `h = o·tanhC`, each `[rows, units]`. `c` may be `cBefore`.
   */
  cell(rows: number, units: number, z: number, cBefore: number, c: number, tanhC: number, h: number): void;
  /**
   * Gradient of {@link cell}. `gates` holds activations and is overwritten with the gradient of the sums; `dh` is the
   * gradient of h; `dc` goes in as the gradient of c from the step after and comes out as the gradient of `cBefore`.
   */
  cellGradient(
    rows: number,
    units: number,
    gates: number,
    cBefore: number,
    tanhC: number,
    dh: number,
    dc: number,
  ): void;
  /**
   * One step of Adam: gradients are multiplied by `scale` first; `rate` is the learning rate with the bias correction
   * of the first moment, `correction` the reciprocal bias correction of the second.
   */
  adam(
    count: number,
    weights: number,
    gradients: number,
    first: number,
    second: number,
    scale: number,
    rate: number,
    correction: number,
  ): void;
}

/** Hands out places on a kernel's heap, each a multiple of four floats. */
export class Arena {
  #used: number;

  constructor(start = 0) {
    this.#used = start;
  }

  /** Floats given out so far: the heap that is needed. */
  get used(): number {
    return this.#used;
  }

  take(count: number): number {
    const place = this.#used;
    this.#used += (count + 3) & ~3;
    return place;
  }
}
