import { FleetcastError, isFleetcastError, messageOf } from '../errors.ts';
import type { TaskState } from '../state/task-state.ts';
import { Counts } from './counts.ts';
import type { Judge } from './poison.ts';
import { isPermanent } from './restore.ts';
import type { Standby } from './standby.ts';
import { elsewhere, stateTimeout } from './state-search.ts';
import type { TaskEvent, TaskOptions } from './task-options.ts';
import { type RunProgress, TaskRun } from './task-run.ts';
import type { TaskPhase, TaskStatus } from './task-status.ts';

const MAX_RETRY_PAUSE_MS = 30_000;
const MAX_ATTEMPTS_KEPT = 10_000;
/** A wait for something from outside is told when it has lasted so long: most end at once. */
const TELL_WAIT_MS = 5_000;

/**
 * The task of one partition. It runs, and after a failure runs again from its last commit: after a pause that doubles,
 * or not at all where another try cannot help. What it does never touches another task.
 */
export class Task {
  readonly partition: number;
  readonly counts: Counts;
  readonly #options: TaskOptions;
  #run: TaskRun | undefined;
  #phase: TaskPhase = 'starting';
  #phaseSince: number;
  #movedAt: number;
  #restarts = 0;
  #failures = 0;
  #error: unknown;
  #before = { commits: 0, records: 0 };
  #standby: Standby | undefined;
  readonly #stopping = new AbortController();
  #life: Promise<void> | undefined;
  /** Failures of one record at one node, for `retry`. */
  /** By failure, the latest last. Kept after the record has passed: another one may take the task back to before it. */
  readonly #attempts = new Map<string, number>();
  #retryPauseMs = 0;
  /** Ends the wait for the moment at which waiting is told; `told` is what was awaited, once it has been. */
  #waiting: { readonly end: AbortController; told: string | undefined } | undefined;

  /** @param standby a copy of the state for the first run to go on from. */
  constructor(options: TaskOptions, standby?: Standby) {
    this.#options = options;
    this.#standby = standby;
    this.counts = standby?.counts ?? new Counts();
    this.partition = options.partition;
    this.#phaseSince = options.clock.now();
    this.#movedAt = this.#phaseSince;
  }

  get name(): string {
    return this.#options.name;
  }

  get phase(): TaskPhase {
    return this.#phase;
  }

  /** What made the task fail for good or back off. */
  get error(): unknown {
    return this.#error;
  }

  start(): void {
    this.#life ??= this.#live();
  }

  /** Resolves when the task has ended: done, failed for good, or stopped. Never rejects. */
  async ended(): Promise<void> {
    await this.#life;
  }

  /** Ends after the micro-batch under way and its commit. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#run?.stop();
    await this.#life;
  }

  /**
   * Looks at the state as of the last commit; waits until the task runs, or the signal fires.
   * @throws USAGE where it has ended for good, STATE_ELSEWHERE where its partition goes to another process,
   * LOG_UNAVAILABLE where it starts again: ask once more; STATE_TIMEOUT
   */
  async read<T>(look: (state: TaskState) => T, signal: AbortSignal): Promise<T> {
    const run = this.#run;
    const going = this.#stopping.signal;
    if (going.aborted) throw this.#gone();
    if (run === undefined || ENDED.has(this.#phase)) {
      throw new FleetcastError('USAGE', `task ${this.name} is ${this.#phase}: its state cannot be read`);
    }
    try {
      return await run.read(look, signal);
    } catch (error) {
      if (going.aborted) throw this.#gone();
      if (!signal.aborted) throw error;
      throw stateTimeout(`task ${this.name}, which is ${this.#phase},`, { task: this.name, phase: this.#phase });
    }
  }

  status(): TaskStatus {
    const { clock, part, partition, stuckMs } = this.#options;
    const now = clock.now();
    const run = this.#run;
    const inputs = part.sources.map(({ topic }, i) => {
      const offset = run?.committed[i] ?? 0;
      const end = Math.max(run?.ends[i] ?? 0, offset);
      return { topic, offset, end, lag: end - offset };
    });
    const lag = inputs.reduce((sum, input) => sum + input.lag, 0);
    const busy = !ENDED.has(this.#phase) && (lag > 0 || this.#phase !== 'running');
    return {
      task: this.name,
      subtopology: part.name,
      partition,
      phase: this.#phase,
      phaseAgeMs: now - this.#phaseSince,
      inputs,
      lag,
      lagMs: lag > 0 && run !== undefined && run.lastIngestTime > 0 ? Math.max(0, now - run.lastIngestTime) : 0,
      commitAgeMs: run?.lastCommitAt === undefined ? undefined : now - run.lastCommitAt,
      commits: this.#before.commits + (run?.commits ?? 0),
      records: this.#before.records + (run?.records ?? 0),
      restored: run?.restored ?? 0,
      keys: run?.keys ?? 0,
      restarts: this.#restarts,
      stuck: this.#phase === 'failed' || (busy && now - this.#movedAt > stuckMs),
      retentionAtRisk: run?.retentionAtRisk ?? false,
      error: this.#error === undefined ? undefined : messageOf(this.#error),
      errorCode: isFleetcastError(this.#error) ? this.#error.code : undefined,
    };
  }

  async #live(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const done = await this.#runOnce();
        if (done || signal.aborted) return this.#end(done ? 'done' : 'stopped');
      } catch (error) {
        if (signal.aborted) break;
        this.#error = error;
        const pause = this.#pauseAfter(error);
        if (pause === undefined) return this.#end('failed');
        this.#enter('backing-off');
        this.#tell('backing-off', `${messageOf(error)}; starts again in ${pause} ms`, error);
        this.#restarts++;
        await this.#options.clock.sleep(pause, signal);
      }
    }
    this.#end('stopped');
  }

  async #runOnce(): Promise<boolean> {
    this.#enter('starting');
    const judge: Judge = (policy, failure) => {
      if (typeof policy === 'string') return policy;
      const attempts = this.#attempts.get(failure) ?? 0;
      if (attempts >= policy.attempts) return policy.exhausted;
      this.#attempts.delete(failure);
      this.#attempts.set(failure, attempts + 1);
      if (this.#attempts.size > MAX_ATTEMPTS_KEPT) this.#attempts.delete(this.#attempts.keys().next().value!);
      this.#retryPauseMs = Math.min(MAX_RETRY_PAUSE_MS, policy.backoffMs * 2 ** attempts);
      return 'retry';
    };
    const progress: RunProgress = {
      phase: (phase, awaited) => this.#enter(phase, awaited),
      moved: () => {
        this.#movedAt = this.#options.clock.now();
        if (this.#phase === 'running') this.#error = undefined;
      },
    };
    const standby = this.#standby;
    this.#standby = undefined;
    const run = new TaskRun(this.#options, this.counts, judge, progress, standby);
    const previous = this.#run;
    this.#before = {
      commits: this.#before.commits + (previous?.commits ?? 0),
      records: this.#before.records + (previous?.records ?? 0),
    };
    this.#run = run;
    this.#tell('started', `task ${this.name} starts`);
    try {
      return await run.run();
    } finally {
      if (run.commits > 0) this.#failures = 0;
    }
  }

  /** Undefined where the task has to stop. */
  #pauseAfter(error: unknown): number | undefined {
    if (isFleetcastError(error, 'OPERATOR_FAILED')) {
      return error.details['retry'] === true ? this.#retryPauseMs : undefined;
    }
    if (isPermanent(error)) return undefined;
    const [first, longest] = this.#options.backoffMs;
    return Math.min(longest, first * 2 ** this.#failures++);
  }

  #enter(phase: TaskPhase, awaited = ''): void {
    if (phase === this.#phase) return;
    if (phase === 'running' && this.#phase !== 'waiting') this.#tell('restored', `task ${this.name} is restored`);
    this.#endWait();
    if (phase === 'waiting') void this.#tellWait(awaited);
    this.#phase = phase;
    this.#phaseSince = this.#options.clock.now();
  }

  async #tellWait(awaited: string): Promise<void> {
    const waiting = { end: new AbortController(), told: undefined as string | undefined };
    this.#waiting = waiting;
    await this.#options.clock.sleep(TELL_WAIT_MS, waiting.end.signal);
    if (waiting.end.signal.aborted) return;
    waiting.told = awaited;
    const text = `task ${this.name} has waited ${TELL_WAIT_MS / 1000} s for ${awaited}, and goes on when that is there`;
    this.#tell('waiting', text);
  }

  #endWait(): void {
    const told = this.#waiting?.told;
    this.#waiting?.end.abort();
    this.#waiting = undefined;
    if (told !== undefined) this.#tell('waited', `task ${this.name} does not wait any more for ${told}`);
  }

  #end(phase: 'done' | 'failed' | 'stopped'): void {
    this.#enter(phase);
    this.#tell(phase, phase === 'failed' ? messageOf(this.#error) : `task ${this.name} is ${phase}`, this.#error);
  }

  #gone(): FleetcastError {
    return elsewhere(`task ${this.name}`, { task: this.name });
  }

  #tell(kind: TaskEvent['kind'], message: string, error?: unknown): void {
    this.#options.onEvent({ kind, task: this.name, message, ...(error === undefined ? {} : { error }) });
  }
}

const ENDED: ReadonlySet<TaskPhase> = new Set(['failed', 'done', 'stopped']);
