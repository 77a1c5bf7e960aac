import { describe, expect, it } from 'vitest';
import { protocolSet } from '../../test/models/sets.ts';
import { Random } from '../models/random.ts';
import type { TrainProgress } from '../models/trainer.ts';
import { defaultSettings } from '../models/training/settings.ts';
import { trainKernel } from './two-lengths.ts';

const shape = { lookback: 24, horizon: 6, season: 12 };

/** One series of a season and noise. */
function setOf(noise: number) {
  const random = new Random(3);
  const values = Float64Array.from(
    { length: 700 },
    (_, t) => Math.sin((t / 12) * 2 * Math.PI) + noise * random.normal(),
  );
  return protocolSet({ names: ['one'], series: [values], trainEnd: 490, validationEnd: 600, testEnd: 700 }, shape);
}

describe('a small set', () => {
  it('is trained for fewer epochs where more are worse on the validation part', async () => {
    const noisy = setOf(2);
    const settings = defaultSettings(noisy, { width: 64, batch: 32 });
    expect(settings.epochs).toBeGreaterThan(40);
    const chosen = await trainKernel(noisy, settings, true, {});
    const long = await trainKernel(noisy, settings, false, {});
    expect(long.settings).toEqual(settings);
    expect(chosen.settings).toEqual({ ...settings, epochs: 20 });
    expect(chosen.result.validationLoss).toBeLessThan(long.result.validationLoss);
    // What is written down makes the same weights.
    expect((await trainKernel(noisy, chosen.settings, false, {})).result.weights).toEqual(chosen.result.weights);
  });

  it('is trained for all epochs where they help', async () => {
    const regular = setOf(0.02);
    const settings = defaultSettings(regular, { width: 16, maxSteps: 300, batch: 64 });
    expect((await trainKernel(regular, settings, true, {})).settings).toEqual(settings);
  });

  it('keeps the long training where the limit ends the short one, and nothing where somebody cancels', async () => {
    const regular = setOf(0.02);
    const settings = defaultSettings(regular, { width: 4, maxSteps: 300, batch: 64 });
    expect(settings.epochs).toBeGreaterThan(40);
    const cutShort = async (by: 'limit' | 'signal') => {
      const cut = new AbortController();
      const onProgress = ({ epochs }: TrainProgress) => (epochs === 20 ? cut.abort() : undefined);
      return trainKernel(regular, settings, true, { [by]: cut.signal, onProgress });
    };
    const long = await trainKernel(regular, settings, false, {});
    expect(await cutShort('limit')).toEqual(long);
    await expect(cutShort('signal')).rejects.toMatchObject({ code: 'TRAINING_CANCELLED' });
    const limit = AbortSignal.abort();
    await expect(trainKernel(regular, settings, true, { limit })).rejects.toMatchObject({ code: 'TRAINING_CANCELLED' });
  });
});
