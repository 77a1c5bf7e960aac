import type { Tensor2D, Tensor as TfTensor } from '@tensorflow/tfjs';
import type { LstmSizes } from '../lstm/parameters.ts';
import type { Tensor } from '../model.ts';
import type { TensorFlow } from './backend.ts';

/**
 * The plain LSTM in TensorFlow.js, the reference that the kernel is checked against.
 * @param weights in the order of `lstmLayout`
 * @param steps values step after step, each `[count, features]`
 * @param feedBack how many values are forecast by feeding the output back; 0 with `direct`
 * @returns the head's output after every step, the fed-back ones included
 */
export function lstmGraph(
  tf: TensorFlow,
  sizes: LstmSizes,
  weights: readonly TfTensor[],
  steps: readonly Tensor2D[],
  feedBack = 0,
): Tensor2D[] {
  const state: { h?: Tensor2D; c?: Tensor2D }[] = Array.from({ length: sizes.layers }, () => ({}));
  const head = weights.slice(-2) as Tensor2D[];
  const step = (values: Tensor2D): Tensor2D => {
    let below = values;
    state.forEach((layer, i) => {
      const [Wx, Wh, b] = weights.slice(3 * i, 3 * i + 3) as Tensor2D[];
      const input = tf.add(tf.matMul(below, Wx!), b!);
      const sums = layer.h === undefined ? input : tf.add(input, tf.matMul(layer.h, Wh!));
      const [iGate, f, g, o] = tf.split(sums, 4, 1) as Tensor2D[];
      const fresh = tf.mul(tf.sigmoid(iGate!), tf.tanh(g!)) as Tensor2D;
      layer.c = layer.c === undefined ? fresh : (tf.add(tf.mul(tf.sigmoid(f!), layer.c), fresh) as Tensor2D);
      layer.h = tf.mul(tf.sigmoid(o!), tf.tanh(layer.c)) as Tensor2D;
      below = layer.h;
    });
    return tf.add(tf.matMul(below, head[0]!), head[1]!) as Tensor2D;
  };
  const outputs = steps.map(step);
  for (let i = 0; i < feedBack; i++) outputs.push(step(outputs.at(-1)!));
  return outputs;
}

/** Forecasts of `[count, lookback]` windows in TensorFlow.js; see `Model.forecast`. */
export function lstmReference(
  tf: TensorFlow,
  sizes: LstmSizes,
  weights: readonly Tensor[],
  values: Float32Array,
  count: number,
): Float32Array {
  const { lookback, horizon } = sizes.shape;
  const lasts = Array.from({ length: count }, (_, r) => values[(r + 1) * lookback - 1]!);
  const autoregressive = sizes.decoding === 'autoregressive';
  const columns = tf.tidy(() => {
    const tensors = weights.map(({ data, shape }) => tf.tensor(data, [...shape]));
    const steps = Array.from({ length: lookback }, (_, t) =>
      tf.tensor2d(
        Float32Array.from(lasts, (last, r) => values[r * lookback + t]! - last),
        [count, 1],
      ),
    );
    const outputs = lstmGraph(tf, sizes, tensors, steps, autoregressive ? horizon - 1 : 0);
    return outputs.slice(lookback - 1).map((output) => output.dataSync() as Float32Array);
  });
  const out = new Float32Array(count * horizon);
  for (let r = 0; r < count; r++) {
    for (let i = 0; i < horizon; i++) {
      const forecast = autoregressive ? columns[i]![r]! : columns[0]![r * horizon + i]!;
      out[r * horizon + i] = forecast + lasts[r]!;
    }
  }
  return out;
}
