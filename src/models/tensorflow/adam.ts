import type { Tensor as TfTensor, Variable } from '@tensorflow/tfjs';
import type { TensorFlow } from './backend.ts';

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-7;

/**
 * Adam as Keras computes it: epsilon is added before the correction of the second moment, which matters where gradients
 * are small, as those of embeddings are. That of TensorFlow.js adds it after.
 */
export class Adam {
  readonly #tf: TensorFlow;
  readonly #learningRate: number;
  readonly #moments = new Map<string, readonly [Variable, Variable]>();
  #step = 0;

  constructor(tf: TensorFlow, learningRate: number) {
    this.#tf = tf;
    this.#learningRate = learningRate;
  }

  apply(variables: Iterable<Variable>, gradients: Readonly<Record<string, TfTensor>>): void {
    const tf = this.#tf;
    this.#step += 1;
    const rate = (this.#learningRate * Math.sqrt(1 - BETA2 ** this.#step)) / (1 - BETA1 ** this.#step);
    for (const variable of variables) {
      const gradient = gradients[variable.name];
      if (gradient === undefined) continue;
      let moments = this.#moments.get(variable.name);
      if (moments === undefined) {
        const zeros = () => tf.tidy(() => tf.variable(tf.zeros(variable.shape), false));
        moments = [zeros(), zeros()];
        this.#moments.set(variable.name, moments);
      }
      const [first, second] = moments;
      tf.tidy(() => {
        first.assign(tf.add(tf.mul(first, BETA1), tf.mul(gradient, 1 - BETA1)));
        second.assign(tf.add(tf.mul(second, BETA2), tf.mul(tf.square(gradient), 1 - BETA2)));
        variable.assign(tf.sub(variable, tf.div(tf.mul(first, rate), tf.add(tf.sqrt(second), EPSILON))));
      });
    }
  }

  dispose(): void {
    for (const moments of this.#moments.values()) for (const moment of moments) moment.dispose();
    this.#moments.clear();
  }
}
