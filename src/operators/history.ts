import type { HistoryFlush, HistorySegment, ReplacedBucket } from '../events/records.ts';
import type { KeyedStore, StoreCodec } from '../state/store.ts';
import { ByteReader, ByteWriter, versionOf } from './binary.ts';
import type { Bucket } from './items.ts';
import type { Collector, Keyed, Operator, OperatorContext, Position, StreamRecord, Timers } from './operator.ts';

export interface HistoryConfig {
  readonly interval: number;
  /** Buckets in a segment. Segments start at multiples of their length in time. */
  readonly segment: number;
  /** How long a closed bucket may still be corrected, milliseconds of event time: segments are kept at hand so long. */
  readonly correctFor: number;
  /** A segment that has changed is written at the latest so long after the change, milliseconds in the time of ticks. */
  readonly flushEvery: number;
}

interface Segment {
  readonly start: number;
  readonly values: Float64Array;
  readonly counts: Float64Array;
  /** Revision of the next write. */
  revision: number;
  dirty: boolean;
  complete: boolean;
  readonly replaced: ReplacedBucket[];
  exactFrom: number;
}

/** Corrections that a segment remembers, for each of its buckets. */
const REMEMBERED = 4;

interface SeriesHistory {
  readonly quantity: string;
  /** End of the newest closed bucket. */
  end: number;
  /** By start, ascending. */
  readonly segments: Segment[];
}

/**
 * Folds closed buckets into segments, the records of topic `history`. A segment is written when its last bucket has
 * passed, and after a while when it has changed: an open one grows, a late reading corrects an older one. Each write has
 * the whole segment and a higher revision, so that compaction leaves the newest. A broadcast {@link HistoryFlush} has
 * everything written that has changed, and follows it: so a training set is a set of offsets. A segment that is corrected
 * remembers what it was, so that a training set can be read after compaction has removed the revision that it had.
 *
 * A correction to a segment that is no longer at hand is counted as `history-too-old`; `bucket` allows none of those when
 * both have the same `correctFor`.
 */
export class History implements Operator<Bucket, HistorySegment | HistoryFlush> {
  readonly #config: HistoryConfig;
  #devices!: KeyedStore<SeriesHistory[]>;
  #timers!: Timers;
  #fireTimers!: () => void;

  constructor(config: HistoryConfig) {
    this.#config = config;
  }

  init(context: OperatorContext): void {
    this.#devices = context.keyed('segments', historyCodec(this.#config.interval));
    this.#timers = context.timers;
    this.#fireTimers = () => context.fireTimers();
  }

  process(record: StreamRecord<Bucket>, out: Collector<HistorySegment | HistoryFlush>): void {
    const bucket = record.value;
    const { interval } = this.#config;
    let device = this.#devices.get(record);
    if (device === undefined) {
      device = [];
      this.#devices.set(record, device);
    }
    let series = device.find((candidate) => candidate.quantity === bucket.quantity);
    if (series === undefined) {
      series = { quantity: bucket.quantity, end: Number.NEGATIVE_INFINITY, segments: [] };
      device.push(series);
    }
    if (bucket.kind === 'closed') series.end = bucket.start + interval;
    const segment = this.#segmentOf(series, bucket.start);
    if (segment === undefined) {
      out.count('history-too-old');
      return;
    }
    const at = Math.round((bucket.start - segment.start) / interval);
    if (bucket.kind === 'corrected') remember(segment, at);
    segment.values[at] = bucket.value;
    segment.counts[at] = bucket.count;
    segment.dirty = true;
    if (bucket.kind === 'closed') this.#advance(record.key, series, out);
    if (this.#timers.get(record) === undefined && series.segments.some((candidate) => candidate.dirty)) {
      this.#timers.set(record, record.ingestTime + this.#config.flushEvery);
    }
  }

  timer(at: Keyed, _time: number, out: Collector<HistorySegment | HistoryFlush>): void {
    for (const series of this.#devices.get(at) ?? []) {
      for (const segment of series.segments) if (segment.dirty) this.#write(at.key, series, segment, out);
    }
  }

  /** Whoever has an unwritten change has a timer: all of them now, and then the record that says so. */
  broadcast(value: unknown, _position: Position, out: Collector<HistorySegment | HistoryFlush>): void {
    if (!isFlush(value)) return;
    this.#fireTimers();
    out.emit(value, value.time);
  }

  #segmentOf(series: SeriesHistory, bucket: number): Segment | undefined {
    const { interval, segment: length } = this.#config;
    const span = length * interval;
    const start = Math.floor(bucket / span) * span;
    const { segments } = series;
    let at = segments.length;
    while (at > 0 && segments[at - 1]!.start > start) at--;
    const found = segments[at - 1];
    if (found?.start === start) return found;
    if (this.#isSettled(series, start)) return undefined;
    const made = {
      start,
      values: new Float64Array(length).fill(Number.NaN),
      counts: new Float64Array(length),
      revision: 0,
      dirty: false,
      complete: false,
      replaced: [],
      exactFrom: 0,
    };
    segments.splice(at, 0, made);
    return made;
  }

  /** Writes what has become complete and lets go of what nothing can correct any more. */
  #advance(device: string, series: SeriesHistory, out: Collector<HistorySegment | HistoryFlush>): void {
    const span = this.#config.segment * this.#config.interval;
    for (const segment of series.segments) {
      if (segment.complete || series.end < segment.start + span) continue;
      segment.complete = true;
      this.#write(device, series, segment, out);
    }
    while (series.segments.length > 0 && this.#isSettled(series, series.segments[0]!.start)) {
      const oldest = series.segments.shift()!;
      if (oldest.dirty) this.#write(device, series, oldest, out);
    }
  }

  #isSettled(series: SeriesHistory, start: number): boolean {
    const span = this.#config.segment * this.#config.interval;
    // A bucket is corrected while it starts at or after `end − correctFor`.
    return start + span <= series.end - this.#config.correctFor;
  }

  #write(device: string, series: SeriesHistory, segment: Segment, out: Collector<HistorySegment | HistoryFlush>): void {
    segment.dirty = false;
    out.emit(
      {
        type: 'HistorySegment',
        device,
        quantity: series.quantity,
        start: segment.start,
        interval: this.#config.interval,
        values: Array.from(segment.values),
        counts: Array.from(segment.counts),
        revision: segment.revision++,
        complete: segment.complete,
        replaced: [...segment.replaced],
        exactFrom: segment.exactFrom,
      },
      segment.start,
    );
  }
}

/** What was written last counts, not what came between two writes. */
function remember(segment: Segment, at: number): void {
  const { revision, replaced, values, counts } = segment;
  if (revision === 0 || replaced.some((one) => one.revision === revision && one.at === at)) return;
  replaced.push({ revision, at, value: values[at]!, count: counts[at]! });
  if (replaced.length <= REMEMBERED * values.length) return;
  segment.exactFrom = replaced[0]!.revision;
  replaced.splice(0, replaced.filter((one) => one.revision === segment.exactFrom).length);
}

/** Whether a broadcast asks for a flush; the others name models. */
export function isFlush(value: unknown): value is HistoryFlush {
  return (value as { readonly type?: unknown }).type === 'HistoryFlush';
}

/** The interval belongs to the version: buckets of another length are no state to go on from. */
export const historyCodec = (interval: number): StoreCodec<SeriesHistory[]> => ({
  version: versionOf(['segments', 3, interval]),
  encode(device) {
    const writer = new ByteWriter().count(device.length);
    for (const series of device) {
      writer.text(series.quantity).number(series.end).count(series.segments.length);
      for (const segment of series.segments) {
        writer.number(segment.start).numbers(segment.values).numbers(segment.counts);
        writer.count(segment.revision).count((segment.dirty ? 1 : 0) | (segment.complete ? 2 : 0));
        writer.count(segment.exactFrom).count(segment.replaced.length);
        for (const { revision, at, value, count } of segment.replaced) {
          writer.count(revision).count(at).number(value).number(count);
        }
      }
    }
    return writer.done();
  },
  decode: (bytes) => read(bytes, 2),
  // They did not say of which interval they were.
  migrates: (version) => version <= 2,
  migrate: read,
});

/** Version 1 did not remember what corrections had replaced. */
function read(bytes: Uint8Array, version: number): SeriesHistory[] {
  const reader = new ByteReader(bytes);
  const segment = (): Segment => {
    const start = reader.number();
    const values = Float64Array.from(reader.numbers());
    const counts = Float64Array.from(reader.numbers());
    const revision = reader.count();
    const flags = reader.count();
    const dirty = (flags & 1) !== 0;
    // What it is now was written last, or never was.
    const exactFrom = version === 1 ? (dirty ? revision : Math.max(0, revision - 1)) : reader.count();
    const replaced = Array.from({ length: version === 1 ? 0 : reader.count() }, () => {
      return { revision: reader.count(), at: reader.count(), value: reader.number(), count: reader.number() };
    });
    return {
      start,
      values,
      counts,
      revision,
      dirty,
      complete: (flags & 2) !== 0,
      replaced,
      exactFrom,
    };
  };
  return Array.from({ length: reader.count() }, () => ({
    quantity: reader.text(),
    end: reader.number(),
    segments: Array.from({ length: reader.count() }, segment),
  }));
}
