import { FleetcastError } from '../errors.ts';
import type { LogRecord, OutRecord, TaskWriter } from '../log/event-log.ts';
import type { Sweep } from '../state/sweep.ts';
import type { TaskState } from '../state/task-state.ts';
import type { Counts } from './counts.ts';
import type { Executor } from './executor.ts';
import { InputCut } from './input-cut.ts';
import type { InputJournal } from './input-journal.ts';
import { InputPlace } from './input-place.ts';
import { InputRetention } from './input-retention.ts';
import { Intake } from './intake.ts';
import type { Judge } from './poison.ts';
import { type RestoreHooks, restore } from './restore.ts';
import type { Standby } from './standby.ts';
import { StateFollower } from './state-follower.ts';
import { StateReaders } from './state-readers.ts';
import { type StatePlace, stateRecord } from './state-topic.ts';
import { taskExecutor } from './task-executor.ts';
import { type InputPart, TaskInput } from './task-input.ts';
import type { TaskOptions } from './task-options.ts';
import type { TaskPhase } from './task-status.ts';
import { taskWrites } from './task-writes.ts';

/** Larger micro-batches outlive the young generation of the heap: they were slower. */
const MAX_RECORDS = 2_000;
const MAX_BYTES = 8 * 1024 * 1024;
const COMMIT_RECORDS = 10_000;
const COMMIT_MS = 50;
const POLL_MS = 250;
/** Keys that one poll of an idle input writes. */
const IDLE_SWEEP_KEYS = 10_000;

interface Staged {
  readonly outputs: OutRecord[];
  batches: number;
  records: number;
  since: number;
  /** By source, next offset after the last micro-batch, and the ingest time of its last record. */
  taken: readonly number[];
  /** By source, the first offset that a restore from this commit reads. */
  needed: readonly number[];
  timestamp: number;
}

function nothingStaged(): Staged {
  return { outputs: [], batches: 0, records: 0, since: 0, taken: [], needed: [], timestamp: 0 };
}

/** What a run tells its task while it goes. */
export interface RunProgress {
  /** @param awaited what a task that waits needs from outside, in words. */
  phase(phase: TaskPhase, awaited?: string): void;
  moved(): void;
}

/**
 * One life of a task: from opening its writer to the first failure. Nothing of it is used after that; the next life
 * restores from the log.
 */
export class TaskRun {
  /** By source, next offset to read as of the last commit. */
  committed: readonly number[];
  /** Ingest time of the newest record that was processed. */
  lastIngestTime = 0;
  commits = 0;
  records = 0;
  lastCommitAt: number | undefined;
  /** Share of the restore that is through. */
  restored = 0;
  readonly #options: TaskOptions;
  readonly #progress: RunProgress;
  readonly #standby: Standby | undefined;
  readonly #follower: StateFollower;
  readonly #executor: Executor;
  readonly #intake: Intake;
  readonly #statePlace: StatePlace;
  /** Fires when the task is told to stop, and when a commit has failed. */
  readonly #abort = new AbortController();
  #writer: TaskWriter | undefined;
  #input: TaskInput | undefined;
  #sweep!: Sweep;
  #journal: InputJournal | undefined;
  #place!: InputPlace;
  #retention: InputRetention | undefined;
  readonly #cut: InputCut;
  readonly #counts: Counts;
  #lastRecord: LogRecord | undefined;
  /** Was stopped with records polled and not taken. */
  #cutShort = false;
  #lastInputAt: number;
  /** By source: what is before is needed by no restore, as of the last commit. */
  #needless: readonly number[] = [];
  /** The commit under way; the next batch runs meanwhile, but is committed only after it. */
  #inFlight: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** What micro-batches have left for the next commit. */
  #staged: Staged = nothingStaged();
  readonly #readers: StateReaders;

  /** @param standby a copy of the state to go on from. */
  constructor(options: TaskOptions, counts: Counts, judge: Judge, progress: RunProgress, standby?: Standby) {
    const { part, clock } = options;
    this.#options = options;
    this.#progress = progress;
    this.#statePlace = { topic: options.stateTopic, partition: options.statePartition, task: options.name };
    this.#lastInputAt = clock.now();
    this.committed = part.sources.map(() => 0);
    this.#cut = new InputCut(options);
    this.#counts = counts;
    this.#standby = standby;
    if (standby !== undefined) standby.judge = judge;
    this.#follower = standby?.follower ?? new StateFollower(taskExecutor(options, judge, counts), options);
    this.#executor = this.#follower.executor;
    this.#readers = new StateReaders(options.name, this.#executor.state);
    this.#intake = new Intake(part.sources, this.#executor.batch, this.#abort.signal, (awaited) => {
      // What came before must not wait as well.
      if (awaited !== undefined && this.#staged.batches > 0) this.#commit();
      if (awaited !== undefined) progress.phase('waiting', awaited);
      else progress.phase(this.restored < 1 ? 'replaying' : 'running');
    });
  }

  get keys(): number {
    return this.#executor.state.keys.size;
  }

  get retentionAtRisk(): boolean {
    return this.#retention?.atRisk ?? false;
  }

  /** By source: end of the log as last seen. */
  get ends(): readonly number[] {
    return this.#input?.ends() ?? this.committed;
  }

  /** Runs until it is stopped (false) or has reached its bound (true). Rejects with what made it fail. */
  async run(): Promise<boolean> {
    try {
      const input = await this.#start();
      // The state may be half restored.
      if (this.#abort.signal.aborted) return false;
      this.#progress.phase('running');
      this.#readers.open();
      const done = await this.#loop(input);
      this.#refuseFailed();
      if (this.#staged.batches > 0) this.#commit();
      await this.#settle();
      if (!this.#cutShort) await this.#commitHoles(input);
      return done;
    } finally {
      this.#abort.abort();
      this.#readers.end();
      await this.#inFlight?.catch(() => {});
      this.#executor.close();
      await this.#writer?.close().catch(() => {});
    }
  }

  /** Ends the run after the micro-batch that is under way. */
  stop(): void {
    this.#abort.abort();
  }

  /**
   * Looks at the state as of the last commit, as soon as the state is that.
   * @throws LOG_UNAVAILABLE when the run ends; the signal's reason when it fires first
   */
  read<T>(look: (state: TaskState) => T, signal: AbortSignal): Promise<T> {
    return this.#readers.read(look, signal);
  }

  async #start(): Promise<TaskInput> {
    const { log, member, part, partition, batch } = this.#options;
    this.#writer = await member.openWriter(partition, taskWrites(this.#options));
    const stored = await this.#writer.committed();
    const committed = part.sources.map(({ topic }) => stored.get(topic));
    const offsets = await Promise.all(part.sources.map(({ topic }) => log.offsets(topic, partition)));
    const ends = offsets.map(({ end }) => end);
    const start = this.#cut.startFrom(committed, offsets);
    this.#progress.phase('restoring');
    await this.#standby?.handOver();
    const { signal } = this.#abort;
    const hooks: RestoreHooks = {
      onSnapshots: (share) => {
        this.#progress.phase('restoring');
        this.#restoredTo(share / 2);
      },
      onHidden: () => {
        this.#progress.phase('waiting', "the end of another writer's transaction, which hides a part of its state");
      },
      onPrepare: () => this.#progress.phase('waiting', 'what its restored state needs from outside'),
      onReplay: (done, of) => {
        this.#progress.phase('replaying');
        this.#restoredTo(0.5 + done / of / 2);
      },
    };
    const restored = await restore(this.#follower, this.#intake, this.#options, committed, start, signal, hooks).catch(
      async (error: unknown) => {
        await this.#refuseOvertaken(committed);
        throw error;
      },
    );
    this.restored = 1;
    const { sweep, journal, sequence, time } = restored;
    this.#sweep = sweep;
    this.#journal = journal;
    this.#place = new InputPlace(start, sequence);
    this.lastIngestTime = time;
    const { hasStores } = this.#executor.state;
    this.#retention = new InputRetention(this.#options, { hasStores, sweep, journal });
    await this.#retention.prepare();
    this.committed = start;
    const { maxRecords = MAX_RECORDS, maxBytes = MAX_BYTES, pollMs = POLL_MS } = batch;
    const limits = { maxRecords, maxBytes, waitMs: pollMs };
    const bound = (topic: string): number | undefined => this.#options.until(topic);
    this.#input = new TaskInput(log, part.sources, partition, start, ends, limits, signal, bound);
    return this.#input;
  }

  /**
   * While this run was restoring, another owner may have committed: the state on the log is then newer than the offsets
   * that this run has seen, which looks like the state of another group.
   * @throws LOG_FENCED
   */
  async #refuseOvertaken(seen: readonly (number | undefined)[]): Promise<void> {
    const { part, name } = this.#options;
    const now = await this.#writer!.committed();
    if (part.sources.every(({ topic }, i) => now.get(topic) === seen[i])) return;
    throw new FleetcastError('LOG_FENCED', `${name}: another owner has committed while this one was restoring`);
  }

  #restoredTo(share: number): void {
    this.restored = share;
    this.#progress.moved();
  }

  async #loop(input: TaskInput): Promise<boolean> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      if (input.done) return true;
      const parts = await this.#poll(input);
      this.#refuseFailed();
      if (parts.length === 0) {
        await this.#idle(input);
        continue;
      }
      this.#lastInputAt = this.#options.clock.now();
      for (const part of parts) {
        if (await this.#take(part)) continue;
        this.#cutShort = true;
        return false;
      }
      await this.#runBatch();
      if (this.#commitIsDue(input)) {
        await this.#settle();
        this.#commit();
      }
      await this.#retention!.watch(this.#place.taken);
      await this.#retention!.purge(this.#needless);
    }
    return false;
  }

  /** Waits for input, then for as long as micro-batches may linger. */
  async #poll(input: TaskInput): Promise<InputPart[]> {
    const { lingerMs = 0, maxRecords = MAX_RECORDS } = this.#options.batch;
    const parts = await input.poll();
    if (lingerMs === 0 || parts.length === 0) return parts;
    const { clock } = this.#options;
    const until = clock.now() + lingerMs;
    const count = (): number => parts.reduce((sum, { records }) => sum + records.length, 0);
    while (count() < maxRecords && clock.now() < until && !this.#abort.signal.aborted) {
      await clock.sleep(Math.max(1, until - clock.now()), this.#abort.signal);
      parts.push(...(await input.poll()));
    }
    return parts;
  }

  /** Takes records into the micro-batch; runs it where it has to be cut. @returns false where the task was stopped. */
  async #take({ source, records, nextOffset }: InputPart): Promise<boolean> {
    for (let i = 0; i < records.length; ) {
      const { taken, sequence } = this.#place;
      const shift = sequence - taken[source]!;
      const next = await this.#intake.fill(source, records, i, shift);
      if (next < 0 || this.#abort.signal.aborted) return false;
      const to = next < records.length ? records[next]!.offset : nextOffset;
      if (next > i) this.#lastRecord = records[next - 1]!;
      this.#place.take(source, to);
      if (next < records.length) await this.#runBatch();
      i = next;
    }
    return true;
  }

  async #runBatch(): Promise<void> {
    if (this.#readers.someWait) {
      if (this.#staged.batches > 0) this.#commit();
      await this.#settle();
    }
    const executor = this.#executor;
    const size = executor.batch.size;
    const { timestamp } = this.#lastRecord!;
    const tableRows = [...executor.batch.tableRows];
    this.#readers.batch();

    // 1. Run the micro-batch and flush the operators.
    executor.run();

    // 2. Stage outputs, due state snapshots and the input offset.
    const staged = this.#staged;
    if (staged.batches === 0) staged.since = this.#options.clock.now();
    for (const record of executor.takeOutputs()) staged.outputs.push(record);
    this.#stageState(staged.outputs, size, timestamp, 0, tableRows);
    staged.batches++;
    staged.records += size;
    staged.taken = this.#place.taken;
    staged.needed = this.#retention!.needed(staged.taken);
    staged.timestamp = timestamp;
  }

  #commitIsDue(input: TaskInput): boolean {
    const { commitRecords = COMMIT_RECORDS, commitMs = COMMIT_MS } = this.#options.batch;
    const { batches, records, since } = this.#staged;
    if (batches === 0) return false;
    return !input.behind || records >= commitRecords || this.#options.clock.now() - since >= commitMs;
  }

  /**
   * The commit. On any failure the task drops its state, restores, and resumes from the committed offset.
   */
  #commit(): void {
    const { outputs, batches, records, taken, needed, timestamp } = this.#staged;
    this.#staged = nothingStaged();
    const offsets = this.#offsets(taken);
    const before = this.#inFlight;
    const commit = async (): Promise<void> => {
      await before;

      // 3. Commit them in one transaction.
      await this.#writer!.commit(outputs, offsets);

      // 4. Only then report progress.
      this.committed = taken;
      this.#needless = needed;
      this.lastIngestTime = timestamp;
      this.commits++;
      this.records += records;
      this.#cut.count(this.#counts);
      this.lastCommitAt = this.#options.clock.now();
      this.#progress.moved();
      this.#readers.committed(batches);
    };
    this.#inFlight = commit();
    this.#inFlight.catch((error: unknown) => {
      this.#failure ??= { error };
      this.#abort.abort();
    });
  }

  #stageState(staged: OutRecord[], records: number, time: number, atLeast: number, urgent: readonly number[]): void {
    const entry = this.#place.entry();
    if (!this.#executor.state.hasStores) return;
    const due = this.#sweep.due({ offset: this.#place.sequence - 1, time, records }, atLeast, urgent);
    const { maxRecordBytes } = this.#options.log;
    for (const record of due) staged.push(stateRecord(this.#statePlace, record, time, maxRecordBytes));
    if (this.#journal === undefined || entry === undefined) return;
    staged.push(...this.#journal.append(entry, this.#sweep.replayFrom, time));
  }

  /** Waits for the commit under way. @throws what made it fail. */
  async #settle(): Promise<void> {
    await this.#inFlight?.catch(() => {});
    this.#refuseFailed();
  }

  #refuseFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Nothing came in: what the sweep has left is written after a while, and holes behind the last record are passed. */
  async #idle(input: TaskInput): Promise<void> {
    if (this.#staged.batches > 0) this.#commit();
    await this.#settle();
    this.#progress.moved();
    await this.#retention!.purge(this.#needless);
    const { clock, idleSweepMs } = this.#options;
    if (clock.now() - this.#lastInputAt < idleSweepMs) return;
    await this.#commitHoles(input);
    if (!this.#executor.state.hasStores || this.#sweep.replayFrom >= this.#place.sequence - 1) return;
    const staged: OutRecord[] = [];
    this.#stageState(staged, 0, this.lastIngestTime, IDLE_SWEEP_KEYS, []);
    await this.#writer!.commit(staged, this.#offsets(this.#place.taken));
    this.#needless = this.#retention!.needed(this.#place.taken);
  }

  /**
   * Behind the last record there may be offsets without one: marks of transactions, records of aborted ones. They were read;
   * left out of the committed offsets they would count as lost once retention has taken them.
   */
  async #commitHoles(input: TaskInput): Promise<void> {
    if (!this.#place.passHoles(input.positions())) return;
    const staged: OutRecord[] = [];
    this.#stageState(staged, 0, this.lastIngestTime, 0, []);
    await this.#writer!.commit(staged, this.#offsets(this.#place.taken));
    this.#lastInputAt = this.#options.clock.now();
    this.committed = this.#place.taken;
    this.#cut.count(this.#counts);
  }

  #offsets(taken: readonly number[]): Map<string, number> {
    return new Map(this.#options.part.sources.map(({ topic }, i) => [topic, taken[i]!]));
  }
}
