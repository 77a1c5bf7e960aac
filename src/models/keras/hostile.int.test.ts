import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { strToU8, unzipSync, zipSync } from 'fflate';
import h5wasm, { File } from 'h5wasm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixtures, modelFiles } from '../../../test/keras/samples.ts';
import { Random } from '../random.ts';
import { importKeras, type ReadAnswer, readInThread } from './import.ts';
import { KERAS_LIMITS } from './limits.ts';

const worker = new URL('../../../dist/models/keras/read.worker.js', import.meta.url);
const fixture = (name: string) => readFileSync(`${fixtures}/${name}`);

describe.skipIf(!existsSync(worker))('hostile Keras files (in a thread)', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleetcast-keras-'));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('reads a good file', async () => {
    const path = `${fixtures}/keras3-guide-keras.keras`;
    const { spec, weights } = await importKeras(path);
    expect(spec.layers.map(({ type }) => type)).toEqual(['Embedding', 'LSTM', 'Dense']);
    expect(weights.map(({ name }) => name)).toContain('lstm_7/recurrent_kernel');
  });

  it('ends the thread after the time', async () => {
    await expect(readInThread(fixture('keras3-guide-keras.keras'), 1)).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringContaining('within 1 ms'),
    });
  });

  it.skipIf(process.platform === 'win32')('refuses devices, which never end, and folders', async () => {
    for (const path of ['/dev/zero', folder]) {
      await expect(importKeras(path)).rejects.toMatchObject({
        code: 'MODEL_INVALID',
        message: `${path}: it is not a file`,
      });
    }
  });

  it('names a file that is missing or too large', async () => {
    await expect(importKeras(join(folder, 'nothing.keras'))).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(/nothing\.keras: there is no such file$/),
    });
    const sparse = join(folder, 'sparse.h5');
    await writeFile(sparse, '');
    await truncate(sparse, KERAS_LIMITS.fileBytes + 1);
    await expect(importKeras(sparse)).rejects.toMatchObject({ message: expect.stringContaining('more than') });
  });

  it('answers every damaged file with a model or one clear error, and soon', async () => {
    const random = new Random(20);
    const files = modelFiles(fixtures).map((path) => readFileSync(path));
    let thread = start();
    let refused = 0;
    let ended = 0;
    try {
      for (let i = 0; i < 240; i++) {
        const answer = await ask(thread, damage(files[i % files.length]!, random));
        if (answer === 'none') {
          // The library can be sent round in circles; the product ends its thread after the time as well.
          await thread.terminate();
          thread = start();
          ended += 1;
        } else if ('problem' in answer) {
          refused += 1;
          expect(answer.problem.length).toBeLessThan(1000);
          expect(answer.problem).not.toMatch(/undefined|TypeError|RuntimeError|of null|not a function/);
        }
      }
    } finally {
      await thread.terminate();
    }
    expect(refused).toBeGreaterThan(80);
    expect(ended).toBeLessThan(10);
  }, 300_000);

  it('refuses links to other files and bombs of compressed weights', async () => {
    const archive = unzipSync(fixture('keras3-lstm-keras.keras'));
    const withWeights = (weights: Uint8Array) => zipSync({ ...archive, 'model.weights.h5': weights }, { level: 0 });
    const linked = await hdf5((file) => {
      file.create_group('layers');
      file.create_external_link('/etc/passwd', '/lstm', 'layers/lstm');
    });
    await expect(readInThread(withWeights(linked))).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringContaining('a link to another file'),
    });
    const looped = await hdf5((file) => {
      file.create_group('layers');
      file.create_soft_link('/layers/lstm', 'layers/lstm');
    });
    await expect(readInThread(withWeights(looped))).rejects.toMatchObject({ code: 'MODEL_INVALID' });
    // 16 MB of zeros, compressed to little: its shape is compared before anything is read.
    const bomb = await hdf5((file) => {
      const vars = file.create_group('layers').create_group('lstm').create_group('cell').create_group('vars');
      const zeros = new Float32Array(4_000_000);
      vars.create_dataset({ name: '0', data: zeros, shape: [2000, 2000], chunks: [2000, 2000], compression: 9 });
    });
    expect(bomb.length).toBeLessThan(100_000);
    await expect(readInThread(withWeights(bomb))).rejects.toMatchObject({
      message: expect.stringContaining('has the shape [2000,2000], expected [3,28]'),
    });
    const text = await hdf5((file) => {
      const vars = file.create_group('layers').create_group('lstm').create_group('cell').create_group('vars');
      vars.create_dataset({ name: '0', data: new Int32Array(84), shape: [3, 28] });
    });
    await expect(readInThread(withWeights(text))).rejects.toMatchObject({
      message: expect.stringContaining('another type than float32'),
    });
  });

  it('refuses numbers that are not finite', async () => {
    const archive = unzipSync(fixture('keras3-lstm-keras.keras'));
    const weights = await hdf5((file) => {
      const vars = file.create_group('layers').create_group('lstm').create_group('cell').create_group('vars');
      vars.create_dataset({ name: '0', data: new Float32Array(84).fill(Number.NaN), shape: [3, 28], dtype: '<f' });
    });
    const bytes = zipSync({ ...archive, 'model.weights.h5': weights }, { level: 0 });
    await expect(readInThread(bytes)).rejects.toMatchObject({ message: expect.stringContaining('not finite') });
  });

  it('refuses a million layers', async () => {
    const archive = unzipSync(fixture('keras3-lstm-keras.keras'));
    const layer = '{"class_name":"Dense","config":{"units":1}}';
    const config = `{"class_name":"Sequential","config":{"layers":[${Array(200_000).fill(layer).join()}]}}`;
    const bytes = zipSync({ ...archive, 'config.json': strToU8(config) }, { level: 0 });
    await expect(readInThread(bytes)).rejects.toMatchObject({ message: expect.stringContaining('200000 layers') });
  });
});

/** Bits turned, stretches overwritten or moved, the end cut off. */
function damage(original: Uint8Array, random: Random): Uint8Array {
  const bytes = Uint8Array.from(original);
  // The head of a file holds most of its structure.
  const place = () => random.below(random.uniform() < 0.5 ? Math.min(4096, bytes.length) : bytes.length);
  const kind = random.below(4);
  if (kind === 0) return bytes.subarray(0, random.below(bytes.length));
  for (let i = 0, times = 1 + random.below(kind === 1 ? 40 : 3); i < times; i++) {
    const at = place();
    const length = 1 + random.below(64);
    if (kind === 1) bytes[at] = bytes[at]! ^ (1 << random.below(8));
    else if (kind === 2) bytes.fill(random.uniform() < 0.5 ? 0 : 0xff, at, at + length);
    else bytes.copyWithin(at, place(), place() + length);
  }
  return bytes;
}

function start(): Worker {
  return new Worker(worker, { stdout: true, stderr: true });
}

/** @returns `none` when there was no answer within 3 s */
function ask(thread: Worker, bytes: Uint8Array): Promise<ReadAnswer | 'none'> {
  return new Promise((resolve, reject) => {
    const settle = (answer: ReadAnswer | 'none') => {
      clearTimeout(timer);
      thread.off('error', reject);
      resolve(answer);
    };
    const timer = setTimeout(settle, 3_000, 'none');
    thread.once('message', settle);
    thread.once('error', reject);
    thread.postMessage(bytes);
  });
}

async function hdf5(fill: (file: File) => void): Promise<Uint8Array> {
  const { FS } = await h5wasm.ready;
  const file = new File('/hostile.h5', 'w');
  fill(file);
  file.flush();
  file.close();
  return FS.readFile('/hostile.h5') as Uint8Array;
}
