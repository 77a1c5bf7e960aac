import { describe, expect, it } from 'vitest';
import { protocolSet, simulatedSeries } from '../../../test/models/sets.ts';
import { forecastErrors, naiveErrors } from '../metrics.ts';
import { segmentLstmModel } from '../segment-lstm/model.ts';
import { initSegmentLstm, segmentLstmSizes } from '../segment-lstm/parameters.ts';
import { defaultSettings } from '../training/settings.ts';
import { describeBackend } from './backend.ts';
import { tensorflowTrainer } from './trainer.ts';
import { MODEL_TOLERANCE, verifySegmentLstm } from './verify.ts';

describe('TensorFlow.js', () => {
  it('loads a backend and says which', async () => {
    const description = await describeBackend();
    expect(['tensorflow', 'wasm']).toContain(description.backend);
    expect(description.reason === '').toBe(description.backend === 'tensorflow');
  });

  it('agrees with the served forecast, also where shapes do not divide', async () => {
    for (const [lookback, horizon, season, width] of [
      [96, 24, 24, 32],
      [50, 31, 7, 5],
      [5, 3, 24, 4],
      [10, 1, 1, 8],
    ] as const) {
      const shape = { lookback, horizon, season };
      const weights = initSegmentLstm(segmentLstmSizes(shape, { width }), 5);
      const difference = await verifySegmentLstm(segmentLstmModel('id', shape, { width }, weights), { width }, weights);
      expect(difference).toBeLessThan(MODEL_TOLERANCE / 10);
    }
  });

  it('refuses a model whose forecasts differ', async () => {
    const shape = { lookback: 24, horizon: 6, season: 6 };
    const weights = initSegmentLstm(segmentLstmSizes(shape, { width: 8 }), 5);
    const model = segmentLstmModel('id', shape, { width: 8 }, weights);
    const bent = {
      ...model,
      forecast(batch: Parameters<typeof model.forecast>[0], out: Float32Array) {
        model.forecast(batch, out);
        out[3] = out[3]! + 0.001;
      },
    };
    await expect(verifySegmentLstm(bent, { width: 8 }, weights)).rejects.toMatchObject({ code: 'MODEL_DISAGREES' });
  });

  it('trains a model that beats the naive forecasts', async () => {
    const set = protocolSet(simulatedSeries(4, 1000, 2), { lookback: 48, horizon: 12, season: 24 });
    const settings = defaultSettings(set, { width: 16, maxSteps: 200, batch: 64, learningRate: 0.01 });
    const seen: number[] = [];
    const result = await tensorflowTrainer.train(set, settings, { onProgress: (p) => seen.push(p.step) });
    expect(result.steps).toBe(200);
    expect(seen.at(-1)).toBe(200);
    const { mse } = forecastErrors(
      set,
      set.test,
      segmentLstmModel('id', set.shape, { width: 16 }, result.weights).forecast,
    );
    const naive = naiveErrors(set, set.test);
    expect(mse).toBeLessThan(Math.min(naive.lastValue.mse, naive.seasonalNaive.mse));
  });
});
