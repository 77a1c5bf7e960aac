import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { FleetcastError } from '../../errors.ts';
import { ChunkRunner, type ChunkShare, CONTROL, claim, generationOf } from './chunks.ts';

/** A chunk takes milliseconds: a thread that holds one for so long is gone. */
const LOST_MS = 60_000;

/**
 * Runs the chunks of a step on this thread and on helper threads. Which thread runs which chunk does not matter: every
 * chunk writes to places of its own.
 */
export class ChunkPool {
  readonly #share: ChunkShare;
  readonly #runner: ChunkRunner;
  readonly #helpers: Worker[] = [];
  #generation = 0;

  /** @param threads in all, this one included; helpers are left out where they cannot be started */
  constructor(share: ChunkShare, threads: number) {
    this.#share = share;
    this.#runner = new ChunkRunner(share, 0);
    const file = workerFile();
    for (let thread = 1; thread < threads && file !== undefined; thread++) {
      const helper = new Worker(file, { workerData: { share, thread } });
      // A helper that fails leaves its chunks to the others; one that fails inside a chunk is found by the time-out.
      helper.on('error', () => {});
      helper.unref();
      this.#helpers.push(helper);
    }
  }

  /** Runs `chunks` chunks and returns when all are done. @throws TRAINER_UNAVAILABLE when a thread was lost */
  run(chunks: number): void {
    const { control } = this.#share;
    this.#generation++;
    control[CONTROL.chunks] = chunks;
    Atomics.store(control, CONTROL.done, 0);
    Atomics.store(control, CONTROL.next, this.#generation << 8);
    Atomics.store(control, CONTROL.generation, this.#generation);
    Atomics.notify(control, CONTROL.generation);
    let chunk = claim(control, this.#generation);
    for (; chunk >= 0; chunk = claim(control, this.#generation)) this.#runner.run(this.#generation, chunk);
    for (let done = Atomics.load(control, CONTROL.done); done < chunks; done = Atomics.load(control, CONTROL.done)) {
      if (Atomics.wait(control, CONTROL.done, done, LOST_MS) === 'timed-out') {
        throw new FleetcastError('TRAINER_UNAVAILABLE', `a training thread was lost with ${chunks - done} chunks`);
      }
    }
  }

  async close(): Promise<void> {
    const { control } = this.#share;
    Atomics.store(control, CONTROL.generation, -1);
    Atomics.notify(control, CONTROL.generation);
    await Promise.all(this.#helpers.map((helper) => helper.terminate()));
  }
}

/** The loop of a helper thread, until the pool is closed. */
export function helpWith(share: ChunkShare, thread: number): void {
  const { control } = share;
  const runner = new ChunkRunner(share, thread);
  let seen = 0;
  for (;;) {
    Atomics.wait(control, CONTROL.generation, seen);
    seen = generationOf(control);
    if (seen < 0) return;
    for (let chunk = claim(control, seen); chunk >= 0; chunk = claim(control, seen)) runner.run(seen, chunk);
  }
}

/** The built file, beside this one or in dist/: threads cannot run TypeScript. */
function workerFile(): URL | undefined {
  if (!import.meta.url.endsWith('.ts')) return new URL('./chunk.worker.js', import.meta.url);
  const built = new URL('../../../dist/models/training/chunk.worker.js', import.meta.url);
  return existsSync(built) ? built : undefined;
}
