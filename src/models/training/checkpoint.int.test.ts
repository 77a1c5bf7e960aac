import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { protocolSet, simulatedSeries } from '../../../test/models/sets.ts';
import { parseSequential } from '../sequential/configuration.ts';
import { sequentialTrainer } from '../tensorflow/sequential-trainer.ts';
import { tensorflowTrainer } from '../tensorflow/trainer.ts';
import type { Trainer, TrainResult } from '../trainer.ts';
import { kernelTrainer } from './kernel-trainer.ts';
import { defaultSettings } from './settings.ts';
import { trainInWorker } from './train-in-worker.ts';

const set = protocolSet(simulatedSeries(3, 500, 6), { lookback: 24, horizon: 6, season: 24 });
const settings = defaultSettings(set, { width: 8, epochs: 3, batch: 64, dropout: 0.1 });
const trainingProcess = fileURLToPath(new URL('../../../test/models/training-process.mjs', import.meta.url));
const built = existsSync(new URL('../../../dist/models/training/checkpoint.js', import.meta.url));

/** All checkpoints of a training that is not disturbed, and its result. */
async function undisturbed(trainer: Trainer, change = settings): Promise<{ result: TrainResult; kept: Uint8Array[] }> {
  const kept: Uint8Array[] = [];
  const result = await trainer.train(set, change, { checkpointMs: 0, onCheckpoint: (bytes) => kept.push(bytes) });
  expect(kept).toHaveLength(result.steps);
  return { result, kept };
}

describe('checkpoints', () => {
  it('go on to the bits of the training that was not disturbed, from every step', async () => {
    const plain = await kernelTrainer(1).train(set, settings);
    const { result, kept } = await undisturbed(kernelTrainer(1));
    expect(result).toEqual(plain);
    for (const resume of kept) expect(await kernelTrainer(2).train(set, settings, { resume })).toEqual(plain);
  });

  it('do so for the plain LSTM, a warm start, and a training that is interrupted twice', async () => {
    const change = { ...settings, family: 'lstm', decoding: 'autoregressive', dropout: 0, maxSteps: 9 } as const;
    const { result: parent } = await undisturbed(kernelTrainer(1), change);
    const { weights } = parent;
    const kept: Uint8Array[] = [];
    const onCheckpoint = (bytes: Uint8Array) => kept.push(bytes);
    const plain = await kernelTrainer(1).train(set, change, { checkpointMs: 0, onCheckpoint }, weights);
    const resumed: Uint8Array[] = [];
    const first = { resume: kept[2]!, checkpointMs: 0, onCheckpoint: (bytes: Uint8Array) => resumed.push(bytes) };
    await kernelTrainer(1).train(set, change, first, weights);
    expect(resumed).toEqual(kept.slice(3));
    expect(await kernelTrainer(1).train(set, change, { resume: resumed[1]! }, weights)).toEqual(plain);
  });

  it('do so with TensorFlow.js', async () => {
    const spec = parseSequential({
      input_shape: [24, 1],
      layers: [{ type: 'BatchNormalization' }, { type: 'GRU', units: 4 }, { type: 'Dense', units: 6 }],
    });
    for (const trainer of [tensorflowTrainer, sequentialTrainer(spec)]) {
      const short = { ...settings, maxSteps: 8 };
      const { result, kept } = await undisturbed(trainer, short);
      for (const at of [0, 3, 7]) expect(await trainer.train(set, short, { resume: kept[at]! })).toEqual(result);
    }
  });

  it('are refused where they do not belong, and when they are damaged', async () => {
    const { kept } = await undisturbed(kernelTrainer(1), { ...settings, maxSteps: 3 });
    const short = { ...settings, maxSteps: 3 };
    const unusable = { code: 'CHECKPOINT_UNUSABLE' };
    const resume = kept[1]!;
    await expect(kernelTrainer(1).train(set, { ...short, seed: 2 }, { resume })).rejects.toMatchObject(unusable);
    await expect(tensorflowTrainer.train(set, short, { resume })).rejects.toMatchObject(unusable);
    const values = set.values.map((value, i) => (i === 9 ? value + 1 : value));
    await expect(kernelTrainer(1).train({ ...set, values }, short, { resume })).rejects.toMatchObject(unusable);
    await fc.assert(
      fc.asyncProperty(fc.nat(resume.length - 1), async (length) => {
        const cut = { resume: resume.slice(0, length) };
        await expect(kernelTrainer(1).train(set, short, cut)).rejects.toMatchObject(unusable);
      }),
      { numRuns: 10 },
    );
  });

  it.skipIf(!built)('come out of a worker, the last one when it is cancelled', async () => {
    const controller = new AbortController();
    let last: Uint8Array | undefined;
    const change = { ...settings, epochs: 40 };
    const training = trainInWorker('kernel', set, change, {
      signal: controller.signal,
      onCheckpoint: (bytes) => {
        last = bytes;
      },
      onProgress: ({ epoch }) => epoch > 2 && controller.abort(),
    });
    await expect(training).rejects.toMatchObject({ code: 'TRAINING_CANCELLED' });
    const resumed = await trainInWorker('kernel', set, change, { resume: last! });
    expect(resumed).toEqual(await kernelTrainer(1).train(set, change));
  });

  it.skipIf(!built)('survive a kill', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fleetcast-checkpoint-'));
    try {
      const [setFile, checkpointFile] = [join(folder, 'set.json'), join(folder, 'checkpoint')];
      const plain = (_: string, value: unknown) => (ArrayBuffer.isView(value) ? [...(value as Float64Array)] : value);
      writeFileSync(setFile, JSON.stringify({ ...set, settings }, plain));
      const child = spawn(process.execPath, [trainingProcess, setFile, checkpointFile, '5']);
      const ended = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
      expect(await ended).toBe('SIGKILL');
      const resume = Uint8Array.from(readFileSync(checkpointFile));
      const result = await kernelTrainer(1).train(set, settings, { resume });
      expect(result).toEqual(await kernelTrainer(1).train(set, settings));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
