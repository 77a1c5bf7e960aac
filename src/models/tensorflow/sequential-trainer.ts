import type { Tensor as TfTensor } from '@tensorflow/tfjs';
import { portableKernel } from '../kernel/portable.ts';
import { layoutOf, place, unpackTensors } from '../parameters.ts';
import { Random } from '../random.ts';
import { initialWeights } from '../sequential/initial.ts';
import type { SequentialSpec } from '../sequential/layers.ts';
import { sequentialModel } from '../sequential/model.ts';
import { type PlannedLayer, planSequential } from '../sequential/plan.ts';
import type { Trainer, TrainingSet, TrainSettings } from '../trainer.ts';
import { checkSet, type GradientSource, runTraining } from '../training/loop.ts';
import { drawWindows, windowBuffer } from '../training/windows.ts';
import { describeBackend, loadTensorFlow, type TensorFlow } from './backend.ts';
import { lossGraph } from './loss-graph.ts';
import { sequentialGraph, usesFusedLstm } from './sequential-graph.ts';

/**
 * Trains a Sequential model of one's own to forecast windows, with TensorFlow.js and the loop of all trainers. Of the
 * settings, family, width, layers, decoding and dropout say nothing here: the layers do.
 * @throws TRAINER_UNAVAILABLE besides the contract's errors, MODEL_INVALID when the layers do not fit the windows
 */
export function sequentialTrainer(spec: SequentialSpec): Trainer {
  return {
    name: 'sequential',
    async train(set, settings, hooks, initial) {
      checkSet(set);
      const inputShape = spec.inputShape.map((n) => n ?? set.shape.lookback);
      const plan = planSequential({ ...spec, inputShape });
      const weights = initial ?? initialWeights(plan, settings.seed);
      // Refuses layers that do not fit the windows before anything is computed.
      sequentialModel('', set.shape, spec, weights);
      const tf = await loadTensorFlow('training');
      const { backend, version } = await describeBackend();
      const source = gradientSource(tf, spec, plan, set, settings);
      const fused = usesFusedLstm(tf, spec) ? ', fused LSTM' : '';
      const trainer = `tensorflow.js ${backend} ${version}${fused}`;
      return runTraining(source, set, settings, { weights, warm: initial !== undefined }, trainer, hooks);
    },
  };
}

function gradientSource(
  tf: TensorFlow,
  spec: SequentialSpec,
  plan: readonly PlannedLayer[],
  set: TrainingSet,
  settings: TrainSettings,
): GradientSource {
  const specs = plan.flatMap((layer) => layer.weights);
  const layout = layoutOf(specs.map(({ name, shape }) => [name, ...shape]));
  const { size } = layout;
  // The others have a gradient of zero; averages are moved instead.
  const trained = specs.filter(({ trainable }) => trainable);
  const optimiser = portableKernel(4 * size);
  const [weights, gradients] = [optimiser.heap.subarray(0, size), optimiser.heap.subarray(size, 2 * size)];
  const drawn = windowBuffer(set, settings.batch);
  const { lookback, horizon } = set.shape;
  const rowShape = plan[0]!.input as number[];
  return {
    layout,
    weights,
    gradients,
    moments: [optimiser.heap.subarray(2 * size, 3 * size), optimiser.heap.subarray(3 * size, 4 * size)],
    compute(windows, step) {
      const count = windows.length;
      drawWindows(set, set.train, 0, count, drawn, windows);
      let measured = 0;
      for (let i = 0; i < count * horizon; i++) measured += drawn.weights[i]!;
      const random = new Random(settings.seed, 7, step);
      gradients.fill(0);
      return tf.tidy(() => {
        const x = tf.tensor(drawn.values.slice(0, count * lookback), [count, ...rowShape]);
        const label = tf.tensor(drawn.labels.slice(0, count * horizon), [count, horizon]);
        const factors = drawn.weights.slice(0, count * horizon).map((weight) => weight / Math.max(1, measured));
        const factor = tf.tensor(factors, [count, horizon]);
        const named = new Map<string, TfTensor>(
          unpackTensors(layout, weights).map(({ name, data, shape }) => [name, tf.tensor(data, [...shape])]),
        );
        const moved: [string, Float32Array][] = [];
        const loss = (...parameters: TfTensor[]) => {
          moved.length = 0;
          const y = sequentialGraph(plan, x, {
            tf,
            weights: new Map([...named, ...trained.map(({ name }, i) => [name, parameters[i]!] as const)]),
            training: random,
            onUpdate: (name, value) => moved.push([name, value.dataSync() as Float32Array]),
          });
          const error = tf.sub(tf.reshape(y, [count, horizon]), label);
          return tf.sum(tf.mul(lossGraph(tf, settings, error), factor)).asScalar();
        };
        const { value, grads } = tf.valueAndGrads(loss)(trained.map(({ name }) => named.get(name)!));
        trained.forEach(({ name }, i) => {
          gradients.set(grads[i]!.dataSync(), place(layout, name));
        });
        for (const [name, data] of moved) weights.set(data, place(layout, name));
        return value.dataSync()[0]!;
      });
    },
    update(scale, rate, correction) {
      optimiser.adam(size, 0, size, 2 * size, 3 * size, scale, rate, correction);
    },
    forecast(batch, out) {
      sequentialModel('', set.shape, spec, unpackTensors(layout, weights)).forecast(batch, out);
    },
    close() {},
  };
}
