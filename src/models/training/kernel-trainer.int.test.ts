import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { protocolSet, simulatedSeries } from '../../../test/models/sets.ts';
import { forecastErrors, naiveErrors } from '../metrics.ts';
import type { Tensor } from '../model.ts';
import { segmentLstmModel } from '../segment-lstm/model.ts';
import { tensorflowTrainer } from '../tensorflow/trainer.ts';
import type { TrainSettings } from '../trainer.ts';
import { kernelTrainer } from './kernel-trainer.ts';
import { defaultSettings } from './settings.ts';

const set = protocolSet(simulatedSeries(4, 1000, 2), { lookback: 48, horizon: 12, season: 24 });

function digest(weights: readonly Tensor[]): string {
  const hash = createHash('sha256');
  for (const { data } of weights) hash.update(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  return hash.digest('hex').slice(0, 16);
}

describe('kernel trainer', () => {
  it('gives the same bits with any number of threads, and these bits for ever', async () => {
    const settings = defaultSettings(set, { loss: 'mae', width: 12, maxSteps: 25, batch: 50, dropout: 0.1 });
    const digests: string[] = [];
    for (const threads of [1, 2, 3]) {
      digests.push(digest((await kernelTrainer(threads).train(set, settings)).weights));
    }
    expect(new Set(digests).size).toBe(1);
    expect(digests[0]).toMatchInlineSnapshot(`"47d5bd823079873c"`);
    const other = await kernelTrainer(1).train(set, { ...settings, seed: 2 });
    expect(digest(other.weights)).not.toBe(digests[0]);
  });

  it('takes the steps that TensorFlow.js takes', async () => {
    for (const change of [{ loss: 'mae' }, { loss: 'huber' }, { loss: 'mse' }] as Partial<TrainSettings>[]) {
      const settings = defaultSettings(set, { width: 9, maxSteps: 5, batch: 40, ...change });
      const ours = await kernelTrainer(1).train(set, settings);
      const reference = await tensorflowTrainer.train(set, settings);
      expect(ours.loss).toBeCloseTo(reference.loss, 4);
      ours.weights.forEach(({ name, data }, i) => {
        data.forEach((value, k) => {
          // Adam divides by the gradient's size: where that is almost nothing its sign is rounding.
          expect(Math.abs(value - reference.weights[i]!.data[k]!), name).toBeLessThan(2e-3);
        });
      });
    }
  });

  it('beats the naive forecasts, warm start included', async () => {
    const settings = defaultSettings(set, { width: 16, maxSteps: 300, batch: 64, learningRate: 0.01 });
    const error = (weights: readonly Tensor[]) =>
      forecastErrors(set, set.test, segmentLstmModel('id', set.shape, { width: 16 }, weights).forecast).mse;
    const naive = naiveErrors(set, set.test);
    const first = await kernelTrainer().train(set, settings);
    expect(error(first.weights)).toBeLessThan(Math.min(naive.lastValue.mse, naive.seasonalNaive.mse));
    const warm = await kernelTrainer().train(set, { ...settings, maxSteps: 60 }, {}, first.weights);
    expect(warm.validationLoss).toBeLessThan(1.1 * first.validationLoss);
  });

  it('answers a hundred points and a constant series sensibly', async () => {
    const short = protocolSet(simulatedSeries(1, 100, 5), { lookback: 24, horizon: 6, season: 24 });
    const trained = await kernelTrainer().train(short, defaultSettings(short, { width: 8, maxSteps: 50 }));
    expect(Number.isFinite(trained.validationLoss)).toBe(true);
    const flat = {
      names: ['flat'],
      series: [new Float64Array(300).fill(4)],
      trainEnd: 200,
      validationEnd: 250,
      testEnd: 300,
    };
    const constant = protocolSet(flat, { lookback: 24, horizon: 6, season: 24 });
    const { weights } = await kernelTrainer().train(constant, defaultSettings(constant, { width: 8, maxSteps: 200 }));
    const model = segmentLstmModel('id', constant.shape, { width: 8 }, weights);
    expect(forecastErrors(constant, constant.test, model.forecast).mae).toBeLessThan(0.02);
  });
});
