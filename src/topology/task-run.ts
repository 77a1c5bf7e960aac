import { FleetcastError, messageOf } from '../errors.ts';
import type { LogRecord, OutRecord, TaskWriter } from '../log/event-log.ts';
import type { Sweep } from '../state/sweep.ts';
import type { TaskState } from '../state/task-state.ts';
import type { Counts } from './counts.ts';
import type { Executor } from './executor.ts';
import type { InputJournal, InputRun } from './input-journal.ts';
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

/** Larger micro-batches outlive the young generation of the heap: they were slower. */
const MAX_RECORDS = 2_000;
const MAX_BYTES = 8 * 1024 * 1024;
const COMMIT_RECORDS = 10_000;
const COMMIT_MS = 50;
const POLL_MS = 250;
/** How often the start of the input log is looked up, for the margin that a restore has. */
const RETENTION_CHECK_MS = 10_000;
/** How often records that nobody needs any more are deleted from the topics behind `keyBy`. */
const PURGE_MS = 30_000;
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
  retentionAtRisk = false;
  readonly #options: TaskOptions;
  readonly #progress: RunProgress;
  readonly #standby: Standby | undefined;
  readonly #follower: StateFollower;
  readonly #executor: Executor;
  readonly #intake: Intake;
  readonly #place: StatePlace;
  /** Fires when the task is told to stop, and when a commit has failed. */
  readonly #abort = new AbortController();
  #writer: TaskWriter | undefined;
  #input: TaskInput | undefined;
  #sweep!: Sweep;
  #journal: InputJournal | undefined;
  /** Place in the input sequence of the next record. */
  #sequence = 0;
  /** By source, next offset to take. */
  #taken: number[];
  /** By source: offsets that retention has taken before they were read, and that are not counted yet. */
  readonly #cut: number[];
  readonly #counts: Counts;
  /** What the micro-batch has taken in. */
  #runs: InputRun[] = [];
  #lastRecord: LogRecord | undefined;
  /** Was stopped with records polled and not taken. */
  #cutShort = false;
  #lastInputAt: number;
  #retentionCheckedAt: number;
  /** By source: what is before is needed by no restore, as of the last commit. */
  #needless: readonly number[] = [];
  #purgedAt: number;
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
    this.#place = { topic: options.stateTopic, partition: options.statePartition, task: options.name };
    this.#lastInputAt = clock.now();
    this.#retentionCheckedAt = clock.now();
    this.#purgedAt = clock.now();
    this.committed = part.sources.map(() => 0);
    this.#taken = part.sources.map(() => 0);
    this.#cut = part.sources.map(() => 0);
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

  /** By source: end of the log as last seen. */
  get ends(): readonly number[] {
    return this.#input?.ends() ?? this.committed;
  }

  /** Runs until it is stopped (false) or has reached its bound (true). Rejects with what made it fail. */
  async run(): Promise<boolean> {
    try {
      const input = await this.#start();
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
    const { log, member, part, partition, startFrom, batch } = this.#options;
    this.#writer = await member.openWriter(partition);
    const stored = await this.#writer.committed();
    const committed = part.sources.map(({ topic }) => stored.get(topic));
    const offsets = await Promise.all(part.sources.map(({ topic }) => log.offsets(topic, partition)));
    const ends = offsets.map(({ end }) => end);
    const start = part.sources.map(({ table, topic }, i) => {
      const { earliest } = offsets[i]!;
      const offset = committed[i];
      if (offset !== undefined && offset < earliest) {
        if (!this.#options.acceptCutLog) throw inputCut(`${topic}/${partition}`, offset, earliest);
        this.#cut[i] = earliest - offset;
        return earliest;
      }
      return offset ?? (startFrom === 'earliest' || table === true ? offsets[i]!.earliest : ends[i]!);
    });
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
    this.#sweep = restored.sweep;
    this.#journal = restored.journal;
    this.#sequence = restored.sequence;
    this.lastIngestTime = restored.time;
    const specs = await Promise.all(part.sources.map(({ topic }) => log.topic(topic)));
    const retentions = specs.map((spec) => spec?.retentionMs).filter((ms) => ms !== undefined);
    this.#sweep.setRetention(retentions.length > 0 ? Math.min(...retentions) : undefined);
    this.#taken = [...start];
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
      await this.#watchRetention();
      await this.#purge();
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
      const from = this.#taken[source]!;
      const shift = this.#sequence - from;
      const next = await this.#intake.fill(source, records, i, shift);
      if (next < 0 || this.#abort.signal.aborted) return false;
      const to = next < records.length ? records[next]!.offset : nextOffset;
      if (next > i) this.#lastRecord = records[next - 1]!;
      this.#runs.push({ source, from, to });
      this.#taken[source] = to;
      this.#sequence += to - from;
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
    staged.taken = [...this.#taken];
    staged.needed = this.#needed();
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
    const offsets = new Map(this.#options.part.sources.map(({ topic }, i) => [topic, taken[i]!]));
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
      this.#countCut();
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

  /** Of what retention took before it was read; once, with the first commit that goes on behind it. */
  #countCut(): void {
    for (const [i, offsets] of this.#cut.entries()) {
      if (offsets > 0) this.#counts.add(this.#options.part.sources[i]!.name, 'cut', offsets);
    }
    this.#cut.fill(0);
  }

  #stageState(staged: OutRecord[], records: number, time: number, atLeast: number, urgent: readonly number[]): void {
    const runs = this.#runs;
    this.#runs = [];
    if (!this.#executor.state.hasStores) return;
    const due = this.#sweep.due({ offset: this.#sequence - 1, time, records }, atLeast, urgent);
    const { maxRecordBytes } = this.#options.log;
    for (const record of due) staged.push(stateRecord(this.#place, record, time, maxRecordBytes));
    if (this.#journal === undefined || runs.length === 0) return;
    const length = runs.reduce((sum, { from, to }) => sum + to - from, 0);
    const entry = { base: this.#sequence - length, runs };
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
    await this.#purge();
    const { clock, idleSweepMs } = this.#options;
    if (clock.now() - this.#lastInputAt < idleSweepMs) return;
    await this.#commitHoles(input);
    if (!this.#executor.state.hasStores || this.#sweep.replayFrom >= this.#sequence - 1) return;
    const staged: OutRecord[] = [];
    this.#stageState(staged, 0, this.lastIngestTime, IDLE_SWEEP_KEYS, []);
    await this.#writer!.commit(staged, this.#offsetsTaken());
    this.#needless = this.#needed();
  }

  /**
   * Behind the last record there may be offsets without one: marks of transactions, records of aborted ones. They were read;
   * left out of the committed offsets they would count as lost once retention has taken them.
   */
  async #commitHoles(input: TaskInput): Promise<void> {
    for (const [source, to] of input.positions().entries()) {
      const from = this.#taken[source]!;
      if (to <= from) continue;
      this.#runs.push({ source, from, to });
      this.#taken[source] = to;
      this.#sequence += to - from;
    }
    if (this.#runs.length === 0) return;
    const staged: OutRecord[] = [];
    this.#stageState(staged, 0, this.lastIngestTime, 0, []);
    await this.#writer!.commit(staged, this.#offsetsTaken());
    this.#lastInputAt = this.#options.clock.now();
    this.committed = [...this.#taken];
    this.#countCut();
  }

  #offsetsTaken(): Map<string, number> {
    return new Map(this.#options.part.sources.map(({ topic }, i) => [topic, this.#taken[i]!]));
  }

  /** The sweep hurries where the log is about to lose records that a restore would need. */
  async #watchRetention(): Promise<void> {
    const { clock, log, part, partition } = this.#options;
    if (!this.#executor.state.hasStores || clock.now() - this.#retentionCheckedAt < RETENTION_CHECK_MS) return;
    this.#retentionCheckedAt = clock.now();
    let margin = 1;
    for (const [source, { topic, table }] of part.sources.entries()) {
      if (table === true) continue;
      const { earliest } = await log.offsets(topic, partition);
      const kept = this.#taken[source]! - earliest;
      if (earliest > 0 && kept > 0) margin = Math.min(margin, (this.#neededFrom(source) - earliest) / kept);
    }
    this.#sweep.setHaste(margin < 0.5 ? 8 : 1);
    this.retentionAtRisk = margin < 0.2;
  }

  /** Deletes what no restore reads any more from the topics behind `keyBy`, which nobody else reads. */
  async #purge(): Promise<void> {
    const { clock, log, part, partition, name, onEvent } = this.#options;
    if (clock.now() - this.#purgedAt < PURGE_MS) return;
    this.#purgedAt = clock.now();
    for (const [source, before] of this.#needless.entries()) {
      const { topic, repartition } = part.sources[source]!;
      if (repartition !== true || before === 0) continue;
      try {
        await log.deleteRecords(topic, partition, before);
      } catch (error) {
        // The topic grows until it can be done.
        const message = `task ${name} cannot delete what it has read of ${topic}/${partition}: ${messageOf(error)}`;
        onEvent({ kind: 'not-purged', task: name, message, error });
      }
    }
  }

  /** By source, the first offset that a restore from the next commit reads. */
  #needed(): number[] {
    const { hasStores } = this.#executor.state;
    return this.#taken.map((taken, source) => (hasStores ? Math.min(taken, this.#neededFrom(source)) : taken));
  }

  /** First offset of a source that a restore would replay. */
  #neededFrom(source: number): number {
    const from = this.#sweep.replayFrom + 1;
    if (this.#journal === undefined) return from;
    return this.#journal.startOf(source, from) ?? this.#taken[source]!;
  }
}

function inputCut(where: string, offset: number, earliest: number): FleetcastError {
  return new FleetcastError(
    'STATE_LOG_CUT',
    `${where} begins at offset ${earliest}, the group has read it up to ${offset} only: ${earliest - offset} offsets are ` +
      'lost, which `acceptCutLog` goes on without',
    { details: { where, from: offset, earliest } },
  );
}
