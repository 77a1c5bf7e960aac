import type { Tensor2D, Tensor3D, Tensor as TfTensor } from '@tensorflow/tfjs';
import type { Conv1dLayer, PoolingLayer } from '../sequential/layers.ts';
import { slidingSteps } from '../sequential/plan.ts';
import type { TensorFlow } from './backend.ts';
import { activated, type Pass, product } from './operations.ts';

/**
 * Layers that slide over the steps. They are cut into their windows, which are pasted side by side: slices and one product
 * have gradients on every backend, a convolution has none on WebAssembly.
 */

/** @param x `[rows, steps, features]` */
export function convolution(layer: Conv1dLayer, x: Tensor3D, pass: Pass): TfTensor {
  const { tf, weights } = pass;
  const { kernelSize, filters, activation, name } = layer;
  const [rows, , features] = x.shape;
  const parts = windows(tf, layer, x, 0, kernelSize, layer.dilationRate);
  const steps = parts[0]!.shape[1]!;
  const flat = tf.reshape(tf.concat(parts, 2), [rows * steps, kernelSize * features]) as Tensor2D;
  const bare = product(tf, flat, tf.reshape(weights.get(`${name}/kernel`)!, [kernelSize * features, filters]));
  const bias = weights.get(`${name}/bias`);
  const sums = bias === undefined ? bare : tf.add(bare, bias);
  return activated(tf, activation, tf.reshape(sums, [rows, steps, filters]));
}

/** @param x `[rows, steps, features]` */
export function pooled(layer: PoolingLayer, x: Tensor3D, tf: TensorFlow): TfTensor {
  const { poolSize } = layer;
  // What is filled in at the border is no maximum, and does not count in a mean.
  if (layer.type === 'MaxPooling1D') return tf.max(tf.stack(windows(tf, layer, x, LEAST, poolSize, 1), 0), 0);
  const sums = tf.addN(windows(tf, layer, x, 0, poolSize, 1) as TfTensor[]);
  const ones = tf.ones([1, x.shape[1], 1]) as Tensor3D;
  return tf.div(sums, tf.addN(windows(tf, layer, ones, 0, poolSize, 1) as TfTensor[]));
}

const LEAST = -3e38;

/** For each place of the window what lies under it, `[rows, steps that come out, features]`. */
function windows(
  tf: TensorFlow,
  layer: Conv1dLayer | PoolingLayer,
  x: Tensor3D,
  filled: number,
  size: number,
  dilation: number,
): Tensor3D[] {
  const [rows, steps, features] = x.shape;
  const { strides, padding } = layer;
  const out = slidingSteps(layer, steps);
  const reach = (size - 1) * dilation;
  const missing = Math.max(0, (out - 1) * strides + reach + 1 - steps);
  const before = padding === 'valid' ? 0 : padding === 'causal' ? reach : Math.floor(missing / 2);
  // As many steps as every window has with its whole stride.
  const after = Math.max(0, reach + out * strides - before - steps);
  const padded = tf.pad(
    x,
    [
      [0, 0],
      [before, after],
      [0, 0],
    ],
    filled,
  );
  return Array.from({ length: size }, (_, k) => {
    const from = tf.slice(padded, [0, k * dilation, 0], [rows, out * strides, features]);
    if (strides === 1) return from as Tensor3D;
    const each = tf.reshape(from, [rows, out, strides, features]);
    return tf.reshape(tf.slice(each, [0, 0, 0, 0], [rows, out, 1, features]), [rows, out, features]) as Tensor3D;
  });
}
