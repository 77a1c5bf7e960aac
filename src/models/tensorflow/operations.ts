import type { Tensor2D, Tensor as TfTensor } from '@tensorflow/tfjs';
import type { Random } from '../random.ts';
import type { Activation } from '../sequential/layers.ts';
import type { TensorFlow } from './backend.ts';

/** One pass through the layers of a Sequential model. */
export interface Pass {
  readonly tf: TensorFlow;
  readonly weights: ReadonlyMap<string, TfTensor>;
  /** Draws what dropout drops; only in training. */
  readonly training: Random | undefined;
  /** Called in training with the new moving averages of a BatchNormalization. */
  readonly onUpdate?: (name: string, value: TfTensor) => void;
}

/**
 * Matrix product whose gradient transposes first: WebAssembly multiplies transposed matrices many times slower than it
 * transposes and multiplies them.
 */
export function product(tf: TensorFlow, a: TfTensor, b: TfTensor): TfTensor {
  return tf.customGrad((...args: unknown[]) => {
    const [left, right, save] = args as [Tensor2D, Tensor2D, (tensors: TfTensor[]) => void];
    save([left, right]);
    return {
      value: tf.matMul(left, right),
      gradFunc: (dy: TfTensor, saved: TfTensor[]) => {
        const [x, w] = saved as [Tensor2D, Tensor2D];
        const d = dy as Tensor2D;
        return [tf.matMul(d, tf.transpose(w)), tf.matMul(tf.transpose(x), d)];
      },
    };
  })(a, b);
}

export function activated(tf: TensorFlow, activation: Activation, x: TfTensor): TfTensor {
  switch (activation) {
    case 'linear':
      return x;
    case 'relu':
      return tf.relu(x);
    case 'relu6':
      return tf.clipByValue(x, 0, 6);
    case 'leaky_relu':
      return tf.leakyRelu(x, 0.2);
    case 'sigmoid':
      return tf.sigmoid(x);
    case 'tanh':
      return tf.tanh(x);
    case 'hard_sigmoid':
      return tf.clipByValue(tf.add(tf.mul(x, 1 / 6), 0.5), 0, 1);
    case 'hard_sigmoid_2':
      return tf.clipByValue(tf.add(tf.mul(x, 0.2), 0.5), 0, 1);
    case 'silu':
      return tf.mul(x, tf.sigmoid(x));
    case 'elu':
      return tf.elu(x);
    case 'selu':
      return tf.selu(x);
    case 'exponential':
      return tf.exp(x);
    case 'softmax':
      return tf.softmax(x);
  }
}
