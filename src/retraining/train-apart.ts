import { Worker } from 'node:worker_threads';
import { type ErrorCode, FleetcastError } from '../errors.ts';
import type { TrainProgress } from '../models/trainer.ts';
import { type PackedHistory, packHistory } from './packed-history.ts';
import type { TrainedBytes, TrainingHooks, TrainingJob, TrainingStage } from './training-job.ts';

/** A training that does not answer a cancellation for so long is ended by force. */
const GRACE_MS = 8_000;

export interface TrainingStart {
  readonly job: Omit<TrainingJob, 'history'>;
  readonly history: PackedHistory;
  readonly checkpoints: boolean;
  readonly checkpointMs: number | undefined;
  readonly resume: Uint8Array | undefined;
  readonly threads: number | undefined;
}

/** `limit`: the time is up; see `LimitedHooks`. */
export type ToTraining = 'cancel' | 'limit';

export type FromTraining =
  | { readonly kind: 'stage'; readonly stage: TrainingStage; readonly detail: string }
  | { readonly kind: 'progress'; readonly progress: TrainProgress }
  | { readonly kind: 'checkpoint'; readonly checkpoint: Uint8Array }
  | { readonly kind: 'done'; readonly trained: TrainedBytes }
  | { readonly kind: 'failed'; readonly code: ErrorCode | undefined; readonly message: string };

/**
 * Runs a training in a thread at low priority: the data set, the weights, the check against TensorFlow.js and the
 * hold-out are all made there, so that the stream goes on.
 * @throws TRAINING_TOO_LITTLE_DATA, TRAINING_DIVERGED, TRAINING_CANCELLED, TRAINER_UNAVAILABLE, MODEL_DISAGREES,
 * CHECKPOINT_UNUSABLE
 */
export async function trainApart({ history, ...job }: TrainingJob, hooks: TrainingHooks = {}): Promise<TrainedBytes> {
  const { signal, limit, onProgress, onStage, onCheckpoint, checkpointMs, resume, threads } = hooks;
  const packed = await packHistory(history);
  if (signal?.aborted || limit?.aborted) throw cancelled();
  const checkpoints = onCheckpoint !== undefined;
  const start: TrainingStart = { job, history: packed, checkpoints, checkpointMs, resume, threads };
  const worker = new Worker(workerFile(), {
    workerData: start,
    transferList: [packed.bytes.buffer, packed.lengths.buffer],
  });
  return new Promise((resolve, reject) => {
    let force: NodeJS.Timeout | undefined;
    const cancel = (): void => {
      worker.postMessage('cancel' satisfies ToTraining);
      force = setTimeout(() => {
        void worker.terminate();
        reject(cancelled());
      }, GRACE_MS);
    };
    signal?.addEventListener('abort', cancel, { once: true });
    // Never by force: it ends the training itself, or has a result and is about to tell it.
    const tellLimit = (): void => worker.postMessage('limit' satisfies ToTraining);
    limit?.addEventListener('abort', tellLimit, { once: true });
    worker.on('message', (message: FromTraining) => {
      if (message.kind === 'stage') onStage?.(message.stage, message.detail);
      else if (message.kind === 'progress') onProgress?.(message.progress);
      else if (message.kind === 'checkpoint') onCheckpoint?.(message.checkpoint);
      else if (message.kind === 'done') resolve(message.trained);
      else reject(new FleetcastError(message.code ?? 'TRAINER_UNAVAILABLE', message.message));
    });
    worker.on('error', (cause) => {
      reject(new FleetcastError('TRAINER_UNAVAILABLE', `the training thread failed: ${cause.message}`, { cause }));
    });
    worker.on('exit', (code) => {
      clearTimeout(force);
      signal?.removeEventListener('abort', cancel);
      limit?.removeEventListener('abort', tellLimit);
      reject(new FleetcastError('TRAINER_UNAVAILABLE', `the training thread ended with code ${code}`));
    });
  });
}

function cancelled(): FleetcastError {
  return new FleetcastError('TRAINING_CANCELLED', 'the training was cancelled');
}

/** Beside this file; from the sources (tests), the built one, because threads cannot run TypeScript. */
function workerFile(): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL('../../dist/retraining/training-thread.js', import.meta.url)
    : new URL('./training-thread.js', import.meta.url);
}
