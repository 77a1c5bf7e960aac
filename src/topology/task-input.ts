import type { EventLog, LogRecord } from '../log/event-log.ts';
import { PartitionReader, type ReadLimits } from './partition-reader.ts';
import type { SourceNode } from './topology.ts';

/** What came of one source, in order. */
export interface InputPart {
  readonly source: number;
  readonly records: readonly LogRecord[];
  /** Where the source goes on after them. */
  readonly nextOffset: number;
}

interface Cursor {
  readonly source: number;
  readonly reader: PartitionReader;
  /** Batch that was asked for; kept until all of it is taken. */
  pending: Promise<void> | undefined;
  ready: InputPart | undefined;
  /** Index in `ready` of the next record to take. */
  at: number;
  /** The last read brought nothing, whatever the end says. */
  quiet: boolean;
  position: number;
  end: number;
}

/**
 * The input partitions of a task. Several are taken in the order of their records' timestamps (of equal ones in the order
 * of the sources), as far as the log is known to hold records: what has waited on the log while the task was away comes in
 * the order in which it would have come, so one source does not run ahead of another and make its records late. A source
 * that has nothing is not waited for. How they interleaved is the caller's to write down. Tables are read to their end
 * first, so that streams find their rows.
 */
export class TaskInput {
  readonly #cursors: readonly Cursor[];
  readonly #sources: readonly SourceNode[];
  readonly #bound: (topic: string) => number | undefined;
  /** By source: the end of a table when the task began. */
  readonly #loadUntil: readonly number[];

  constructor(
    log: EventLog,
    sources: readonly SourceNode[],
    partition: number,
    positions: readonly number[],
    ends: readonly number[],
    limits: ReadLimits,
    signal: AbortSignal,
    bound: (topic: string) => number | undefined,
  ) {
    this.#sources = sources;
    this.#bound = bound;
    this.#loadUntil = sources.map(({ table }, i) => (table === true ? ends[i]! : 0));
    this.#cursors = sources.map(({ topic }, i) => ({
      source: i,
      reader: new PartitionReader(log, topic, partition, positions[i]!, limits, signal),
      pending: undefined,
      ready: undefined,
      at: 0,
      quiet: false,
      position: positions[i]!,
      end: ends[i]!,
    }));
  }

  /** Next offset of each source, as far as polled. */
  positions(): number[] {
    return this.#cursors.map(({ position }) => position);
  }

  ends(): number[] {
    return this.#cursors.map(({ end }) => end);
  }

  /** There is more on the log than was polled. */
  get behind(): boolean {
    return this.#cursors.some(({ source, position, end }) => position < Math.min(end, this.#boundOf(source)));
  }

  /** Every source has come to its bound. */
  get done(): boolean {
    return this.#cursors.every(({ source, position }) => position >= this.#boundOf(source));
  }

  /** What is there; empty when nothing came for a while. */
  async poll(): Promise<InputPart[]> {
    const loads = this.#cursors.map(({ position }, i) => position < Math.min(this.#loadUntil[i]!, this.#boundOf(i)));
    const loading = loads.includes(true);
    const active = this.#cursors.filter(({ source, position }) => {
      return loading ? loads[source] : position < this.#boundOf(source);
    });
    if (active.length === 0) return [];
    for (const cursor of active) cursor.pending ??= this.#ask(cursor);
    await Promise.race(active.map(({ pending }) => pending));
    // What is on the log of another source may be older than what is there already.
    await Promise.all(active.filter((cursor) => this.#awaited(cursor)).map(({ pending }) => pending));
    return this.#merge(active);
  }

  /** The log is known to hold more of this source, and it has not come yet. */
  #awaited(cursor: Cursor): boolean {
    if (cursor.ready !== undefined || cursor.quiet) return false;
    return cursor.position < Math.min(cursor.end, this.#boundOf(cursor.source));
  }

  #boundOf(source: number): number {
    return this.#bound(this.#sources[source]!.topic) ?? Number.POSITIVE_INFINITY;
  }

  /** What is there in the order of timestamps, up to where something must be awaited. */
  #merge(active: readonly Cursor[]): InputPart[] {
    const parts: InputPart[] = [];
    for (;;) {
      for (const cursor of active) if (cursor.ready?.records.length === cursor.at) finish(cursor);
      if (active.some((cursor) => this.#awaited(cursor))) return parts;
      const heads = active.filter(({ ready }) => ready !== undefined);
      if (heads.length === 0) return parts;
      const first = heads.reduce((best, cursor) => (headTime(cursor) < headTime(best) ? cursor : best));
      const until = heads.reduce(
        (least, cursor) =>
          cursor === first ? least : Math.min(least, headTime(cursor) - (cursor.source < first.source ? 1 : 0)),
        Number.POSITIVE_INFINITY,
      );
      parts.push(take(first, until));
    }
  }

  async #ask(cursor: Cursor): Promise<void> {
    const { source } = cursor;
    const batch = await cursor.reader.next();
    cursor.end = batch.endOffset;
    const bound = this.#bound(this.#sources[source]!.topic);
    const records = bound === undefined ? batch.records : batch.records.filter(({ offset }) => offset < bound);
    const cut = records.length < batch.records.length;
    cursor.quiet = batch.records.length === 0;
    cursor.ready = { source, records, nextOffset: cut ? bound! : batch.nextOffset };
    cursor.at = 0;
  }
}

function headTime({ ready, at }: Cursor): number {
  return ready!.records[at]!.timestamp;
}

/** The records from the next one on that are no later than a time; the next one in any case. */
function take(cursor: Cursor, until: number): InputPart {
  const { source, records, nextOffset } = cursor.ready!;
  const from = cursor.at++;
  while (cursor.at < records.length && headTime(cursor) <= until) cursor.at++;
  cursor.position = cursor.at < records.length ? records[cursor.at]!.offset : nextOffset;
  return { source, records: records.slice(from, cursor.at), nextOffset: cursor.position };
}

function finish(cursor: Cursor): void {
  cursor.position = cursor.ready!.nextOffset;
  cursor.pending = undefined;
  cursor.ready = undefined;
}
