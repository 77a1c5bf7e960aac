import { FleetcastError } from '../errors.ts';
import type { TaskState } from '../state/task-state.ts';

/** Those who wait to look at the state of one life of a task: it is shown as of a commit, never between two. */
export class StateReaders {
  readonly #task: string;
  readonly #state: TaskState;
  /** They look at the state, or hear that there is none any more. */
  readonly #waiting = new Set<(ended: boolean) => void>();
  /** Restored and not ended. */
  #open = false;
  #ended = false;
  /** Micro-batches that have run and are not committed: the state is that of the last commit where there are none. */
  #uncommitted = 0;

  constructor(task: string, state: TaskState) {
    this.#task = task;
    this.#state = state;
  }

  get someWait(): boolean {
    return this.#waiting.size > 0;
  }

  /**
   * Looks at the state as of the last commit, as soon as the state is that.
   * @throws LOG_UNAVAILABLE when the life ends; the signal's reason when it fires first
   */
  read<T>(look: (state: TaskState) => T, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = (): void => {
        this.#waiting.delete(answer);
        reject(signal.reason);
      };
      const answer = (ended: boolean): void => {
        signal.removeEventListener('abort', late);
        try {
          if (ended) throw gone(this.#task);
          resolve(look(this.#state));
        } catch (error) {
          reject(error);
        }
      };
      if (this.#ended) return answer(true);
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', late);
      this.#waiting.add(answer);
      this.#answer();
    });
  }

  /** The state is restored. */
  open(): void {
    this.#open = true;
    this.#answer();
  }

  /** A micro-batch is about to change the state. */
  batch(): void {
    this.#uncommitted++;
  }

  /** So many micro-batches have been committed. */
  committed(batches: number): void {
    this.#uncommitted -= batches;
    this.#answer();
  }

  /** There is no state any more. */
  end(): void {
    this.#open = false;
    this.#ended = true;
    this.#answerAll(true);
  }

  #answer(): void {
    if (this.#open && this.#uncommitted === 0) this.#answerAll(false);
  }

  #answerAll(ended: boolean): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const answer of waiting) answer(ended);
  }
}

function gone(task: string): FleetcastError {
  return new FleetcastError('LOG_UNAVAILABLE', `task ${task} ends or starts again; ask for its state once more`);
}
