import type { Tensor as TfTensor } from '@tensorflow/tfjs';
import type { TensorFlow } from './backend.ts';

/** Losses by Keras's names. `sparse_categorical_crossentropy` has class numbers as labels, with logits where it says so. */
export const LOSSES = [
  'mse',
  'mae',
  'huber',
  'binary_crossentropy',
  'sparse_categorical_crossentropy',
  'sparse_categorical_crossentropy_from_logits',
] as const;
export type Loss = (typeof LOSSES)[number];

export const METRICS = ['accuracy', 'mae', 'mse'] as const;
export type Metric = (typeof METRICS)[number];

/** Keras's bound of probabilities away from 0 and 1. */
const EPSILON = 1e-7;

/**
 * The loss of each row, `[rows]`; its mean over a batch is what Keras minimises and prints.
 * @param y predictions `[rows, …]`
 * @param label the same shape, or class numbers `[rows]` for sparse losses
 */
export function rowLosses(tf: TensorFlow, loss: Loss, y: TfTensor, label: TfTensor): TfTensor {
  switch (loss) {
    case 'mse':
      return overRow(tf, tf.square(tf.sub(y, label)));
    case 'mae':
      return overRow(tf, tf.abs(tf.sub(y, label)));
    case 'huber': {
      const absolute = tf.abs(tf.sub(y, label));
      const line = tf.minimum(absolute, 1);
      return overRow(tf, tf.add(tf.mul(tf.square(line), 0.5), tf.sub(absolute, line)));
    }
    case 'binary_crossentropy': {
      const p = tf.clipByValue(y, EPSILON, 1 - EPSILON);
      const rest = tf.mul(tf.sub(1, label), tf.log(tf.sub(1, p)));
      return overRow(tf, tf.neg(tf.add(tf.mul(label, tf.log(p)), rest)));
    }
    case 'sparse_categorical_crossentropy': {
      // Keras scales the probabilities to a sum of one first.
      const p = tf.clipByValue(tf.div(y, tf.sum(y, -1, true)), EPSILON, 1 - EPSILON);
      return picked(tf, tf.neg(tf.log(p)), label);
    }
    case 'sparse_categorical_crossentropy_from_logits': {
      const shifted = tf.sub(y, tf.max(y, -1, true));
      const logs = tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), -1, true)));
      return picked(tf, tf.neg(logs), label);
    }
  }
}

/** A metric of each row, `[rows]`. */
export function rowMetric(tf: TensorFlow, metric: Metric, loss: Loss, y: TfTensor, label: TfTensor): TfTensor {
  if (metric !== 'accuracy') return rowLosses(tf, metric, y, label);
  if (isSparse(loss)) return tf.cast(tf.equal(tf.argMax(y, -1), tf.cast(label, 'int32')), 'float32');
  // Binary: a probability above one half.
  return overRow(tf, tf.cast(tf.equal(tf.cast(tf.greater(y, 0.5), 'float32'), label), 'float32'));
}

export function isSparse(loss: Loss): boolean {
  return loss.startsWith('sparse_');
}

function overRow(tf: TensorFlow, x: TfTensor): TfTensor {
  return x.rank <= 1 ? x : tf.mean(tf.reshape(x, [x.shape[0]!, -1]), 1);
}

function picked(tf: TensorFlow, values: TfTensor, label: TfTensor): TfTensor {
  const classes = values.shape.at(-1)!;
  return tf.sum(tf.mul(values, tf.oneHot(tf.cast(label, 'int32') as never, classes)), -1);
}
