import type { Tensor as TfTensor } from '@tensorflow/tfjs';
import { FleetcastError } from '../../errors.ts';
import { portableKernel } from '../kernel/portable.ts';
import type { Tensor } from '../model.ts';
import { unpackTensors } from '../parameters.ts';
import { Random } from '../random.ts';
import { segmentLstmModel } from '../segment-lstm/model.ts';
import {
  initSegmentLstm,
  type SegmentLstmSizes,
  segmentLstmLayout,
  segmentLstmSizes,
} from '../segment-lstm/parameters.ts';
import { sequentialOf } from '../sequential/model.ts';
import type { Trainer, TrainHooks, TrainingSet, TrainSettings } from '../trainer.ts';
import { checkSet, type GradientSource, runTraining } from '../training/loop.ts';
import { type DrawnWindows, drawWindows, windowBuffer } from '../training/windows.ts';
import { describeBackend, loadTensorFlow, type TensorFlow } from './backend.ts';
import { lossGraph } from './loss-graph.ts';
import { graphInputs, segmentLstmGraph, toSegments } from './segment-lstm.ts';
import { sequentialTrainer } from './sequential-trainer.ts';

/**
 * Trains the segment LSTM with TensorFlow.js: gradients by its automatic differentiation, batches and optimiser from the
 * common loop. Reproducible on one machine and backend, not across them.
 * @throws TRAINER_UNAVAILABLE besides the contract's errors
 */
export const tensorflowTrainer: Trainer = {
  name: 'tensorflow',
  async train(set: TrainingSet, settings: TrainSettings, hooks?: TrainHooks, initial?: readonly Tensor[]) {
    checkSet(set);
    if (settings.family === 'sequential') {
      if (settings.inputs !== '') {
        const message = 'the family sequential knows no further inputs: use segment-lstm';
        throw new FleetcastError('TRAINER_UNAVAILABLE', message);
      }
      const spec = sequentialOf({ architecture: { sequential: settings.sequential ?? '' } });
      return sequentialTrainer(spec).train(set, settings, hooks, initial);
    }
    if (settings.family !== 'segment-lstm') {
      const message = `the trainer tensorflow trains the segment LSTM; for ${settings.family} there is kernel`;
      throw new FleetcastError('TRAINER_UNAVAILABLE', message);
    }
    const tf = await loadTensorFlow('training');
    const { backend, version } = await describeBackend();
    const sizes = segmentLstmSizes(set.shape, settings);
    const weights = initial ?? initSegmentLstm(sizes, settings.seed);
    const source = gradientSource(tf, sizes, set, settings);
    const trainer = `tensorflow.js ${backend} ${version}`;
    return runTraining(source, set, settings, { weights, warm: initial !== undefined }, trainer, hooks);
  },
};

function gradientSource(
  tf: TensorFlow,
  sizes: SegmentLstmSizes,
  set: TrainingSet,
  settings: TrainSettings,
): GradientSource {
  const layout = segmentLstmLayout(sizes);
  const { size } = layout;
  const optimiser = portableKernel(4 * size);
  const [weights, gradients] = [optimiser.heap.subarray(0, size), optimiser.heap.subarray(size, 2 * size)];
  const { segment, encoded, decoded, width } = sizes;
  const drawn = windowBuffer(set, settings.batch);
  return {
    layout,
    weights,
    gradients,
    moments: [optimiser.heap.subarray(2 * size, 3 * size), optimiser.heap.subarray(3 * size, 4 * size)],
    compute(windows, step) {
      const count = windows.length;
      drawWindows(set, set.train, 0, count, drawn, windows);
      const { labels, factors } = toLabels(sizes, drawn);
      const shape: [number, number] = [decoded * count, segment];
      const random = new Random(settings.seed, 4, step);
      return tf.tidy(() => {
        const segments = tf.tensor2d(toSegments(sizes, drawn.values, count), [encoded * count, segment]);
        const inputs = graphInputs(tf, sizes, drawn.inputs, count);
        const label = tf.tensor2d(labels, shape);
        const factor = tf.tensor2d(factors, shape);
        const dropout =
          settings.dropout > 0
            ? tf.tensor2d(dropoutFactors(random, decoded * count * width, settings.dropout), [decoded * count, width])
            : undefined;
        const tensors = unpackTensors(layout, weights).map(({ data, shape: dims }) => tf.tensor(data, [...dims]));
        const loss = (...parameters: TfTensor[]) => {
          const error = tf.sub(segmentLstmGraph(tf, sizes, parameters, segments, count, dropout, inputs), label);
          return tf.sum(tf.mul(lossGraph(tf, settings, error), factor)).asScalar();
        };
        const { value, grads } = tf.valueAndGrads(loss)(tensors);
        layout.specs.forEach(({ offset }, i) => {
          gradients.set(grads[i]!.dataSync(), offset);
        });
        return value.dataSync()[0]!;
      });
    },
    update(scale, rate, correction) {
      optimiser.adam(size, 0, size, 2 * size, 3 * size, scale, rate, correction);
    },
    forecast: (batch, out) =>
      segmentLstmModel('', set.shape, settings, unpackTensors(layout, weights)).forecast(batch, out),
    close() {},
  };
}

/** Labels less the last value, and what each counts in the mean, both segment-major `[decoded × count, segment]`. */
function toLabels(sizes: SegmentLstmSizes, drawn: DrawnWindows): { labels: Float32Array; factors: Float32Array } {
  const { decoded, segment, shape } = sizes;
  const { count } = drawn;
  const labels = new Float32Array(decoded * count * segment);
  const factors = new Float32Array(labels.length);
  let measured = 0;
  for (let i = 0; i < count * shape.horizon; i++) measured += drawn.weights[i]!;
  if (measured === 0) return { labels, factors };
  for (let r = 0; r < count; r++) {
    const last = drawn.values[(r + 1) * shape.lookback - 1]!;
    for (let i = 0; i < shape.horizon; i++) {
      const at = (Math.floor(i / segment) * count + r) * segment + (i % segment);
      labels[at] = drawn.labels[r * shape.horizon + i]! - last;
      factors[at] = drawn.weights[r * shape.horizon + i]! / measured;
    }
  }
  return { labels, factors };
}

function dropoutFactors(random: Random, count: number, rate: number): Float32Array {
  return Float32Array.from({ length: count }, () => (random.uniform() < rate ? 0 : 1 / (1 - rate)));
}
