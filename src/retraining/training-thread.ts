import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { isFleetcastError, messageOf } from '../errors.ts';
import { unpackHistory } from './packed-history.ts';
import type { FromTraining, TrainingStart } from './train-apart.ts';
import { runTrainingJob } from './training-job.ts';

/** Entry of the thread of a training: one job, then it ends. */
const port = parentPort!;
const controller = new AbortController();
const NICENESS = 10;
port.on('message', () => controller.abort());

try {
  // On Linux this is the niceness of the calling thread alone. Elsewhere it would be that of the whole process.
  if (process.platform === 'linux') setPriority(0, NICENESS);
} catch {
  // Not allowed to: training then shares the processor as an equal.
}

try {
  const { job, history, checkpoints, checkpointMs, resume } = workerData as TrainingStart;
  const trained = await runTrainingJob(
    { ...job, history: unpackHistory(history) },
    {
      signal: controller.signal,
      onStage: (stage, detail) => post({ kind: 'stage', stage, detail }),
      onProgress: (progress) => post({ kind: 'progress', progress }),
      ...(checkpoints ? { onCheckpoint: (checkpoint) => post({ kind: 'checkpoint', checkpoint }) } : {}),
      ...(checkpointMs === undefined ? {} : { checkpointMs }),
      ...(resume === undefined ? {} : { resume }),
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
