import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { type ErrorCode, FleetcastError } from '../errors.ts';
import { loadVerifiedModel } from '../models/load.ts';
import { decodeModel } from './model-codec.ts';

export interface ToVerifier {
  readonly id: string;
  readonly bytes: Uint8Array;
}

export interface FromVerifier {
  readonly id: string;
  readonly error?: { readonly code: ErrorCode | undefined; readonly message: string };
}

/** TensorFlow.js takes a second to load: the thread stays for the next model, but not for ever. */
const IDLE_MS = 10_000;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** One thread for the process that compares models with TensorFlow.js, while there are models to compare. */
class Verifier {
  readonly #worker: Worker;
  readonly #waiting = new Map<string, Waiting[]>();
  #idle: NodeJS.Timeout | undefined;

  constructor(file: URL, onEnd: () => void) {
    this.#worker = new Worker(file);
    this.#worker.on('message', ({ id, error }: FromVerifier) => {
      const failure = error && new FleetcastError(error.code ?? 'TRAINER_UNAVAILABLE', error.message);
      for (const { resolve, reject } of this.#take(id)) failure === undefined ? resolve() : reject(failure);
      if (this.#waiting.size > 0) return;
      // An idle thread keeps no process alive.
      this.#worker.unref();
      this.#idle = setTimeout(() => {
        onEnd();
        void this.#worker.terminate();
      }, IDLE_MS).unref();
    });
    const fail = (what: string, cause?: Error): void => {
      onEnd();
      const error = new FleetcastError('TRAINER_UNAVAILABLE', `the thread that compares models ${what}`, { cause });
      for (const id of [...this.#waiting.keys()]) for (const { reject } of this.#take(id)) reject(error);
    };
    this.#worker.on('error', (cause) => fail(`failed: ${cause.message}`, cause));
    this.#worker.on('exit', (code) => fail(`ended with code ${code}`));
  }

  verify(id: string, bytes: Uint8Array): Promise<void> {
    clearTimeout(this.#idle);
    this.#worker.ref();
    return new Promise((resolve, reject) => {
      const others = this.#waiting.get(id);
      this.#waiting.set(id, [...(others ?? []), { resolve, reject }]);
      if (others !== undefined) return;
      // A view of a larger buffer would take all of it along.
      const own = Uint8Array.from(bytes);
      this.#worker.postMessage({ id, bytes: own } satisfies ToVerifier, [own.buffer]);
    });
  }

  #take(id: string): Waiting[] {
    const waiting = this.#waiting.get(id) ?? [];
    this.#waiting.delete(id);
    return waiting;
  }
}

let verifier: Verifier | undefined;

/**
 * Compares a model with TensorFlow.js in a thread of its own: loading the reference alone would hold the stream up for
 * a second.
 * @param bytes the encoded artefact
 * @throws MODEL_INVALID, MODEL_DISAGREES, TRAINER_UNAVAILABLE
 */
export async function verifyApart(id: string, bytes: Uint8Array): Promise<void> {
  const file = workerFile();
  if (file === undefined) {
    await loadVerifiedModel(decodeModel(bytes), id);
    return;
  }
  if (verifier === undefined) {
    const made: Verifier = new Verifier(file, () => {
      if (verifier === made) verifier = undefined;
    });
    verifier = made;
  }
  await verifier.verify(id, bytes);
}

/** Beside this file; from the sources (tests), the built one where there is one, because threads cannot run TypeScript. */
function workerFile(): URL | undefined {
  if (!import.meta.url.endsWith('.ts')) return new URL('./verify.worker.js', import.meta.url);
  const built = new URL('../../dist/pipelines/verify.worker.js', import.meta.url);
  return existsSync(built) ? built : undefined;
}
