import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { protocolSet, simulatedSeries } from '../../../test/models/sets.ts';
import { ridgeTrainer } from '../ridge.ts';
import { defaultSettings } from './settings.ts';
import { trainInWorker } from './train-in-worker.ts';

const built = existsSync(new URL('../../../dist/models/training/training.worker.js', import.meta.url));

describe.skipIf(!built)('training in a worker', () => {
  const set = protocolSet(simulatedSeries(3, 600, 4), { lookback: 48, horizon: 12, season: 24 });
  const settings = defaultSettings(set, { width: 8, maxSteps: 30, batch: 32 });

  it('gives the result of the same trainer in this thread, and progress', async () => {
    const seen: number[] = [];
    const result = await trainInWorker('ridge', set, settings, { onProgress: (p) => seen.push(p.loss) });
    expect(result).toEqual(await ridgeTrainer.train(set, settings));
    expect(seen).toEqual([result.loss]);
  });

  it('trains with the kernel, helper threads included', async () => {
    const result = await trainInWorker('kernel', set, settings);
    expect(result.steps).toBe(30);
    expect(result.weights.length).toBe(8);
  });

  it('carries errors over with their code', async () => {
    const broken = { ...set, values: set.values.map(() => Number.NaN) };
    await expect(trainInWorker('tensorflow', broken, settings)).rejects.toMatchObject({ code: 'TRAINING_DIVERGED' });
  });

  it('is cancelled by a signal', async () => {
    const controller = new AbortController();
    const training = trainInWorker(
      'tensorflow',
      set,
      { ...settings, maxSteps: 0, epochs: 10_000 },
      { onProgress: () => controller.abort(), signal: controller.signal },
    );
    await expect(training).rejects.toMatchObject({ code: 'TRAINING_CANCELLED' });
  });
});
