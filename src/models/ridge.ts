import { FleetcastError } from '../errors.ts';
import { Arena } from './kernel/kernel.ts';
import { createKernel } from './kernel/load.ts';
import { loadWindows, storeForecasts } from './kernel/windows.ts';
import type { Model, Tensor, WindowShape } from './model.ts';
import { checkTensors, layoutOf, packTensors } from './parameters.ts';
import { Random } from './random.ts';
import type { Trainer, TrainHooks, TrainingSet, TrainResult, TrainSettings, WindowIndex } from './trainer.ts';
import { drawWindows, windowBuffer } from './training/windows.ts';

/**
 * Ridge regression in closed form, `(ZᵀZ + λI)⁻¹ ZᵀY` over windows with the last value subtracted, one for all series.
 * The model between the naive forecasts and the first LSTM: fitted in well under a second.
 */

const LAMBDAS = [1e-3, 1e-2, 3e-2, 1e-1, 1];
/** Multiply-adds that a fit may cost: more windows than that are thinned out at random. */
const BUDGET = 400e6;
const ROWS = 64;

/** @throws TRAINING_TOO_LITTLE_DATA, TRAINING_CANCELLED */
export const ridgeTrainer: Trainer = {
  name: 'ridge',
  async train(set: TrainingSet, settings: TrainSettings, hooks: TrainHooks = {}): Promise<TrainResult> {
    const { lookback, horizon } = set.shape;
    const perWindow = lookback * (lookback / 2 + horizon);
    const most = Math.max(8 * lookback, Math.floor(BUDGET / perWindow));
    const train = gram(set, choose(set.train, most, settings.seed));
    if (train.windows < 2) {
      throw new FleetcastError('TRAINING_TOO_LITTLE_DATA', `${train.windows} complete windows, ridge needs 2`);
    }
    if (hooks.signal?.aborted) throw new FleetcastError('TRAINING_CANCELLED', 'ridge regression was cancelled');
    // Without validation windows the largest λ is the careful choice.
    const judge =
      set.validation.starts.length > 0 ? gram(set, choose(set.validation, most / 2, settings.seed)) : undefined;
    let best: { loss: number; solution: Float64Array; lambda: number } = {
      loss: Number.POSITIVE_INFINITY,
      solution: new Float64Array(0),
      lambda: 0,
    };
    for (const lambda of judge?.windows ? LAMBDAS : LAMBDAS.slice(-1)) {
      const solution = solve(train, lookback, horizon, lambda * train.windows);
      const loss = meanSquare(judge?.windows ? judge : train, solution, lookback, horizon);
      if (loss < best.loss) best = { loss, solution, lambda };
    }
    if (!Number.isFinite(best.loss)) {
      throw new FleetcastError('TRAINING_DIVERGED', 'ridge regression found no finite solution');
    }
    const loss = meanSquare(train, best.solution, lookback, horizon);
    hooks.onProgress?.({ epoch: 1, epochs: 1, step: 1, steps: 1, loss, validationLoss: best.loss, remainingMs: 0 });
    return {
      weights: [{ name: 'ridge/kernel', shape: [lookback, horizon], data: Float32Array.from(best.solution) }],
      loss,
      validationLoss: best.loss,
      steps: 1,
      trainer: `ridge closed form, lambda ${best.lambda}`,
    };
  },
};

/** @throws MODEL_INVALID when the weights do not fit the shape */
export function ridgeModel(id: string, shape: WindowShape, weights: readonly Tensor[]): Model {
  const { lookback, horizon } = shape;
  const layout = layoutOf([['ridge/kernel', lookback, horizon]]);
  checkTensors(layout, weights);
  const arena = new Arena();
  const at = arena.take(layout.size);
  const input = arena.take(ROWS * lookback);
  const output = arena.take(ROWS * horizon);
  const kernel = createKernel(arena.used);
  packTensors(layout, weights, kernel.heap.subarray(at, at + layout.size));
  return {
    id,
    family: 'ridge',
    shape,
    forecast(batch, out) {
      for (let from = 0; from < batch.count; from += ROWS) {
        const rows = Math.min(ROWS, batch.count - from);
        loadWindows(kernel.heap, input, batch, from, rows, lookback);
        kernel.heap.fill(0, output, output + rows * horizon);
        kernel.multiply(rows, lookback, horizon, input, lookback, at, output, horizon);
        storeForecasts(kernel.heap, output, horizon, shape, batch, from, rows, out);
      }
    },
  };
}

/** What a least-squares problem comes down to, in double precision. */
interface Gram {
  /** ZᵀZ, `[lookback, lookback]`, lower triangle. */
  readonly zz: Float64Array;
  /** ZᵀY, `[lookback, horizon]`. */
  readonly zy: Float64Array;
  /** ΣY². */
  readonly yy: number;
  readonly windows: number;
}

/** A random choice of at most `most` windows, in their order. */
function choose(index: WindowIndex, most: number, seed: number): WindowIndex & { readonly order: Int32Array } {
  const order = Int32Array.from(index.starts.keys());
  if (order.length <= most) return { ...index, order };
  new Random(seed, 2).shuffle(order, most);
  return { ...index, order: order.slice(0, most).sort() };
}

function gram(set: TrainingSet, index: WindowIndex & { readonly order: Int32Array }): Gram {
  const { lookback: L, horizon: H } = set.shape;
  const zz = new Float64Array(L * L);
  const zy = new Float64Array(L * H);
  const drawn = windowBuffer(set, 1);
  // Four windows go in at a time, each sum still window after window: the same bits as one at a time, in half the time.
  const z = Array.from({ length: TOGETHER }, () => new Float64Array(L));
  const y = Array.from({ length: TOGETHER }, () => new Float64Array(H));
  let yy = 0;
  let windows = 0;
  for (let n = 0; n < index.order.length; n++) {
    drawWindows(set, index, n, n + 1, drawn, index.order);
    // A window with a filled label would teach the filling rule: it is left out.
    if (drawn.weights.includes(0)) continue;
    const slot = windows % TOGETHER;
    windows++;
    const last = drawn.values[L - 1]!;
    for (let i = 0; i < L; i++) z[slot]![i] = drawn.values[i]! - last;
    for (let i = 0; i < H; i++) {
      const label = drawn.labels[i]! - last;
      y[slot]![i] = label;
      yy += label * label;
    }
    if (slot === TOGETHER - 1) addProducts(z, y, zz, zy);
  }
  // Windows that are all zero leave every sum as it is.
  const rest = windows % TOGETHER;
  if (rest > 0) {
    for (let slot = rest; slot < TOGETHER; slot++) {
      z[slot]!.fill(0);
      y[slot]!.fill(0);
    }
    addProducts(z, y, zz, zy);
  }
  return { zz, zy, yy, windows };
}

/** Windows that go into the sums at a time. */
const TOGETHER = 4;

function addProducts(z: readonly Float64Array[], y: readonly Float64Array[], zz: Float64Array, zy: Float64Array): void {
  const [z0, z1, z2, z3] = z as [Float64Array, Float64Array, Float64Array, Float64Array];
  const [y0, y1, y2, y3] = y as [Float64Array, Float64Array, Float64Array, Float64Array];
  const [L, H] = [z0.length, y0.length];
  for (let i = 0; i < L; i++) {
    const [a, b, c, d] = [z0[i]!, z1[i]!, z2[i]!, z3[i]!];
    for (let j = 0, at = i * L; j <= i; j++, at++) {
      zz[at] = zz[at]! + a * z0[j]! + b * z1[j]! + c * z2[j]! + d * z3[j]!;
    }
    for (let j = 0, at = i * H; j < H; j++, at++) {
      zy[at] = zy[at]! + a * y0[j]! + b * y1[j]! + c * y2[j]! + d * y3[j]!;
    }
  }
}

/** Cholesky: the solution of (ZᵀZ + ridge·I) A = ZᵀY, `[lookback, horizon]`. */
function solve({ zz, zy }: Gram, L: number, H: number, ridge: number): Float64Array {
  const c = zz.slice();
  for (let i = 0; i < L; i++) c[i * L + i] = c[i * L + i]! + ridge;
  for (let j = 0; j < L; j++) {
    for (let i = j; i < L; i++) {
      let sum = c[i * L + j]!;
      for (let k = 0; k < j; k++) sum -= c[i * L + k]! * c[j * L + k]!;
      c[i * L + j] = i === j ? Math.sqrt(sum) : sum / c[j * L + j]!;
    }
  }
  const a = zy.slice();
  for (let i = 0; i < L; i++) {
    for (let k = 0; k < i; k++) subtractRow(a, H, i, k, c[i * L + k]!);
    divideRow(a, H, i, c[i * L + i]!);
  }
  for (let i = L - 1; i >= 0; i--) {
    for (let k = i + 1; k < L; k++) subtractRow(a, H, i, k, c[k * L + i]!);
    divideRow(a, H, i, c[i * L + i]!);
  }
  return a;
}

function subtractRow(a: Float64Array, H: number, row: number, other: number, factor: number): void {
  for (let j = 0; j < H; j++) a[row * H + j] = a[row * H + j]! - factor * a[other * H + j]!;
}

function divideRow(a: Float64Array, H: number, row: number, by: number): void {
  for (let j = 0; j < H; j++) a[row * H + j] = a[row * H + j]! / by;
}

/** Mean of (ZA − Y)² from the sums alone: tr(AᵀZᵀZA) − 2 tr(AᵀZᵀY) + ΣY². */
function meanSquare({ zz, zy, yy, windows }: Gram, a: Float64Array, L: number, H: number): number {
  let total = yy;
  const row = new Float64Array(H);
  for (let i = 0; i < L; i++) {
    row.fill(0);
    for (let j = 0; j < L; j++) {
      const g = j <= i ? zz[i * L + j]! : zz[j * L + i]!;
      for (let k = 0; k < H; k++) row[k] = row[k]! + g * a[j * H + k]!;
    }
    for (let k = 0; k < H; k++) total += a[i * H + k]! * (row[k]! - 2 * zy[i * H + k]!);
  }
  return total / (windows * H);
}
