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
  readonly reader: PartitionReader;
  /** Batch that was asked for; kept until it is taken. */
  pending: Promise<void> | undefined;
  ready: InputPart | undefined;
  position: number;
  end: number;
}

/**
 * The input partitions of a task. A poll takes what every source has ready, sources in their order; how they interleave
 * is the caller's to write down. Tables are read to their end first, so that streams find their rows.
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
      reader: new PartitionReader(log, topic, partition, positions[i]!, limits, signal),
      pending: undefined,
      ready: undefined,
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
    return this.#cursors.some(({ position, end }) => position < end);
  }

  /** Every source has come to its bound. */
  get done(): boolean {
    return this.#sources.every(({ topic }, i) => {
      const bound = this.#bound(topic);
      return bound !== undefined && this.#cursors[i]!.position >= bound;
    });
  }

  /** What is there; empty when nothing came for a while. */
  async poll(): Promise<InputPart[]> {
    const loading = this.#cursors.some(({ position }, i) => position < this.#loadUntil[i]!);
    const active = this.#cursors.filter(({ position }, i) => !loading || position < this.#loadUntil[i]!);
    for (const cursor of active) cursor.pending ??= this.#ask(cursor);
    await Promise.race(active.map(({ pending }) => pending));
    const parts: InputPart[] = [];
    for (const cursor of active) {
      const { ready } = cursor;
      if (ready === undefined) continue;
      cursor.pending = undefined;
      cursor.ready = undefined;
      cursor.position = ready.nextOffset;
      if (ready.records.length > 0) parts.push(ready);
    }
    return parts;
  }

  async #ask(cursor: Cursor): Promise<void> {
    const source = this.#cursors.indexOf(cursor);
    const batch = await cursor.reader.next();
    cursor.end = batch.endOffset;
    const bound = this.#bound(this.#sources[source]!.topic);
    const records = bound === undefined ? batch.records : batch.records.filter(({ offset }) => offset < bound);
    const cut = records.length < batch.records.length;
    cursor.ready = { source, records, nextOffset: cut ? bound! : batch.nextOffset };
  }
}
