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

/**
 * `training` takes the native library where it can be loaded; `reference` (to compare and to serve) is WebAssembly
 * everywhere, so that it gives the same on a machine with the native library and on one without.
 */
export type TensorFlowUse = 'training' | 'reference';

interface Loaded {
  readonly tf: TensorFlow;
  /** Why the native library is not there, or empty. */
  readonly reason: string;
}

const loading = new Map<TensorFlowUse, Promise<Loaded>>();

/**
 * TensorFlow.js, with the backend of this use from now on: it is one for the whole thread.
 * @throws TRAINER_UNAVAILABLE
 */
export async function loadTensorFlow(use: TensorFlowUse = 'reference'): Promise<TensorFlow> {
  const { tf } = await load(use);
  return tf;
}

/** Which backend a use has, and why not the native one: for `fleetcast doctor`. @throws TRAINER_UNAVAILABLE */
export async function describeBackend(use: TensorFlowUse = 'training'): Promise<BackendDescription> {
  const { tf, reason } = await load(use);
  return { backend: reason === '' ? 'tensorflow' : 'wasm', version: tf.version_core, reason };
}

/**
 * Does some work on the plain backend of TensorFlow.js, which needs no waiting, and frees what it made. Whatever other
 * backend this thread has stays the one in use.
 * @throws TRAINER_UNAVAILABLE
 */
export function onProcessor<T>(work: (tf: TensorFlow) => T): T {
  let tf: TensorFlow;
  try {
    tf = createRequire(import.meta.url)('@tensorflow/tfjs') as TensorFlow;
  } catch (cause) {
    throw new FleetcastError('TRAINER_UNAVAILABLE', `TensorFlow.js cannot be loaded: ${messageOf(cause)}`, { cause });
  }
  const before = tf.getBackend();
  const prod = tf.env().getBool('PROD');
  // Otherwise the backend recommends another one on standard error.
  tf.env().set('PROD', true);
  // This backend is made at once: there is nothing to wait for.
  void tf.setBackend('cpu');
  try {
    return tf.tidy(() => work(tf) as never) as T;
  } finally {
    tf.env().set('PROD', prod);
    if (before) void tf.setBackend(before);
  }
}

async function load(use: TensorFlowUse): Promise<Loaded> {
  let loaded = loading.get(use);
  if (loaded === undefined) {
    loaded = open(use).catch((cause: unknown) => {
      loading.delete(use);
      throw new FleetcastError('TRAINER_UNAVAILABLE', `TensorFlow.js cannot be loaded: ${messageOf(cause)}`, { cause });
    });
    loading.set(use, loaded);
  }
  const { tf, reason } = await loaded;
  await tf.setBackend(reason === '' ? 'tensorflow' : 'wasm');
  return { tf, reason };
}

async function open(use: TensorFlowUse): Promise<Loaded> {
  const require = createRequire(import.meta.url);
  const tf = require('@tensorflow/tfjs') as TensorFlow;
  const reason = use === 'training' ? loadNative(require) : 'it is not the native library that serves';
  if (reason === '') {
    await tf.setBackend('tensorflow');
  } else {
    const { setThreadsCount } = require('@tensorflow/tfjs-backend-wasm') as { setThreadsCount(n: number): void };
    // Threads of the backend spin, and cut sums at places of their own.
    setThreadsCount(1);
    await tf.setBackend('wasm');
  }
  await tf.ready();
  const backend = tf.getBackend();
  if (backend !== 'tensorflow' && backend !== 'wasm') throw new Error(`only the backend ${backend} could be started`);
  return { tf, reason };
}

/** @returns why it could not be loaded, or an empty string */
function loadNative(require: NodeJS.Require): string {
  if (process.env['FLEETCAST_TENSORFLOW'] === 'wasm') return 'switched off by FLEETCAST_TENSORFLOW=wasm';
  try {
    // Node 23 removed a function that tfjs-node still calls.
    const util = require('node:util') as { isNullOrUndefined?: (value: unknown) => boolean };
    util.isNullOrUndefined ??= (value) => value === null || value === undefined;
    // Its greeting on standard error is no concern of those who train.
    process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
    require('@tensorflow/tfjs-node');
    return '';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND'
      ? '@tensorflow/tfjs-node is not installed'
      : messageOf(error).split('\n')[0]!;
  }
}
