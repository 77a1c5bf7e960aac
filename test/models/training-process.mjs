// Trains with the kernel in this process, for tests that kill it. Arguments: SET-FILE CHECKPOINT-FILE KILL-AT.
// The set is JSON with `values`, `settings` and windows as `protocolSet` makes them. The kill
// comes from within, after so many checkpoints, so that it always falls in the middle.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { kernelTrainer } from '../../dist/models/training/kernel-trainer.js';

const [setFile, checkpointFile, killAt] = process.argv.slice(2);
const { shape, settings, values, measured, train, validation } = JSON.parse(readFileSync(setFile, 'utf8'));
const index = ({ starts, means, deviations }) => ({
  starts: Int32Array.from(starts),
  means: Float64Array.from(means),
  deviations: Float64Array.from(deviations),
});
const set = {
  shape,
  values: Float64Array.from(values),
  measured: Uint8Array.from(measured),
  train: index(train),
  validation: index(validation),
};
let count = 0;
await kernelTrainer(2).train(set, settings, {
  checkpointMs: 0,
  onCheckpoint: (bytes) => {
    writeFileSync(`${checkpointFile}.part`, bytes);
    renameSync(`${checkpointFile}.part`, checkpointFile);
    if (++count === Number(killAt)) process.kill(process.pid, 'SIGKILL');
  },
});
