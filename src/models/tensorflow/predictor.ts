import type { Tensor as TfTensor } from '@tensorflow/tfjs';
import type { Tensor } from '../model.ts';
import { isForeign, type SequentialSpec } from '../sequential/layers.ts';
import { SequentialNetwork } from '../sequential/network.ts';
import { checkWeights, planSequential } from '../sequential/plan.ts';
import { onProcessor } from './backend.ts';
import { sequentialGraph } from './sequential-graph.ts';

/** What predicts with a Sequential model; see {@link SequentialNetwork} for the contract. */
export type Predictor = Pick<SequentialNetwork, 'predict' | 'outputShape'>;

const ROWS = 64;

/**
 * Our own arithmetic, or where a layer is not in it TensorFlow.js on its plain backend, which runs in this thread without
 * waiting: a row's result then depends on the functions of the JavaScript engine (`exp`, `tanh`), and not on the batch.
 * @throws MODEL_INVALID when layers or weights do not fit
 */
export function predictorOf(spec: SequentialSpec, weights: readonly Tensor[]): Predictor {
  const own = new SequentialNetwork(spec, weights);
  if (!spec.layers.some(isForeign)) return own;
  checkWeights(planSequential(spec), weights);
  return {
    outputShape: (steps) => own.outputShape(steps),
    predict(values, count, steps) {
      const inputShape = own.rowShape(values, count, steps);
      const size = values.length / count;
      const plan = planSequential({ ...spec, inputShape });
      const width = (plan.at(-1)!.output as number[]).reduce((product, n) => product * n, 1);
      const out = new Float32Array(count * width);
      for (let from = 0; from < count; from += ROWS) {
        const rows = Math.min(ROWS, count - from);
        const part = onProcessor((tf) => {
          const named = weights.map(({ name, data, shape }): [string, TfTensor] => [
            name,
            tf.tensor(data, [...shape], 'float32'),
          ]);
          const x = tf.tensor(values.slice(from * size, (from + rows) * size), [rows, ...inputShape], 'float32');
          return sequentialGraph(plan, x, { tf, weights: new Map(named), training: undefined }).dataSync();
        });
        out.set(part, from * width);
      }
      return out;
    },
  };
}
