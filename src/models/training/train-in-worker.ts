import { Worker } from 'node:worker_threads';
import { FleetcastError } from '../../errors.ts';
import type { Tensor } from '../model.ts';
import type { TrainHooks, TrainingSet, TrainResult, TrainSettings } from '../trainer.ts';
import type { FromWorker, ToWorker, TrainingJob } from './messages.ts';
import { sharedSet } from './shared-set.ts';
import type { TrainerName } from './trainers.ts';

/** A trainer that does not answer a cancellation for so long is ended by force. */
const GRACE_MS = 5_000;

/**
 * Runs a trainer in a worker thread at low priority, so that the stream goes on. The set is copied
 * once, to shared memory: the caller may use its own for evaluation meanwhile.
 * @throws TRAINING_TOO_LITTLE_DATA, TRAINING_DIVERGED, TRAINING_CANCELLED, TRAINER_UNAVAILABLE, CHECKPOINT_UNUSABLE
 */
export function trainInWorker(
  trainer: TrainerName,
  set: TrainingSet,
  settings: TrainSettings,
  hooks: TrainHooks = {},
  initial?: readonly Tensor[],
): Promise<TrainResult> {
  const { signal, onProgress, onCheckpoint, checkpointMs, resume, threads } = hooks;
  if (signal?.aborted) return Promise.reject(cancelled());
  const job: TrainingJob = {
    trainer,
    set: sharedSet(set),
    settings,
    initial,
    checkpoints: onCheckpoint !== undefined,
    checkpointMs,
    resume,
    threads,
  };
  const worker = new Worker(workerFile(), { workerData: job });
  return new Promise<TrainResult>((resolve, reject) => {
    let force: NodeJS.Timeout | undefined;
    const cancel = () => {
      worker.postMessage({ kind: 'cancel' } satisfies ToWorker);
      force = setTimeout(() => {
        void worker.terminate();
        reject(cancelled());
      }, GRACE_MS);
    };
    signal?.addEventListener('abort', cancel, { once: true });
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'progress') onProgress?.(message.progress);
      else if (message.kind === 'checkpoint') onCheckpoint?.(message.checkpoint);
      else if (message.kind === 'done') resolve(message.result);
      else reject(new FleetcastError(message.code ?? 'TRAINER_UNAVAILABLE', message.message));
    });
    worker.on('error', (cause) => {
      reject(new FleetcastError('TRAINER_UNAVAILABLE', `the training thread failed: ${cause.message}`, { cause }));
    });
    worker.on('exit', (code) => {
      clearTimeout(force);
      signal?.removeEventListener('abort', cancel);
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
    ? new URL('../../../dist/models/training/training.worker.js', import.meta.url)
    : new URL('./training.worker.js', import.meta.url);
}
