import type { Tensor2D, Tensor as TfTensor } from '@tensorflow/tfjs';
import type { Tensor } from '../model.ts';
import type { SegmentLstmSizes } from '../segment-lstm/parameters.ts';
import type { TensorFlow } from './backend.ts';

/**
 * The segment LSTM in TensorFlow.js: the reference that the kernel is checked against, and the graph that the
 * `tensorflow` trainer differentiates.
 * @param weights in the order of `segmentLstmLayout`
 * @param segments windows less their last value, segment-major `[encoded × count, segment]`
 * @param dropout factors for the last hidden states `[decoded × count, width]`
 * @returns forecasts less the last value, segment-major `[decoded × count, segment]`
 */
export function segmentLstmGraph(
  tf: TensorFlow,
  sizes: SegmentLstmSizes,
  weights: readonly TfTensor[],
  segments: Tensor2D,
  count: number,
  dropout?: TfTensor,
): Tensor2D {
  const { width: d, encoded, decoded } = sizes;
  const [E, bE, Wx, Wh, b, positions, O, bO] = weights as readonly Tensor2D[] & { length: 8 };
  const gates = tf.add(tf.matMul(tf.relu(tf.add(tf.matMul(segments, E!), bE!)), Wx!), b!) as Tensor2D;
  // The gradient of a split into one part fails in TensorFlow.js 4.22.
  const steps = encoded === 1 ? [gates] : (tf.split(gates, encoded, 0) as Tensor2D[]);
  let h: Tensor2D | undefined;
  let c: Tensor2D | undefined;
  for (const step of steps) {
    const [i, f, g, o] = tf.split(h === undefined ? step : tf.add(step, tf.matMul(h, Wh!)), 4, 1) as Tensor2D[];
    const fresh = tf.mul(tf.sigmoid(i!), tf.tanh(g!)) as Tensor2D;
    c = c === undefined ? fresh : (tf.add(tf.mul(tf.sigmoid(f!), c), fresh) as Tensor2D);
    h = tf.mul(tf.sigmoid(o!), tf.tanh(c)) as Tensor2D;
  }
  const table = tf.add(tf.matMul(positions!, Wx!), b!).reshape([decoded, 1, 4 * d]);
  const common = tf.matMul(h!, Wh!).reshape([1, count, 4 * d]);
  const [i, f, g, o] = tf.split(tf.add(table, common), 4, 2);
  const state = tf.add(tf.mul(tf.sigmoid(f!), c!.reshape([1, count, d])), tf.mul(tf.sigmoid(i!), tf.tanh(g!)));
  let hidden = tf.mul(tf.sigmoid(o!), tf.tanh(state)).reshape([decoded * count, d]) as Tensor2D;
  if (dropout !== undefined) hidden = tf.mul(hidden, dropout) as Tensor2D;
  return tf.add(tf.matMul(hidden, O!), bO!) as Tensor2D;
}

/** Windows `[count, lookback]` to the graph's input: less their last value, segment-major. */
export function toSegments(sizes: SegmentLstmSizes, values: Float32Array, count: number): Float32Array {
  const { segment, encoded, shape } = sizes;
  const out = new Float32Array(encoded * count * segment);
  const first = shape.lookback - encoded * segment;
  for (let r = 0; r < count; r++) {
    const last = values[(r + 1) * shape.lookback - 1]!;
    for (let t = 0; t < encoded; t++) {
      const from = r * shape.lookback + first + t * segment;
      const to = (t * count + r) * segment;
      for (let i = 0; i < segment; i++) out[to + i] = values[from + i]! - last;
    }
  }
  return out;
}

/** Forecasts in TensorFlow.js; see `Model.forecast`. */
export function referenceForecast(
  tf: TensorFlow,
  sizes: SegmentLstmSizes,
  weights: readonly Tensor[],
  values: Float32Array,
  count: number,
): Float32Array {
  const { segment, encoded, decoded, shape } = sizes;
  const flat = tf.tidy(() => {
    const tensors = weights.map(({ data, shape: dims }) => tf.tensor(data, [...dims]));
    const segments = tf.tensor2d(toSegments(sizes, values, count), [encoded * count, segment]);
    return segmentLstmGraph(tf, sizes, tensors, segments, count).dataSync() as Float32Array;
  });
  const out = new Float32Array(count * shape.horizon);
  for (let r = 0; r < count; r++) {
    const last = values[(r + 1) * shape.lookback - 1]!;
    for (let i = 0; i < shape.horizon; i++) {
      const j = Math.floor(i / segment);
      out[r * shape.horizon + i] = flat[(j * count + r) * segment + (i % segment)]! + last;
    }
  }
  // decoded is implied by the shape; a graph of another size would have been misread above.
  if (flat.length !== decoded * count * segment) throw new Error(`the graph returned ${flat.length} values`);
  return out;
}
