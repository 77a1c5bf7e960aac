import { type ResourceLimits, Worker } from 'node:worker_threads';
import { type ErrorCode, FleetcastError, messageOf } from '../../errors.ts';
import { condemn, condemnBlocking, newPermit, type ThreadPermit } from '../../log/thread-permit.ts';
import { type EngineClock, systemClock } from '../engine-clock.ts';
import type { PartitionWaitStatus } from '../partition-waits.ts';
import type { StandbyStatus } from '../standby.ts';
import type { EngineStateReader } from '../state-search.ts';
import type { TaskEvent } from '../task-options.ts';
import type { TaskStatus } from '../task-status.ts';
import type { FromThread, ThreadData, ToThread } from './messages.ts';
import type { PermitWatch } from './permit-watch.worker.ts';
import { Questions } from './questions.ts';
import { asError } from './thread-error.ts';
import { threadsReader } from './thread-state.ts';
import { statusOf, type ThreadView } from './thread-status.ts';

export interface EngineThreadsOptions {
  /** Address of a JavaScript module whose default export is a `ThreadModule`. A topology holds functions, which cannot
   * be sent to a thread: each thread makes its own, with a log of its own. */
  readonly module: URL;
  /** For the module; crosses by structured clone. */
  readonly args?: unknown;
  readonly threads: number;
  /**
   * A thread that has crashed is started again so often in a row; then it stays away, and its partitions go to the
   * others. Default 10.
   */
  readonly maxRestarts?: number;
  /** After a life of so many milliseconds the next crash counts as the first again. Default 600,000. */
  readonly calmMs?: number;
  /** First and longest pause before a restart, milliseconds. Default 100 and 30,000. */
  readonly backoffMs?: readonly [number, number];
  /** A thread that has not been heard of for so long counts as stuck. Default 30,000. */
  readonly stuckMs?: number;
  /** Memory of each thread; one that takes more crashes, and nothing else does. Default: what Node gives it. */
  readonly resourceLimits?: ResourceLimits;
  /** How long `stop` waits for a thread that does not answer before it ends it. Default 30,000. */
  readonly stopMs?: number;
  /**
   * A thread that runs out of memory within a write of the embedded log cannot be ended, and nobody else can write: after
   * so long in one write the process is killed (SIGKILL, with a line on stderr). Default 60,000.
   */
  readonly writeMs?: number;
  /**
   * How long reading the state may wait for a thread that does not answer at all. Default 6,000; more than
   * `stateTimeoutMs` of the engines in the threads, which know which task it is.
   */
  readonly stateTimeoutMs?: number;
  readonly clock?: EngineClock;
  readonly onEvent?: (event: TaskEvent) => void;
  /** Called when the last thread has been given up: nothing goes on any more. */
  readonly onLost?: (error: FleetcastError) => void;
}

interface Thread extends ThreadView {
  state: ThreadView['state'];
  tasks: readonly TaskStatus[];
  lost: readonly TaskStatus[];
  downAt: number;
  backAt: number;
  heardAt: number;
  finished: boolean;
  error: string | undefined;
  errorCode: ErrorCode | undefined;
  worker: Worker | undefined;
  readonly permit: ThreadPermit;
  restarts: number;
  /** Crashes in a row. */
  crashes: number;
  standbys: readonly StandbyStatus[];
  waiting: readonly PartitionWaitStatus[];
  idle: boolean;
  counts: Readonly<Record<string, Record<string, number>>>;
  /** What it had counted in the lives that a crash has ended. */
  before: Readonly<Record<string, Record<string, number>>>;
  /** Why it has refused to start, for good. */
  refusal: FleetcastError | undefined;
  failure: FleetcastError | undefined;
  /** Resolves when the worker has ended for good. */
  life: Promise<void>;
}

/** How often a thread that is to be ended is asked whether it has come out of its write. */
const CONDEMN_MS = 5;
/** How long the end of the process waits for that. */
const EXIT_MS = 5_000;

/**
 * Engines of one group on worker threads of this process: the group divides the partitions among them. A thread that
 * crashes takes nothing with it but its tasks, which start again from their last commit.
 */
export class EngineThreads {
  readonly #options: EngineThreadsOptions;
  readonly #clock: EngineClock;
  readonly #threads: Thread[] = [];
  readonly #questions: Questions;
  readonly #stopping = new AbortController();
  #watching: Worker | undefined;
  #changed: (() => void)[] = [];

  constructor(options: EngineThreadsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#questions = new Questions(this.#clock, options.stateTimeoutMs ?? 6_000);
  }

  /**
   * Resolves when every thread has joined its group, or has crashed for good.
   * @throws at once what a thread refuses to start with and another try would not mend (the module, the configuration,
   * TOPOLOGY_INVALID, STATE_ORPHANED …): the other threads are ended then. Also where all threads have crashed for good.
   */
  async start(): Promise<void> {
    const started: Promise<void>[] = [];
    for (let number = 0; number < this.#options.threads; number++) {
      const thread: Thread = {
        number,
        state: 'up',
        worker: undefined,
        permit: newPermit(),
        restarts: 0,
        crashes: 0,
        standbys: [],
        waiting: [],
        idle: false,
        tasks: [],
        lost: [],
        downAt: Number.NEGATIVE_INFINITY,
        backAt: Number.NEGATIVE_INFINITY,
        counts: {},
        before: {},
        heardAt: this.#clock.now(),
        finished: false,
        error: undefined,
        errorCode: undefined,
        refusal: undefined,
        failure: undefined,
        life: Promise.resolve(),
      };
      this.#threads.push(thread);
    }
    this.#watch();
    for (const thread of this.#threads) {
      started.push(
        new Promise<void>((resolve) => {
          thread.life = this.#live(thread, resolve).finally(resolve);
        }),
      );
    }
    await Promise.race([Promise.all(started), this.#refused()]);
    const refused = this.#threads.find(({ refusal }) => refusal !== undefined);
    if (refused !== undefined) {
      await this.stop();
      throw refused.refusal;
    }
    const failed = this.#threads.filter(({ failure }) => failure !== undefined);
    if (failed.length === this.#threads.length) throw failed[0]!.failure;
  }

  /** Ends all threads after the commits under way; one that hangs is ended without: its last commit counts. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const { worker } of this.#threads) worker?.postMessage({ kind: 'stop' } satisfies ToThread);
    const ended = new AbortController();
    const lives = Promise.all(this.#threads.map(({ life }) => life)).then(() => ended.abort());
    await this.#clock.sleep(this.#options.stopMs ?? 30_000, ended.signal);
    for (const { worker, permit } of this.#threads) {
      // A write that never ends is the watch's matter.
      while (worker !== undefined && !condemn(permit)) await this.#clock.sleep(CONDEMN_MS);
      await worker?.terminate();
    }
    await lives;
    process.off('exit', this.#condemnAll);
    await this.#watching?.terminate();
  }

  /** Of threads that write when the process is told to end: it would never come to its end. */
  readonly #condemnAll = (): void => {
    for (const { worker, permit } of this.#threads) {
      if (worker !== undefined && !condemnBlocking(permit, EXIT_MS)) process.kill(process.pid, 'SIGKILL');
    }
  };

  #watch(): void {
    const watch: PermitWatch = {
      permits: this.#threads.map(({ permit }) => permit),
      limitMs: this.#options.writeMs ?? 60_000,
    };
    this.#watching = new Worker(builtFile('permit-watch'), {
      workerData: watch,
      resourceLimits: { maxOldGenerationSizeMb: 16 },
    });
    this.#watching.unref();
    process.on('exit', this.#condemnAll);
  }

  /** Resolves when every task has come to its bound (`until`). @throws what made a task or all threads fail for good */
  async finished(): Promise<void> {
    for (;;) {
      const failed = this.#threads.find(({ failure }) => failure !== undefined);
      if (failed !== undefined) throw failed.failure;
      if (this.#threads.every(({ finished }) => finished)) return;
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  /** How the tasks of all threads fared when last heard of; see `statusOf` for those of threads that have crashed. */
  status(): TaskStatus[] {
    return statusOf(this.#threads, this.#clock.now(), this.#options.stuckMs ?? 30_000);
  }

  /** What the threads wait for; see `Engine.waiting`. The holder may be another thread of this process. */
  waiting(): PartitionWaitStatus[] {
    return this.#threads.flatMap(({ waiting }) => waiting);
  }

  /** As `Engine.idle`, of all threads. */
  idle(): boolean {
    return this.#threads.length > 0 && this.#threads.every(({ idle }) => idle);
  }

  /**
   * The copies that the threads keep of tasks that they do not run themselves, be it that another of them does. Of
   * several copies of one task, the one that is furthest behind.
   */
  standbys(): StandbyStatus[] {
    const byTask = new Map<string, StandbyStatus>();
    for (const standby of this.#threads.flatMap(({ standbys }) => standbys)) {
      if (standby.lag >= (byTask.get(standby.task)?.lag ?? 0)) byTask.set(standby.task, standby);
    }
    return [...byTask.values()].sort((a, b) => (a.task < b.task ? -1 : 1));
  }

  /** Threads that have crashed and been started again, in all. */
  get restarts(): number {
    return this.#threads.reduce((sum, { restarts }) => sum + restarts, 0);
  }

  /** What nodes have counted in the tasks of all threads, those that have crashed included. */
  counts(): Record<string, Record<string, number>> {
    return sumOf(this.#threads.flatMap(({ counts, before }) => [counts, before]));
  }

  /** Reads a store of all tasks of all threads; see `Engine.state`. @throws LOG_UNAVAILABLE also while a thread is down */
  state(node: string, store: string): EngineStateReader {
    return threadsReader(this.#threads, this.#questions, node, store);
  }

  async #live(thread: Thread, onStarted: () => void): Promise<void> {
    const { maxRestarts = 10, calmMs = 600_000, backoffMs: [first, longest] = [100, 30_000] } = this.#options;
    const { signal } = this.#stopping;
    for (;;) {
      const begun = this.#clock.now();
      const cause = await this.#run(thread, onStarted);
      thread.worker = undefined;
      if (signal.aborted && thread.refusal === undefined) return this.#end(thread);
      const message = thread.refusal?.message ?? `thread ${thread.number} crashed: ${messageOf(cause)}`;
      const lost = new Map([...thread.lost, ...thread.tasks].map((task) => [task.task, task]));
      thread.crashes = this.#clock.now() - begun >= calmMs ? 1 : thread.crashes + 1;
      const given = thread.refusal !== undefined || thread.crashes > maxRestarts;
      Object.assign(thread, {
        state: given ? 'failed' : 'down',
        tasks: [],
        standbys: [],
        waiting: [],
        idle: false,
        counts: {},
        before: sumOf([thread.before, thread.counts]),
        lost: [...lost.values()],
        downAt: this.#clock.now(),
        error: message,
        errorCode: thread.refusal?.code,
      } satisfies Partial<Thread>);
      this.#options.onEvent?.({
        kind: 'failed',
        task: `thread ${thread.number}`,
        message,
        error: thread.refusal ?? cause,
      });
      if (given) {
        thread.failure = thread.refusal ?? new FleetcastError('OPERATOR_FAILED', message, { cause });
        if (this.#threads.every(({ state }) => state === 'failed')) this.#options.onLost?.(thread.failure);
        return this.#tellChanged();
      }
      await this.#clock.sleep(Math.min(longest, first * 2 ** (thread.crashes - 1)), signal);
      if (signal.aborted) return this.#end(thread);
      thread.restarts++;
    }
  }

  #end(thread: Thread): void {
    thread.state = 'ended';
  }

  /** Resolves when a thread has refused to start; never where none does. */
  async #refused(): Promise<void> {
    while (this.#threads.every(({ refusal }) => refusal === undefined)) {
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  /** One life of a worker; resolves with what ended it. */
  #run(thread: Thread, onStarted: () => void): Promise<unknown> {
    const { module, args, resourceLimits } = this.#options;
    const { permit } = thread;
    const data: ThreadData = { module: module.href, args, thread: thread.number, permit, again: thread.restarts > 0 };
    const worker = new Worker(builtFile('engine'), {
      workerData: data,
      ...(resourceLimits === undefined ? {} : { resourceLimits }),
    });
    thread.worker = worker;
    return new Promise((resolve) => {
      worker.on('message', (message: FromThread) => this.#hear(thread, message, onStarted));
      worker.on('error', resolve);
      worker.on('exit', (code) => resolve(new Error(`exit code ${code}`)));
    });
  }

  #hear(thread: Thread, message: FromThread, onStarted: () => void): void {
    thread.heardAt = this.#clock.now();
    if (message.kind === 'started') {
      onStarted();
    } else if (message.kind === 'refused') {
      thread.refusal = asError(message.error);
      this.#tellChanged();
    } else if (message.kind === 'status') {
      if (thread.state === 'down') {
        thread.state = 'up';
        thread.backAt = thread.heardAt;
      }
      thread.tasks = message.tasks;
      const here = new Set(message.tasks.map(({ task }) => task));
      for (const each of this.#threads) each.lost = each.lost.filter(({ task }) => !here.has(task));
      thread.standbys = message.standbys;
      thread.waiting = message.waiting;
      thread.idle = message.idle;
      thread.counts = message.counts;
    } else if (message.kind === 'event') {
      const { event, error } = message;
      this.#options.onEvent?.(error === undefined ? event : { ...event, error: asError(error) });
    } else if (message.kind === 'answer') {
      this.#questions.hear(message);
    } else {
      // A task that has failed for good leaves the others going on: the thread has more to tell.
      thread.finished = message.error === undefined;
      if (message.error !== undefined) thread.failure = asError(message.error);
      this.#tellChanged();
    }
  }

  #tellChanged(): void {
    for (const changed of this.#changed.splice(0)) changed();
  }
}

function sumOf(all: readonly Thread['counts'][]): Record<string, Record<string, number>> {
  const sum: Record<string, Record<string, number>> = {};
  for (const [node, reasons] of all.flatMap((counts) => Object.entries(counts))) {
    sum[node] ??= {};
    for (const [reason, count] of Object.entries(reasons)) sum[node][reason] = (sum[node][reason] ?? 0) + count;
  }
  return sum;
}

/** Beside this file; from the sources (tests), the built one, because threads cannot run TypeScript. */
function builtFile(name: 'engine' | 'permit-watch'): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL(`../../../dist/topology/threads/${name}.worker.js`, import.meta.url)
    : new URL(`./${name}.worker.js`, import.meta.url);
}
