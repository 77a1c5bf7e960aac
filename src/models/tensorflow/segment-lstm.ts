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
  inputs?: GraphInputs,
): Tensor2D {
  const { width: d, encoded, decoded } = sizes;
  const [E, bE, Wx, Wh, b, positions, O, bO] = weights as readonly Tensor2D[] & { length: 8 };
  const further = weights.slice(8);
  let embedded = tf.add(tf.matMul(segments, E!), bE!) as Tensor2D;
  if (inputs !== undefined && inputs.others.length > 0) {
    const kernels = further.shift()!.reshape([inputs.others.length * sizes.segment, d]) as Tensor2D;
    embedded = tf.add(embedded, tf.matMul(tf.concat([...inputs.others], 1), kernels)) as Tensor2D;
  }
  const [encoder, decoder] = further as Tensor2D[];
  if (inputs !== undefined && encoder !== undefined) {
    embedded = tf.add(embedded, tf.matMul(inputs.read, encoder)) as Tensor2D;
  }
  const gates = tf.add(tf.matMul(tf.relu(embedded), Wx!), b!) as Tensor2D;
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
  let decoding = tf.add(table, common);
  if (inputs !== undefined && decoder !== undefined) {
    const vectors = tf.matMul(tf.matMul(inputs.forecast, decoder), Wx!).reshape([decoded, count, 4 * d]);
    decoding = tf.add(decoding, vectors);
  }
  const [i, f, g, o] = tf.split(decoding, 4, 2);
  const state = tf.add(tf.mul(tf.sigmoid(f!), c!.reshape([1, count, d])), tf.mul(tf.sigmoid(i!), tf.tanh(g!)));
  let hidden = tf.mul(tf.sigmoid(o!), tf.tanh(state)).reshape([decoded * count, d]) as Tensor2D;
  if (dropout !== undefined) hidden = tf.mul(hidden, dropout) as Tensor2D;
  return tf.add(tf.matMul(hidden, O!), bO!) as Tensor2D;
}

/** Inputs beside the series' own windows, all segment-major. */
export interface GraphInputs {
  /** By quantity: `[encoded × count, segment]`. */
  readonly others: readonly Tensor2D[];
  /** Covariates of the segments read `[encoded × count, covariates]`, and of those forecast `[decoded × count, …]`. */
  readonly read: Tensor2D;
  readonly forecast: Tensor2D;
}

/** Rows of inputs `[count, size]` to those of the graph. */
export function graphInputs(
  tf: TensorFlow,
  { inputs, segment, encoded, decoded, shape }: SegmentLstmSizes,
  rows: Float32Array,
  count: number,
): GraphInputs | undefined {
  if (inputs === undefined) return undefined;
  const { covariates, vectors, size } = inputs;
  const gather = (steps: number, width: number, at: (step: number) => number) => {
    const out = new Float32Array(steps * count * width);
    for (let s = 0; s < steps; s++) {
      for (let r = 0; r < count; r++) {
        const from = r * size + at(s);
        out.set(rows.subarray(from, from + width), (s * count + r) * width);
      }
    }
    return tf.tensor2d(out, [steps * count, width]);
  };
  const first = shape.lookback - encoded * segment;
  return {
    others: inputs.inputs.quantities.map((_, q) =>
      gather(encoded, segment, (t) => q * shape.lookback + first + t * segment),
    ),
    read: gather(encoded, covariates, (t) => vectors + t * covariates),
    forecast: gather(decoded, covariates, (j) => vectors + (encoded + j) * covariates),
  };
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
  inputs: Float32Array = new Float32Array(0),
): Float32Array {
  const { segment, encoded, decoded, shape } = sizes;
  const flat = tf.tidy(() => {
    const tensors = weights.map(({ data, shape: dims }) => tf.tensor(data, [...dims]));
    const segments = tf.tensor2d(toSegments(sizes, values, count), [encoded * count, segment]);
    const further = graphInputs(tf, sizes, inputs, count);
    return segmentLstmGraph(tf, sizes, tensors, segments, count, undefined, further).dataSync() as Float32Array;
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
