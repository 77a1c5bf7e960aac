import { describe, expect, it } from 'vitest';
import { protocolSet, simulatedSeries } from '../../../test/models/sets.ts';
import { tensorflowTrainer } from '../tensorflow/trainer.ts';
import { pointGradient, pointLoss } from './loss.ts';
import { learningRate } from './schedule.ts';
import { defaultSettings } from './settings.ts';

const set = protocolSet(simulatedSeries(2, 400, 3), { lookback: 24, horizon: 6, season: 24 });
const settings = defaultSettings(set, { width: 8, maxSteps: 20, batch: 32 });

describe('training loop', () => {
  it('refuses too little data', async () => {
    const { starts, means, deviations } = set.train;
    const few = {
      ...set,
      train: { starts: starts.slice(0, 15), means: means.slice(0, 15), deviations: deviations.slice(0, 15) },
    };
    await expect(tensorflowTrainer.train(few, settings)).rejects.toMatchObject({ code: 'TRAINING_TOO_LITTLE_DATA' });
  });

  it('ends with TRAINING_DIVERGED when a value is not a number', async () => {
    const broken = { ...set, values: set.values.map((v, i) => (i % 50 === 7 ? Number.NaN : v)) };
    await expect(tensorflowTrainer.train(broken, settings)).rejects.toMatchObject({ code: 'TRAINING_DIVERGED' });
  });

  it('stops when it is cancelled', async () => {
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    await expect(
      tensorflowTrainer.train(set, settings, { onProgress, signal: controller.signal }),
    ).rejects.toMatchObject({ code: 'TRAINING_CANCELLED' });
  });

  it('does not learn from filled labels', async () => {
    const none = { ...set, measured: new Uint8Array(set.measured.length) };
    const { weights } = await tensorflowTrainer.train(none, { ...settings, maxSteps: 3 });
    const again = await tensorflowTrainer.train(none, { ...settings, maxSteps: 3, learningRate: 0.5 });
    expect(again.weights).toEqual(weights);
  });

  it('warms up and cools down', () => {
    expect(learningRate(1, 0, 100, false)).toBeCloseTo(0.2);
    expect(learningRate(1, 4, 100, false)).toBeCloseTo(1);
    expect(learningRate(1, 99, 100, false)).toBeLessThan(0.03);
    expect(learningRate(1, 0, 100, true)).toBe(1);
  });

  it('has losses whose derivatives are right', () => {
    for (const loss of ['mae', 'mse', 'huber'] as const) {
      for (const error of [-2, -0.7, -0.2, 0.1, 0.6, 3]) {
        const numeric =
          (pointLoss({ loss, huberDelta: 0.25 }, error + 1e-6) - pointLoss({ loss, huberDelta: 0.25 }, error - 1e-6)) /
          2e-6;
        expect(pointGradient({ loss, huberDelta: 0.25 }, error)).toBeCloseTo(numeric, 5);
      }
    }
  });
});
