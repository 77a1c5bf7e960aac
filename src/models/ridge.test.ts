import { describe, expect, it } from 'vitest';
import { dataFile } from '../../test/data-folder.ts';
import { etth1, protocolSet, simulatedSeries } from '../../test/models/sets.ts';
import { forecastErrors, naiveErrors } from './metrics.ts';
import { ridgeModel, ridgeTrainer } from './ridge.ts';
import { defaultSettings } from './training/settings.ts';

const shape = { lookback: 96, horizon: 24, season: 24 };

describe('ridge regression', () => {
  it('beats the naive forecasts on simulated series and repeats bit for bit', async () => {
    const set = protocolSet(simulatedSeries(4, 1200, 1), shape);
    const result = await ridgeTrainer.train(set, defaultSettings(set));
    const again = await ridgeTrainer.train(set, defaultSettings(set));
    expect(again.weights).toEqual(result.weights);
    const { mse } = forecastErrors(set, set.test, ridgeModel('id', shape, result.weights).forecast);
    const naive = naiveErrors(set, set.test);
    expect(mse).toBeLessThan(Math.min(naive.lastValue.mse, naive.seasonalNaive.mse));
  });

  it('answers a constant series and a series without windows', async () => {
    const flat = {
      names: ['flat'],
      series: [new Float64Array(400).fill(3)],
      trainEnd: 250,
      validationEnd: 320,
      testEnd: 400,
    };
    const set = protocolSet(flat, { lookback: 24, horizon: 6, season: 24 });
    const { weights } = await ridgeTrainer.train(set, defaultSettings(set));
    expect(forecastErrors(set, set.test, ridgeModel('id', set.shape, weights).forecast).mse).toBe(0);
    const none = {
      ...set,
      train: { starts: new Int32Array(), means: new Float64Array(), deviations: new Float64Array() },
    };
    await expect(ridgeTrainer.train(none, defaultSettings(set))).rejects.toMatchObject({
      code: 'TRAINING_TOO_LITTLE_DATA',
    });
  });

  const file = dataFile('ett/ETTh1.csv');
  it.skipIf(file === undefined)('comes to the published error on ETTh1', async () => {
    const set = protocolSet(etth1(file!), shape);
    const { weights } = await ridgeTrainer.train(set, defaultSettings(set));
    const { mse, mae } = forecastErrors(set, set.test, ridgeModel('id', shape, weights).forecast);
    expect(mse).toBeLessThan(0.315);
    expect(mae).toBeLessThan(0.36);
    const naive = naiveErrors(set, set.test);
    expect(naive.seasonalNaive.mse).toBeCloseTo(0.424, 2);
    expect(naive.lastValue.mse).toBeCloseTo(1.222, 2);
  });
});
