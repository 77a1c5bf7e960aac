import { decode, schemaOf } from '../events/codec.ts';
import { type HistorySegment, seriesKey } from '../events/records.ts';
import type { EventLog } from '../log/event-log.ts';
import { scan } from './scan.ts';
import type { Extent } from './triggers.ts';

/** Event times of a series: start of its first measured bucket, end of its last. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly interval: number;
}

/** Follows the topic `history` and knows how long the series have become. */
export class HistoryWatch {
  readonly #log: EventLog;
  readonly #topic: string;
  readonly #next: number[] = [];
  readonly #spans = new Map<string, { start: number; end: number; interval: number }>();

  constructor(log: EventLog, topic: string) {
    this.#log = log;
    this.#topic = topic;
  }

  /** Buckets from the first to the last of the longest series. */
  get longest(): number {
    let longest = 0;
    for (const { start, end, interval } of this.#spans.values()) {
      longest = Math.max(longest, Math.round((end - start) / interval));
    }
    return longest;
  }

  /** By series key. */
  get spans(): ReadonlyMap<string, Span> {
    return this.#spans;
  }

  /** @param least buckets from the first to the last of a series that counts */
  extent(least: number): Extent {
    let total = 0;
    let series = 0;
    let newest = Number.NEGATIVE_INFINITY;
    for (const { start, end, interval } of this.#spans.values()) {
      const buckets = Math.round((end - start) / interval);
      total += buckets;
      if (buckets >= least) series++;
      newest = Math.max(newest, end);
    }
    return { buckets: this.longest, total, series, end: newest };
  }

  /** Reads what has been added since the last call. */
  async advance(signal?: AbortSignal): Promise<void> {
    const partitions = (await this.#log.topic(this.#topic))?.partitions ?? 0;
    for (let partition = 0; partition < partitions; partition++) {
      const { earliest, end } = await this.#log.offsets(this.#topic, partition);
      const from = Math.max(this.#next[partition] ?? earliest, earliest);
      for await (const { records, nextOffset } of scan(this.#log, this.#topic, partition, { from, to: end }, signal)) {
        for (const { value } of records) {
          if (value !== null && schemaOf(value) === 'HistorySegment') this.#take(decode('HistorySegment', value));
        }
        this.#next[partition] = nextOffset;
      }
    }
  }

  #take({ device, quantity, start, interval, values }: HistorySegment): void {
    const first = values.findIndex((value) => !Number.isNaN(value));
    if (first < 0) return;
    const last = values.findLastIndex((value) => !Number.isNaN(value));
    const key = seriesKey(device, quantity);
    const span = this.#spans.get(key);
    const from = start + first * interval;
    const to = start + (last + 1) * interval;
    if (span === undefined) this.#spans.set(key, { start: from, end: to, interval });
    else {
      span.start = Math.min(span.start, from);
      span.end = Math.max(span.end, to);
    }
  }
}
