import type { Tensor2D } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { checkAgainstDifferences, gradientBench } from '../../../test/models/gradient-check.ts';
import { protocolSet, simulatedSeries } from '../../../test/models/sets.ts';
import { forecastErrors, naiveErrors } from '../metrics.ts';
import { Random } from '../random.ts';
import { loadTensorFlow } from '../tensorflow/backend.ts';
import { lstmGraph } from '../tensorflow/lstm.ts';
import { verifyLstm } from '../tensorflow/verify.ts';
import { modelOf } from '../training/families.ts';
import { kernelTrainer } from '../training/kernel-trainer.ts';
import { defaultSettings } from '../training/settings.ts';
import { lstmFactory, lstmModel } from './model.ts';
import { initLstm, type LstmSizes } from './parameters.ts';

const shape = { lookback: 9, horizon: 5, season: 3 };
const kinds: readonly LstmSizes[] = [
  { shape, width: 6, layers: 1, decoding: 'direct', features: 1 },
  { shape, width: 5, layers: 2, decoding: 'direct', features: 3 },
  { shape, width: 6, layers: 2, decoding: 'autoregressive', features: 1 },
];
const inputSize = (sizes: LstmSizes) =>
  (sizes.decoding === 'direct' ? shape.lookback : shape.lookback + shape.horizon - 1) * sizes.features;

describe('plain LSTM', () => {
  it('agrees with TensorFlow.js in its forecasts', async () => {
    for (const sizes of kinds.filter(({ features }) => features === 1)) {
      const weights = initLstm(sizes, 4);
      expect(await verifyLstm(lstmModel('id', shape, sizes, weights), sizes, weights)).toBeLessThan(1e-5);
    }
  });

  it('has gradients that agree with central differences', () => {
    for (const sizes of kinds) {
      checkAgainstDifferences(gradientBench(lstmFactory(sizes), initLstm(sizes, 4), 5, inputSize(sizes)));
    }
  });

  it('has the gradients of TensorFlow.js', async () => {
    const tf = await loadTensorFlow();
    const rows = 5;
    for (const sizes of kinds) {
      const weights = initLstm(sizes, 4);
      const bench = gradientBench(lstmFactory(sizes), weights, rows, inputSize(sizes));
      const ours = bench.gradients();
      const reference = tf.tidy(() => {
        const windows = tf.tensor3d(bench.inputs, [rows, inputSize(sizes) / sizes.features, sizes.features]);
        const steps = tf.unstack(windows, 1) as Tensor2D[];
        const labels = tf.tensor2d(Float32Array.from(bench.labels), [rows, bench.labels.length / rows]);
        const loss = (...parameters: ReturnType<typeof tf.tensor>[]) => {
          const outputs = lstmGraph(tf, sizes, parameters, steps);
          const y = sizes.decoding === 'direct' ? outputs.at(-1)! : tf.concat(outputs, 1);
          return tf.mul(tf.sum(tf.square(tf.sub(y, labels))), 0.5).asScalar();
        };
        const tensors = weights.map(({ data, shape: dims }) => tf.tensor(data, [...dims]));
        return tf
          .grads(loss)(tensors)
          .map((gradient) => gradient.dataSync());
      });
      ours.forEach(({ name, data }, i) => {
        data.forEach((value, k) => {
          expect(Math.abs(value - reference[i]![k]!), `${name}[${k}]`).toBeLessThan(1e-4);
        });
      });
    }
  });

  it('gives the same bits however windows are batched', () => {
    const random = new Random(2);
    const values = Float32Array.from({ length: 70 * shape.lookback }, () => random.normal());
    for (const sizes of kinds.filter(({ features }) => features === 1)) {
      const model = lstmModel('id', shape, sizes, initLstm(sizes, 4));
      const whole = new Float32Array(70 * shape.horizon);
      model.forecast({ count: 70, values }, whole);
      const one = new Float32Array(shape.horizon);
      for (let r = 0; r < 70; r += 7) {
        model.forecast({ count: 1, values: values.slice(r * shape.lookback, (r + 1) * shape.lookback) }, one);
        expect(one).toEqual(whole.subarray(r * shape.horizon, (r + 1) * shape.horizon));
      }
    }
  });

  it('learns, with both ways of decoding, and with the same bits on any number of threads', async () => {
    const set = protocolSet(simulatedSeries(3, 700, 6), { lookback: 24, horizon: 6, season: 24 });
    const naive = naiveErrors(set, set.test);
    const bar = Math.min(naive.lastValue.mse, naive.seasonalNaive.mse);
    for (const decoding of ['direct', 'autoregressive'] as const) {
      const change = {
        family: 'lstm',
        decoding,
        width: 12,
        layers: 2,
        maxSteps: 250,
        batch: 48,
        learningRate: 0.01,
      } as const;
      const settings = defaultSettings(set, change);
      const [one, two] = [await kernelTrainer(1).train(set, settings), await kernelTrainer(2).train(set, settings)];
      expect(two.weights).toEqual(one.weights);
      const { mse } = forecastErrors(set, set.test, modelOf('id', set.shape, settings, one.weights).forecast);
      expect(mse).toBeLessThan(bar);
    }
  });
});
