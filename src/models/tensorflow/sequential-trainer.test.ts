import { describe, expect, it } from 'vitest';
import { protocolSet, simulatedSeries } from '../../../test/models/sets.ts';
import { forecastErrors, naiveErrors } from '../metrics.ts';
import { parseSequential } from '../sequential/configuration.ts';
import { sequentialModel } from '../sequential/model.ts';
import { defaultSettings } from '../training/settings.ts';
import { sequentialTrainer } from './sequential-trainer.ts';

describe('the trainer of Sequential models', () => {
  const set = protocolSet(simulatedSeries(3, 700, 4), { lookback: 24, horizon: 6, season: 24 });
  const spec = parseSequential({
    input_shape: [null, 1],
    layers: [
      { type: 'BatchNormalization' },
      { type: 'GRU', units: 12, dropout: 0.05 },
      { type: 'LayerNormalization' },
      { type: 'Dense', units: 6 },
    ],
  });
  const settings = defaultSettings(set, { width: 16, maxSteps: 80, batch: 32, learningRate: 0.02 });

  it('trains a model that forecasts better than naive, and the same one again', async () => {
    const result = await sequentialTrainer(spec).train(set, settings);
    const model = sequentialModel('id', set.shape, spec, result.weights);
    const errors = forecastErrors(set, set.validation, model.forecast);
    const { lastValue } = naiveErrors(set, set.validation);
    expect(errors.mae).toBeLessThan(lastValue.mae * 0.8);
    expect(result.trainer).toMatch(/^tensorflow\.js /);
    const mean = result.weights.find(({ name }) => name.endsWith('moving_mean'))!;
    expect(mean.data[0]).not.toBe(0);
    const short = { ...settings, maxSteps: 5 };
    const [a, b] = [await sequentialTrainer(spec).train(set, short), await sequentialTrainer(spec).train(set, short)];
    expect(a.weights).toEqual(b.weights);
  }, 300_000);

  it('refuses layers that do not fit the windows', async () => {
    const other = parseSequential({ input_shape: [null, 1], layers: [{ type: 'GRU', units: 5 }] });
    await expect(sequentialTrainer(other).train(set, settings)).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringContaining('for a horizon of 6'),
    });
  });
});
