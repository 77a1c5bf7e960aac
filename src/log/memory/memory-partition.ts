import type { LogRecord, OutRecord, PartitionOffsets, ReadBatch, ReadOptions, TopicSpec } from '../event-log.ts';
import { payloadBytes, readLimits } from '../read-limits.ts';
import { outOfRange } from '../topic-spec.ts';
import { Waiters } from '../waiters.ts';

/** The records of one partition, oldest first; offsets grow, with holes where compaction took records out. */
export class MemoryPartition {
  readonly #topic: string;
  readonly #partition: number;
  readonly waiters = new Waiters();
  #records: LogRecord[] = [];
  #start = 0;
  #end = 0;

  constructor(topic: string, partition: number) {
    this.#topic = topic;
    this.#partition = partition;
  }

  append(record: OutRecord): number {
    const offset = this.#end++;
    this.#records.push({ offset, timestamp: record.timestamp, key: record.key, value: record.value });
    return offset;
  }

  offsets(): PartitionOffsets {
    return { earliest: this.#start, end: this.#end };
  }

  has(offset: number): boolean {
    return offset < this.#end;
  }

  read(offset: number, options: ReadOptions): ReadBatch {
    if (!(offset >= this.#start && offset <= this.#end)) {
      outOfRange(this.#topic, this.#partition, offset, this.#start, this.#end);
    }
    const limits = readLimits(options);
    const from = this.#indexOf(offset);
    const most = Math.min(this.#records.length, from + limits.records);
    let to = from;
    let bytes = 0;
    while (to < most && (to === from || bytes < limits.bytes)) bytes += payloadBytes(this.#records[to++]!);
    const records = this.#records.slice(from, to);
    const nextOffset = to === this.#records.length ? this.#end : records.at(-1)!.offset + 1;
    return { records, nextOffset, endOffset: this.#end };
  }

  offsetForTime(timestamp: number): number {
    return this.#records.find((record) => record.timestamp >= timestamp)?.offset ?? this.#end;
  }

  /** @throws LOG_OFFSET_OUT_OF_RANGE above the end. */
  deleteBefore(offset: number): void {
    if (offset > this.#end) outOfRange(this.#topic, this.#partition, offset, this.#start, this.#end);
    if (offset <= this.#start) return;
    this.#records = this.#records.slice(this.#indexOf(offset));
    this.#start = offset;
  }

  maintain(spec: TopicSpec, now: number, tombstoneMs: number): void {
    if (spec.cleanup === 'compact') this.#compact(now - tombstoneMs);
    else this.#retain(spec, now);
  }

  #compact(tombstonesBefore: number): void {
    const last = new Map<string, number>();
    const keyOf = (record: LogRecord) => Buffer.from(record.key ?? []).toString('latin1');
    for (const record of this.#records) if (record.key !== null) last.set(keyOf(record), record.offset);
    this.#records = this.#records.filter((record) => {
      if (record.key === null) return false;
      if (last.get(keyOf(record)) !== record.offset) return false;
      return record.value !== null || record.timestamp >= tombstonesBefore;
    });
  }

  #retain(spec: TopicSpec, now: number): void {
    const oldest = spec.retentionMs === undefined ? Number.NEGATIVE_INFINITY : now - spec.retentionMs;
    const limit = spec.retentionBytes ?? Number.POSITIVE_INFINITY;
    let bytes = limit === Number.POSITIVE_INFINITY ? 0 : this.#records.reduce((sum, r) => sum + payloadBytes(r), 0);
    let drop = 0;
    for (const record of this.#records) {
      if (record.timestamp >= oldest && bytes <= limit) break;
      bytes -= payloadBytes(record);
      drop++;
    }
    if (drop === 0) return;
    this.#records = this.#records.slice(drop);
    this.#start = this.#records[0]?.offset ?? this.#end;
  }

  /** Index of the first record at or after `offset`. */
  #indexOf(offset: number): number {
    const first = this.#records[0];
    if (first === undefined || offset <= first.offset) return 0;
    const guess = offset - first.offset;
    if (this.#records[guess]?.offset === offset) return guess;
    let low = 0;
    let high = Math.min(this.#records.length, guess);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#records[middle]!.offset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
