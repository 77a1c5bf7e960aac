import { parentPort, workerData } from 'node:worker_threads';
import { isFleetcastError, messageOf } from '../errors.ts';
import { lowPriority } from '../models/training/low-priority.ts';
import { unpackHistory } from './packed-history.ts';
import type { FromTraining, ToTraining, TrainingStart } from './train-apart.ts';
import { runTrainingJob } from './training-job.ts';

/** Entry of the thread of a training: one job, then it ends. */
const port = parentPort!;
const controller = new AbortController();
const limit = new AbortController();
port.on('message', (message: ToTraining) => (message === 'limit' ? limit : controller).abort());

lowPriority();

try {
  const { job, history, checkpoints, checkpointMs, resume, threads } = workerData as TrainingStart;
  const trained = await runTrainingJob(
    { ...job, history: unpackHistory(history) },
    {
      signal: controller.signal,
      limit: limit.signal,
      onStage: (stage, detail) => post({ kind: 'stage', stage, detail }),
      onProgress: (progress) => post({ kind: 'progress', progress }),
      ...(checkpoints ? { onCheckpoint: (checkpoint) => post({ kind: 'checkpoint', checkpoint }) } : {}),
      ...(checkpointMs === undefined ? {} : { checkpointMs }),
      ...(resume === undefined ? {} : { resume }),
      ...(threads === undefined ? {} : { threads }),
    },
  );
  post({ kind: 'done', trained });
} catch (error) {
  post({ kind: 'failed', code: isFleetcastError(error) ? error.code : undefined, message: messageOf(error) });
} finally {
  port.close();
}

function post(message: FromTraining): void {
  port.postMessage(message);
}
