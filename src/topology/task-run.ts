import type { LogRecord, ReadBatch, TaskWriter } from '../log/event-log.ts';
import type { Sweep } from '../state/sweep.ts';
import type { TaskState } from '../state/task-state.ts';
import type { Counts } from './counts.ts';
import { Executor } from './executor.ts';
import { Intake } from './intake.ts';
import { PartitionReader } from './partition-reader.ts';
import type { Judge } from './poison.ts';
import { restore } from './restore.ts';
import { type StatePlace, stateRecord } from './state-topic.ts';
import type { TaskOptions } from './task-options.ts';
import type { TaskPhase } from './task-status.ts';

/** Larger micro-batches outlive the young generation of the heap: they were slower. */
const MAX_RECORDS = 2_000;
/** How long one poll of a quiet input takes. */
const WAIT_MS = 250;
/** How often the start of the input log is looked up, for the margin that a restore has. */
const RETENTION_CHECK_MS = 10_000;
/** Keys that one poll of an idle input writes. */
const IDLE_SWEEP_KEYS = 10_000;

/** What a run tells its task while it goes. */
export interface RunProgress {
  phase(phase: TaskPhase): void;
  moved(): void;
}

/**
 * One life of a task: from opening its writer to the first failure. Nothing of it is used after that; the next life
 * restores from the log.
 */
export class TaskRun {
  /** Next offset to read as of the last commit. */
  committed = 0;
  end = 0;
  /** Ingest time of the newest record that was processed. */
  lastIngestTime = 0;
  commits = 0;
  records = 0;
  lastCommitAt: number | undefined;
  restored = 0;
  retentionAtRisk = false;
  readonly #options: TaskOptions;
  readonly #progress: RunProgress;
  readonly #executor: Executor;
  readonly #counts: Counts;
  readonly #place: StatePlace;
  /** Fires when the task is told to stop, and when a commit has failed. */
  readonly #abort = new AbortController();
  #writer: TaskWriter | undefined;
  #sweep: Sweep | undefined;
  #position = 0;
  #lastInputAt: number;
  #retentionCheckedAt = 0;
  /** The commit under way; the next batch runs meanwhile, but is staged only after it. */
  #inFlight: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** Restored and not ended. */
  #open = false;
  /** Micro-batches that have run and are not committed: the state is that of the last commit where there are none. */
  #uncommitted = 0;
  readonly #readers: (() => void)[] = [];

  constructor(options: TaskOptions, counts: Counts, judge: Judge, progress: RunProgress) {
    this.#options = options;
    this.#progress = progress;
    this.#counts = counts;
    this.#place = { topic: options.stateTopic, partition: options.statePartition, task: options.name };
    this.#lastInputAt = options.clock.now();
    this.#executor = new Executor(options.part, {
      task: options.name,
      partition: options.partition,
      target: (sink) => options.target(sink, options.partition),
      deadLetters: options.deadLetters,
      judge,
      counts: this.#counts,
    });
  }

  get keys(): number {
    return this.#executor.state.keys.size;
  }

  /** Runs until it is stopped (false) or has reached its bound (true). Rejects with what made it fail. */
  async run(): Promise<boolean> {
    try {
      const reader = await this.#start();
      this.#progress.phase('running');
      this.#open = true;
      this.#answer();
      const done = await this.#loop(reader);
      await this.#settle();
      return done;
    } finally {
      this.#abort.abort();
      this.#open = false;
      await this.#inFlight?.catch(() => {});
      this.#executor.close();
      await this.#writer?.close().catch(() => {});
    }
  }

  /** Ends the run after the micro-batch that is under way. */
  stop(): void {
    this.#abort.abort();
  }

  /** Looks at the state as of the last commit, as soon as the state is that. */
  read<T>(look: (state: TaskState) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const answer = (): void => {
        try {
          resolve(look(this.#executor.state));
        } catch (error) {
          reject(error);
        }
      };
      this.#readers.push(answer);
      this.#answer();
    });
  }

  async #start(): Promise<PartitionReader> {
    const { log, member, part, partition, startFrom } = this.#options;
    const topic = part.sources[0]!.topic;
    this.#writer = await member.openWriter(partition);
    const committed = (await this.#writer.committed()).get(topic);
    const { earliest, end } = await log.offsets(topic, partition);
    const start = committed ?? (startFrom === 'earliest' ? earliest : end);
    this.#progress.phase('restoring');
    this.#sweep = await restore(this.#executor, this.#intake(), this.#options, committed, start, this.#abort.signal, {
      onSnapshots: (share) => this.#restoredTo(share / 2),
      onPrepare: () => this.#progress.phase('waiting'),
      onReplay: (done, of) => {
        this.#progress.phase('replaying');
        this.#restoredTo(0.5 + done / of / 2);
      },
    });
    this.restored = 1;
    this.#sweep.setRetention((await log.topic(topic))?.retentionMs);
    this.#position = start;
    this.committed = start;
    this.end = end;
    const { maxRecords = MAX_RECORDS, maxBytes = 8 * 1024 * 1024 } = this.#options.batch;
    const limits = { maxRecords, maxBytes, waitMs: WAIT_MS };
    return new PartitionReader(log, topic, partition, start, limits, this.#abort.signal);
  }

  #restoredTo(share: number): void {
    this.restored = share;
    this.#progress.moved();
  }

  #intake(): Intake {
    return new Intake(this.#options.part.sources, this.#executor.batch, this.#abort.signal, (waiting) => {
      this.#progress.phase(waiting ? 'waiting' : this.restored < 1 ? 'replaying' : 'running');
    });
  }

  async #loop(reader: PartitionReader): Promise<boolean> {
    const intake = this.#intake();
    const { signal } = this.#abort;
    const bound = this.#options.until?.get(reader.topic);
    while (!signal.aborted) {
      if (bound !== undefined && this.#position >= bound) return true;
      const batch = await this.#poll(reader);
      this.#refuseFailed();
      this.end = batch.endOffset;
      const records = bound === undefined ? batch.records : batch.records.filter(({ offset }) => offset < bound);
      if (records.length === 0) {
        await this.#idle(batch, bound);
        continue;
      }
      this.#lastInputAt = this.#options.clock.now();
      for (let i = 0; i < records.length && !signal.aborted; ) {
        const next = await intake.fill(0, records, i);
        if (next < 0) break;
        const cut = next < records.length || records.length < batch.records.length;
        await this.#runBatch(records[next - 1]!, cut ? records[next - 1]!.offset + 1 : batch.nextOffset);
        i = next;
      }
      await this.#watchRetention(reader.topic);
    }
    return false;
  }

  async #poll(reader: PartitionReader): Promise<ReadBatch> {
    const { lingerMs = 0, maxRecords = MAX_RECORDS } = this.#options.batch;
    const first = await reader.next();
    if (lingerMs === 0 || first.records.length === 0 || first.records.length >= maxRecords) return first;
    const records: LogRecord[] = [...first.records];
    const { clock } = this.#options;
    const until = clock.now() + lingerMs;
    let last = first;
    while (records.length < maxRecords && clock.now() < until && !this.#abort.signal.aborted) {
      await clock.sleep(Math.max(1, until - clock.now()), this.#abort.signal);
      last = await reader.next();
      for (const record of last.records) records.push(record);
    }
    return { records, nextOffset: last.nextOffset, endOffset: last.endOffset };
  }

  /**
   * The commit. On any failure the task drops its state, restores, and resumes from the committed offset.
   */
  async #runBatch(last: LogRecord, nextOffset: number): Promise<void> {
    if (this.#readers.length > 0) await this.#settle();
    const { batch } = this.#executor;
    const size = batch.size;
    this.#uncommitted++;

    // 1. Run the micro-batch and flush the operators.
    this.#executor.run();

    // 2. Stage outputs, due state snapshots and the input offset.
    const staged = this.#executor.takeOutputs();
    if (this.#executor.state.hasStores) {
      const due = this.#sweep!.due({ offset: nextOffset - 1, time: last.timestamp, records: size });
      for (const record of due) staged.push(stateRecord(this.#place, record, last.timestamp));
    }
    const offsets = new Map([[this.#options.part.sources[0]!.topic, nextOffset]]);
    await this.#settle();
    this.#position = nextOffset;

    // 3. Commit them in one transaction.
    this.#inFlight = this.#writer!.commit(staged, offsets).then(() => {
      // 4. Only then report progress.
      this.committed = nextOffset;
      this.lastIngestTime = last.timestamp;
      this.commits++;
      this.records += size;
      this.lastCommitAt = this.#options.clock.now();
      this.#uncommitted--;
      this.#progress.moved();
      this.#answer();
    });
    this.#inFlight.catch((error: unknown) => {
      this.#failure ??= { error };
      this.#abort.abort();
    });
  }

  /** Waits for the commit under way. @throws what made it fail. */
  async #settle(): Promise<void> {
    await this.#inFlight?.catch(() => {});
    this.#refuseFailed();
  }

  #refuseFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Answers those who wait for the state of a commit, if that is what it is. */
  #answer(): void {
    if (!this.#open || this.#uncommitted > 0) return;
    for (const answer of this.#readers.splice(0)) answer();
  }

  /** Nothing came in. */
  async #idle(batch: ReadBatch, bound: number | undefined): Promise<void> {
    await this.#settle();
    if (bound !== undefined && batch.nextOffset >= bound) this.#position = Math.max(this.#position, bound);
    this.#progress.moved();
    const { clock, idleSweepMs } = this.#options;
    const sweep = this.#sweep!;
    if (!this.#executor.state.hasStores || sweep.replayFrom >= this.#position - 1) return;
    if (clock.now() - this.#lastInputAt < idleSweepMs) return;
    const position = { offset: this.#position - 1, time: this.lastIngestTime, records: 0 };
    const due = sweep.due(position, IDLE_SWEEP_KEYS);
    const staged = due.map((record) => stateRecord(this.#place, record, this.lastIngestTime));
    const topic = this.#options.part.sources[0]!.topic;
    await this.#writer!.commit(staged, new Map([[topic, this.#position]]));
  }

  /** The sweep hurries where the log is about to lose records that a restore would need. */
  async #watchRetention(topic: string): Promise<void> {
    const { clock, log, partition } = this.#options;
    if (clock.now() - this.#retentionCheckedAt < RETENTION_CHECK_MS) return;
    this.#retentionCheckedAt = clock.now();
    const { earliest } = await log.offsets(topic, partition);
    const needed = this.#sweep!.replayFrom + 1;
    const kept = this.#position - earliest;
    const margin = earliest === 0 || kept <= 0 ? 1 : (needed - earliest) / kept;
    this.#sweep!.setHaste(margin < 0.5 ? 8 : 1);
    this.retentionAtRisk = this.#executor.state.hasStores && margin < 0.2;
  }
}
