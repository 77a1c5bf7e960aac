import type { LogRecord, ReadBatch } from '../event-log.ts';
import { payloadBytes } from '../read-limits.ts';
import { Waiters } from '../waiters.ts';
import type { DecodedRecords } from './record-batch.ts';

/** Bytes that one feed may hold ahead of its reader before it is paused. */
const AHEAD_BYTES = 4 * 2 ** 20;

/** One reader's place in one partition, with the records that were fetched ahead of it. */
export class Feed {
  /** Name on the broker. */
  readonly topic: string;
  readonly partition: number;
  readonly waiters = new Waiters();
  /** Where the next fetch begins. */
  position: number;
  /** Where the reader is. */
  at: number;
  stableEnd: number;
  /** A request for this feed is under way. */
  fetching = false;
  usedAt = performance.now();
  /** What the last fetch ended with, and since when fetches have been failing. */
  failure: { readonly error: unknown; readonly since: number } | undefined;
  /** Since when, and why, nothing could be fetched; until the next fetch that succeeds. */
  trouble: { readonly error: unknown; readonly since: number } | undefined;
  #records: LogRecord[] = [];
  #head = 0;
  #bytes = 0;

  constructor(topic: string, partition: number, offset: number) {
    this.topic = topic;
    this.partition = partition;
    this.position = offset;
    this.at = offset;
    this.stableEnd = offset;
  }

  get hungry(): boolean {
    return !this.fetching && this.#bytes < AHEAD_BYTES;
  }

  get empty(): boolean {
    return this.#head >= this.#records.length;
  }

  /** Takes what was fetched from `from`, unless the reader has gone elsewhere since. */
  accept(from: number, fetched: DecodedRecords, stableEnd: number): void {
    this.failure = undefined;
    this.trouble = undefined;
    if (from !== this.position) return;
    this.stableEnd = stableEnd;
    this.position = fetched.nextOffset;
    if (fetched.records.length > 0) {
      if (this.empty) {
        this.#records = fetched.records;
        this.#head = 0;
        this.#bytes = fetched.bytes;
      } else {
        for (const record of fetched.records) this.#records.push(record);
        this.#bytes += fetched.bytes;
      }
    }
    this.waiters.wake();
  }

  take(maxRecords: number, maxBytes: number): ReadBatch {
    const from = this.#head;
    let bytes = 0;
    let to = from;
    const most = Math.min(this.#records.length, from + maxRecords);
    while (to < most && (to === from || bytes < maxBytes)) bytes += payloadBytes(this.#records[to++]!);
    const records = from === 0 && to === this.#records.length ? this.#records : this.#records.slice(from, to);
    this.#head = to;
    this.#bytes -= bytes;
    if (this.empty) {
      this.at = this.position;
      this.#records = [];
      this.#head = 0;
      this.#bytes = 0;
    } else {
      this.at = records.at(-1)!.offset + 1;
    }
    return { records, nextOffset: this.at, endOffset: Math.max(this.stableEnd, this.at) };
  }
}
