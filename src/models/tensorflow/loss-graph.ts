import type { Tensor as TfTensor } from '@tensorflow/tfjs';
import type { Loss } from '../training/loss.ts';
import type { TensorFlow } from './backend.ts';

/** The loss of each error; see `pointLoss`. */
export function lossGraph(tf: TensorFlow, { loss, huberDelta: delta }: Loss, error: TfTensor): TfTensor {
  if (loss === 'mse') return tf.square(error);
  const absolute = tf.abs(error);
  if (loss === 'mae') return absolute;
  const line = tf.minimum(absolute, delta);
  // 0.5 m² / δ + (|e| − m) with m = min(|e|, δ): both branches without a condition.
  return tf.add(tf.mul(tf.square(line), 0.5 / delta), tf.sub(absolute, line));
}
