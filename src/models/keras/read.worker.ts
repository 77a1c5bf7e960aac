import { parentPort } from 'node:worker_threads';
import { messageOf } from '../../errors.ts';
import type { ReadAnswer } from './import.ts';
import { readKeras } from './read.ts';

/** Entry of a thread that reads Keras files, one after the other. */
const port = parentPort!;
port.on('message', (bytes: Uint8Array) => {
  readKeras(bytes).then(
    (model) => port.postMessage({ model } satisfies ReadAnswer),
    (error: unknown) => port.postMessage({ problem: messageOf(error) } satisfies ReadAnswer),
  );
});
