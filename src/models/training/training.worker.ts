import { parentPort, workerData } from 'node:worker_threads';
import { isFleetcastError, messageOf } from '../../errors.ts';
import type { TrainHooks } from '../trainer.ts';
import { lowPriority } from './low-priority.ts';
import type { FromWorker, ToWorker, TrainingJob } from './messages.ts';
import { loadTrainer } from './trainers.ts';

/** Entry of a training thread: one job, then it ends. */
const port = parentPort!;
const job = workerData as TrainingJob;
const controller = new AbortController();
port.on('message', (message: ToWorker) => {
  if (message.kind === 'cancel') controller.abort();
});

lowPriority();

try {
  const trainer = await loadTrainer(job.trainer);
  const hooks: TrainHooks = {
    onProgress: (progress) => post({ kind: 'progress', progress }),
    signal: controller.signal,
    ...(job.checkpoints && { onCheckpoint: sendCheckpoint }),
    ...(job.checkpointMs !== undefined && { checkpointMs: job.checkpointMs }),
    ...(job.resume !== undefined && { resume: job.resume }),
    ...(job.threads !== undefined && { threads: job.threads }),
  };
  const result = await trainer.train(job.set, job.settings, hooks, job.initial);
  post({ kind: 'done', result });
} catch (error) {
  post({ kind: 'failed', code: isFleetcastError(error) ? error.code : undefined, message: messageOf(error) });
} finally {
  port.close();
}

function sendCheckpoint(checkpoint: Uint8Array): void {
  const own = Uint8Array.from(checkpoint);
  port.postMessage({ kind: 'checkpoint', checkpoint: own } satisfies FromWorker, [own.buffer]);
}

function post(message: FromWorker): void {
  port.postMessage(message);
}
