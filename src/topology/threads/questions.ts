import type { Worker } from 'node:worker_threads';
import { FleetcastError } from '../../errors.ts';
import type { EngineClock } from '../engine-clock.ts';
import { stateTimeout, within } from '../state-search.ts';
import type { FromThread, Question } from './messages.ts';
import { asError } from './thread-error.ts';

type Answer = FromThread & { kind: 'answer' };

/** Questions to threads, until they are answered, the thread has ended, or too much time has gone. */
export class Questions {
  readonly #clock: EngineClock;
  readonly #timeoutMs: number;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #next = 0;

  constructor(clock: EngineClock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  hear(answer: Answer): void {
    this.#waiting.get(answer.id)?.(answer);
  }

  /** @throws what the thread's engine throws; LOG_UNAVAILABLE where the thread ends meanwhile; STATE_TIMEOUT */
  ask(worker: Worker, thread: number, question: Question): Promise<unknown> {
    const id = this.#next++;
    return within(this.#clock, this.#timeoutMs, (signal) => {
      return new Promise((resolve, reject) => {
        const end = (act: () => void): void => {
          worker.off('exit', gone);
          this.#waiting.delete(id);
          act();
        };
        const gone = (): void => end(() => reject(ended(thread)));
        worker.once('exit', gone);
        signal.addEventListener('abort', () => end(() => reject(stateTimeout(`thread ${thread}`, { thread }))));
        this.#waiting.set(id, ({ value, error }) =>
          end(() => {
            if (error === undefined) resolve(value);
            else reject(asError(error));
          }),
        );
        worker.postMessage({ ...question, id });
      });
    });
  }
}

export function ended(thread: number): FleetcastError {
  return new FleetcastError(
    'LOG_UNAVAILABLE',
    `thread ${thread} has ended, or starts again: it cannot be asked for its state; ask once more`,
  );
}
