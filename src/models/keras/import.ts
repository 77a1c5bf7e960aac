import { Worker } from 'node:worker_threads';
import { FleetcastError, messageOf } from '../../errors.ts';
import { readBounded } from './bounded-file.ts';
import { invalid, KERAS_LIMITS } from './limits.ts';
import type { KerasModel } from './read.ts';

/** What the thread answers with. */
export type ReadAnswer = { readonly model: KerasModel } | { readonly problem: string };

/**
 * Reads a `.keras` or `.h5` file that may be hostile, in a thread of its own that is ended after a time. The library that
 * reads HDF5 runs in WebAssembly: it reaches neither files nor memory outside, and 2 GiB at most. No code in the file is
 * run: layers are looked up in a fixed list, functions by name, everything else is refused.
 * @param milliseconds bound of the time
 * @throws USAGE where there is no such file or it may not be read, MODEL_INVALID for what is in it; both name the file
 */
export async function importKeras(path: string, milliseconds: number = KERAS_LIMITS.milliseconds): Promise<KerasModel> {
  const bytes = await readBounded(path, KERAS_LIMITS.fileBytes);
  try {
    return await readInThread(bytes, milliseconds);
  } catch (cause) {
    throw new FleetcastError('MODEL_INVALID', `${path}: ${messageOf(cause)}`, { cause, details: { path } });
  }
}

/** @throws MODEL_INVALID; see {@link importKeras} */
export async function readInThread(
  bytes: Uint8Array,
  milliseconds: number = KERAS_LIMITS.milliseconds,
): Promise<KerasModel> {
  // Standard output of the thread is kept back: the library reports damage there.
  const worker = new Worker(workerFile(), {
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: 1024 },
  });
  try {
    const answer = await new Promise<ReadAnswer>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(invalid(`the file could not be read within ${milliseconds} ms`));
      }, milliseconds);
      worker.on('message', (message: ReadAnswer) => {
        clearTimeout(timer);
        resolve(message);
      });
      worker.on('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        const memory = error.code === 'ERR_WORKER_OUT_OF_MEMORY';
        reject(invalid(memory ? 'the file needs too much memory' : `the file could not be read: ${error.message}`));
      });
      worker.on('exit', (code) => {
        clearTimeout(timer);
        reject(invalid(`the thread that reads the file ended with code ${code}`));
      });
      worker.postMessage(bytes);
    });
    if ('problem' in answer) throw invalid(answer.problem);
    return answer.model;
  } finally {
    await worker.terminate();
  }
}

/** Beside this file; from the sources (tests), the built one, because threads cannot run TypeScript. */
function workerFile(): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL('../../../dist/models/keras/read.worker.js', import.meta.url)
    : new URL('./read.worker.js', import.meta.url);
}
