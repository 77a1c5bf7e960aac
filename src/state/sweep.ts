import { FleetcastError } from '../errors.ts';
import type { StateSnapshot } from '../events/records.ts';
import type { StoreBytes, TaskState } from './task-state.ts';

/** A snapshot to write, or a tombstone for a key that has had no state for a whole cycle. */
export type SweepRecord = { readonly key: string; readonly snapshot: StateSnapshot | null };

export interface SweepOptions {
  readonly task: string;
  /** Topics of the input: offsets of a snapshot mean nothing for other ones. */
  readonly inputs: readonly string[];
  /**
   * Input records in which every key is written once. A restore reads the state and replays between one and two such
   * stretches; each record costs keys ÷ length snapshots. Default: eight records a key, between 20,000 and 2,000,000.
   */
  readonly length?: number;
}

/**
 * How far the input has come when a commit is staged. Offsets here are places in the task's input sequence: offsets of
 * the input partition, where there is but one.
 */
export interface SweepPosition {
  /** Of the last input record that the state contains. */
  readonly offset: number;
  /** Its ingest time, milliseconds since the epoch. */
  readonly time: number;
  /** Input records since the last commit. */
  readonly records: number;
}

/** The state as of one offset, as far as it is not in keys. */
interface Mark {
  readonly offset: number;
  readonly time: number;
  readonly globals: StoreBytes;
}

/**
 * The round-robin sweep over the keys of a task. Each commit writes the snapshots of the next few keys, so that all are
 * written once in a cycle. At the start of a cycle the globals are written, together with the globals of the start of
 * the cycle that is now complete: every key has a snapshot from after that start, so a restore replays from there.
 *
 * A key that has lost its state is written once as empty; its tombstone follows when no replay can begin before that,
 * because a replay that met the key's old records without its old state would go another way.
 */
export class Sweep {
  readonly #state: TaskState;
  readonly #task: string;
  readonly #inputs: readonly string[];
  readonly #length: number | undefined;
  /** Start of the newest complete cycle: where a restore would begin. */
  #complete: Mark;
  /** Start of the cycle that is under way; undefined before the first commit. */
  #current: Mark | undefined;
  #cursor = 0;
  #end = 0;
  #records = 0;
  #haste = 1;
  /** Time in which a cycle must be through, whatever the records; from the input's retention. */
  #deadlineMs = Number.POSITIVE_INFINITY;

  /** For a task that begins: the state holds nothing but initial globals, as of the offset before its first record. */
  constructor(state: TaskState, options: SweepOptions, start: { readonly offset: number; readonly time: number }) {
    this.#state = state;
    this.#task = options.task;
    this.#inputs = [...options.inputs].sort();
    this.#length = options.length;
    this.#complete = { ...start, globals: state.snapshotGlobals() };
  }

  /** Offset after which a restore would begin to replay. */
  get replayFrom(): number {
    return this.#complete.offset;
  }

  /** Ingest time as of which the cycle under way was begun, milliseconds since the epoch. */
  get time(): number {
    return (this.#current ?? this.#complete).time;
  }

  /** Input records that a cycle takes. */
  get length(): number {
    return this.#length ?? Math.min(2_000_000, Math.max(20_000, 8 * this.#state.keys.size));
  }

  /** @param retentionMs of the input topic: two cycles together take at most half of it. */
  setRetention(retentionMs: number | undefined): void {
    this.#deadlineMs = retentionMs === undefined ? Number.POSITIVE_INFINITY : Math.max(1, retentionMs / 4);
  }

  /** Goes faster than its length asks for, while the input log is about to lose what a restore would need. */
  setHaste(factor: number): void {
    this.#haste = factor;
  }

  /**
   * What this commit has to write. Must be called for every commit, when its micro-batch has run.
   * @param atLeast keys to visit even where none is due yet: the way to finish a cycle while nothing comes in.
   * @param urgent rows that must be written now.
   */
  due(position: SweepPosition, atLeast = 0, urgent: Iterable<number> = []): SweepRecord[] {
    const records: SweepRecord[] = [];
    for (const row of urgent) this.#write(row, position.offset, records);
    this.#records += position.records;
    if (this.#current === undefined) records.push(this.#begin(position));
    this.#end = Math.min(this.#end, this.#state.keys.rowCount);
    const target = Math.min(this.#end, Math.max(this.#target(position), this.#cursor + atLeast));
    while (this.#cursor < target) this.#visit(this.#cursor++, position.offset, records);
    if (this.#cursor >= this.#end && (atLeast > 0 || this.#progress(position) >= 1)) {
      this.#complete = this.#current!;
      records.push(this.#begin(position));
    }
    return records;
  }

  /**
   * Takes up the sweep of the task's former life. The keys have been restored with their snapshot offsets.
   * @returns where the replay begins: after this offset, with the globals restored already.
   * @throws STATE_ORPHANED for the state of another input, and for globals that do not fit.
   */
  resume(snapshot: StateSnapshot): number {
    const header = parseHeader(snapshot);
    const [fewer, more] = [header.inputs, this.#inputs].sort((a, b) => a.length - b.length) as [string[], string[]];
    // One that was added or taken away is the restore's matter.
    if (!fewer.every((topic) => more.includes(topic))) {
      throw new FleetcastError(
        'STATE_ORPHANED',
        `the state of task ${this.#task} was kept for the input ${header.inputs.join(', ')}, not ${this.#inputs.join(', ')}`,
        { details: { task: this.#task, stored: header.inputs, wanted: this.#inputs } },
      );
    }
    const pick = (prefix: string): StoreBytes =>
      Object.fromEntries(
        Object.entries(snapshot.stores)
          .filter(([name]) => name.startsWith(prefix))
          .map(([name, bytes]) => [name.slice(prefix.length), bytes]),
      );
    this.#complete = { ...header.complete, globals: pick(COMPLETE) };
    this.#current = { offset: snapshot.offset, time: header.time, globals: pick(CURRENT) };
    this.#cursor = 0;
    // Keys without a snapshot come with the replay: they belong to the cycle too.
    this.#end = Number.POSITIVE_INFINITY;
    this.#records = 0;
    this.#state.restoreGlobals(this.#complete.globals);
    return this.#complete.offset;
  }

  #begin({ offset, time }: SweepPosition): SweepRecord {
    this.#current = { offset, time, globals: this.#state.snapshotGlobals() };
    this.#cursor = 0;
    this.#end = this.#state.keys.rowCount;
    this.#records = 0;
    const header: Header = {
      complete: { offset: this.#complete.offset, time: this.#complete.time },
      time,
      inputs: this.#inputs,
    };
    const stores: Record<string, Uint8Array> = { [HEADER]: Buffer.from(JSON.stringify(header)) };
    for (const name in this.#complete.globals) stores[COMPLETE + name] = this.#complete.globals[name]!;
    for (const name in this.#current.globals) stores[CURRENT + name] = this.#current.globals[name]!;
    return { key: '', snapshot: { type: 'StateSnapshot', task: this.#task, key: '', offset, stores } };
  }

  /** Share of the cycle that should be through by now: 1 and more when it should be complete. */
  #progress({ time }: SweepPosition): number {
    const byRecords = (this.#records / this.length) * this.#haste;
    const byTime = (time - this.#current!.time) / this.#deadlineMs;
    return Math.max(byRecords, byTime);
  }

  #target(position: SweepPosition): number {
    return Math.min(this.#end, Math.ceil(this.#progress(position) * this.#end));
  }

  #visit(row: number, offset: number, records: SweepRecord[]): void {
    const key = this.#state.keys.keyOf(row);
    if (key === undefined) return;
    const state = this.#state;
    const written = state.snapshotOffset(row);
    if (!state.isEmpty(row)) {
      // The cycle was begun in a former life of the task, and this key's turn had come.
      if (written >= this.#current!.offset) return;
    } else if (state.writtenEmpty.has(row)) {
      // The tombstone waits until no replay begins before the empty snapshot.
      if (written > this.#complete.offset) return;
      state.forget(row);
      records.push({ key, snapshot: null });
      return;
    }
    this.#write(row, offset, records);
  }

  #write(row: number, offset: number, records: SweepRecord[]): void {
    const state = this.#state;
    const key = state.keys.keyOf(row);
    if (key === undefined) return;
    if (state.isEmpty(row)) state.writtenEmpty.add(row);
    else state.writtenEmpty.delete(row);
    state.setSnapshotOffset(row, offset);
    const stores = state.snapshotRow(row);
    records.push({ key, snapshot: { type: 'StateSnapshot', task: this.#task, key, offset, stores } });
  }
}

interface Header {
  readonly inputs: readonly string[];
  readonly complete: { readonly offset: number; readonly time: number };
  readonly time: number;
}

const HEADER = '#sweep';
const COMPLETE = 'complete:';
const CURRENT = 'current:';

function parseHeader(snapshot: StateSnapshot): Header {
  const bytes = snapshot.stores[HEADER];
  if (bytes === undefined) {
    throw new FleetcastError(
      'CODEC_MALFORMED',
      `the globals of task ${snapshot.task} on the state topic have no header`,
    );
  }
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as Header;
}
