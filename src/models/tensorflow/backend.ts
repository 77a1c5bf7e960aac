import { createRequire } from 'node:module';
import type tfModule from '@tensorflow/tfjs';
import { FleetcastError, messageOf } from '../../errors.ts';

export type TensorFlow = typeof tfModule;

export interface BackendDescription {
  /** `tensorflow` is the native library, `wasm` WebAssembly. */
  readonly backend: 'tensorflow' | 'wasm';
  readonly version: string;
  /** Why the native library is not in use, or empty. */
  readonly reason: string;
}

interface Loaded {
  readonly tf: TensorFlow;
  readonly description: BackendDescription;
}

let loading: Promise<Loaded> | undefined;

/**
 * TensorFlow.js with the best backend that can be loaded: the native library (`@tensorflow/tfjs-node`), WebAssembly
 * otherwise. Loaded once for each thread.
 * @throws TRAINER_UNAVAILABLE
 */
export async function loadTensorFlow(): Promise<TensorFlow> {
  return (await load()).tf;
}

/** Which backend is in use, and why not the native one: for `fleetcast doctor`. @throws TRAINER_UNAVAILABLE */
export async function describeBackend(): Promise<BackendDescription> {
  return (await load()).description;
}

function load(): Promise<Loaded> {
  loading ??= open().catch((cause: unknown) => {
    loading = undefined;
    throw new FleetcastError('TRAINER_UNAVAILABLE', `TensorFlow.js cannot be loaded: ${messageOf(cause)}`, { cause });
  });
  return loading;
}

async function open(): Promise<Loaded> {
  const require = createRequire(import.meta.url);
  const tf = require('@tensorflow/tfjs') as TensorFlow;
  const reason = loadNative(require);
  if (reason === '') {
    await tf.setBackend('tensorflow');
  } else {
    const { setThreadsCount } = require('@tensorflow/tfjs-backend-wasm') as { setThreadsCount(n: number): void };
    // Threads of the backend spin: training has a worker thread of its own already.
    setThreadsCount(1);
    await tf.setBackend('wasm');
  }
  await tf.ready();
  const backend = tf.getBackend();
  if (backend !== 'tensorflow' && backend !== 'wasm') throw new Error(`only the backend ${backend} could be started`);
  return { tf, description: { backend, version: tf.version_core, reason } };
}

/** @returns why it could not be loaded, or an empty string */
function loadNative(require: NodeJS.Require): string {
  if (process.env['FLEETCAST_TENSORFLOW'] === 'wasm') return 'switched off by FLEETCAST_TENSORFLOW=wasm';
  try {
    // Node 23 removed a function that tfjs-node still calls.
    const util = require('node:util') as { isNullOrUndefined?: (value: unknown) => boolean };
    util.isNullOrUndefined ??= (value) => value === null || value === undefined;
    require('@tensorflow/tfjs-node');
    return '';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND'
      ? '@tensorflow/tfjs-node is not installed'
      : messageOf(error).split('\n')[0]!;
  }
}
