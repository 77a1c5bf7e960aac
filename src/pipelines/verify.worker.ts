import { parentPort } from 'node:worker_threads';
import { isFleetcastError, messageOf } from '../errors.ts';
import { loadVerifiedModel } from '../models/load.ts';
import { lowPriority } from '../models/training/low-priority.ts';
import { decodeModel } from './model-codec.ts';
import type { FromVerifier, ToVerifier } from './verify-apart.ts';

/** Entry of the thread that compares models with TensorFlow.js. */
const port = parentPort!;
/** A task that meets an activation waits for the answer: it comes before a training, but after the stream. */
const NICENESS = 5;

lowPriority(NICENESS);
port.on('message', ({ id, bytes }: ToVerifier) => void verify(id, bytes));

async function verify(id: string, bytes: Uint8Array): Promise<void> {
  try {
    await loadVerifiedModel(decodeModel(bytes), id);
    post({ id });
  } catch (error) {
    post({ id, error: { code: isFleetcastError(error) ? error.code : undefined, message: messageOf(error) } });
  }
}

function post(message: FromVerifier): void {
  port.postMessage(message);
}
