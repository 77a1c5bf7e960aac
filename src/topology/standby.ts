import { isFleetcastError, messageOf } from '../errors.ts';
import { Counts } from './counts.ts';
import type { Judge } from './poison.ts';
import { StateFollower } from './state-follower.ts';
import { taskExecutor } from './task-executor.ts';
import type { TaskOptions } from './task-options.ts';

const WAIT_MS = 1_000;

/** How a standby fares: a copy of the state of a task that another process runs. */
export interface StandbyStatus {
  readonly task: string;
  readonly subtopology: string;
  readonly partition: number;
  /** Records of the state topic that are there and not in the copy yet. */
  readonly lag: number;
  readonly keys: number;
  /** Milliseconds since the copy last was at the end of the state topic; undefined before the first time. */
  readonly currentAgeMs: number | undefined;
  /** Why it does not follow: for good, or until the next try. */
  readonly error: string | undefined;
}

/**
 * Keeps the state of a task that this process does not run up to date from the state topic. When the task comes here, it
 * goes on from the copy: what is left to read is the end of the state topic, and the input since the sweep's last cycle.
 */
export class Standby {
  readonly partition: number;
  readonly counts = new Counts();
  readonly follower: StateFollower;
  /** Of the task that has taken over. */
  judge: Judge = () => 'fail';
  readonly #options: TaskOptions;
  readonly #stopping = new AbortController();
  #life: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #error: string | undefined;
  #currentAt: number | undefined;

  constructor(options: TaskOptions) {
    this.#options = options;
    this.partition = options.partition;
    const judge: Judge = (...asked) => this.judge(...asked);
    this.follower = new StateFollower(taskExecutor(options, judge, this.counts), options);
  }

  start(): void {
    this.#life ??= this.#follow();
  }

  /** Ends the following, so that the task may go on from it. @throws what makes the copy unfit for that. */
  async handOver(): Promise<void> {
    this.#stopping.abort();
    await this.#life;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Gives the copy up. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#life;
    this.follower.executor.close();
  }

  status(): StandbyStatus {
    const { name, part, partition, clock } = this.#options;
    return {
      task: name,
      subtopology: part.name,
      partition,
      lag: this.follower.lag,
      keys: this.follower.executor.state.keys.size,
      currentAgeMs: this.#currentAt === undefined ? undefined : clock.now() - this.#currentAt,
      error: this.#error,
    };
  }

  async #follow(): Promise<void> {
    const { clock, backoffMs } = this.#options;
    const { signal } = this.#stopping;
    let pause = backoffMs[0];
    while (!signal.aborted) {
      try {
        await this.follower.next(WAIT_MS, signal);
        if (this.follower.lag === 0) this.#currentAt = clock.now();
        this.#error = undefined;
        pause = backoffMs[0];
      } catch (error) {
        this.#error = messageOf(error);
        // A copy that took in half of something is no copy; the log being away is another matter.
        if (!isFleetcastError(error) || !error.retryable) {
          this.#failure = { error };
          return;
        }
        await clock.sleep(pause, signal);
        pause = Math.min(backoffMs[1], pause * 2);
      }
    }
  }
}
