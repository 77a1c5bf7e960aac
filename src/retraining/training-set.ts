import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { FleetcastError } from '../errors.ts';
import type { HistorySegment } from '../events/records.ts';

/** The segments of a history: series key to segments by their start. */
export type SeriesSegments = ReadonlyMap<string, ReadonlyMap<number, HistorySegment>>;

/** What a training set held of one series. */
interface HeldSeries {
  readonly interval: number;
  /** Event time: end of its last bucket. */
  readonly end: number;
  /** Segments that nothing could correct any more: they stay as they are. */
  readonly settled: number;
  /** Start of each further segment to the revision that the set held. */
  readonly open: ReadonlyMap<number, number>;
}

/** What a training set held, by series key. */
export type HeldSet = ReadonlyMap<string, HeldSeries>;

/** Key, interval, end, settled, and start and revision of each segment that was open, one after the other. */
type Line = readonly [string, number, number, number, readonly number[]];

/** A list that is larger, compressed, would crowd out the weights of the artefact: it is not kept. */
const MOST_HELD_BYTES = 4 * 2 ** 20;

/** Bytes that a record may inflate to. */
const MOST_BYTES = 256 * 2 ** 20;

/**
 * Says what a set is made of, so that it can be told after compaction: a few numbers for each series.
 * @param correctFor how long after the end of a series' newest bucket a bucket can be corrected, milliseconds
 * @param mostBytes of a larger one nothing is said, and a rebuild after compaction says why it cannot be
 */
export function writeHeldSet(segments: SeriesSegments, correctFor: number, mostBytes = MOST_HELD_BYTES): Uint8Array {
  const lines: Line[] = [];
  for (const [key, ofSeries] of [...segments].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const sorted = [...ofSeries.values()].sort((a, b) => a.start - b.start);
    const end = Math.max(...sorted.map(endOf));
    const isOpen = ({ start, interval, values }: HistorySegment) => start + values.length * interval > end - correctFor;
    const open = sorted.filter(isOpen);
    const marks = open.flatMap(({ start, revision }) => [start, revision]);
    lines.push([key, sorted[0]!.interval, Number.isFinite(end) ? end : 0, sorted.length - open.length, marks]);
  }
  const bytes = new Uint8Array(deflateRawSync(JSON.stringify(lines)));
  return bytes.length > mostBytes ? new Uint8Array(0) : bytes;
}

/** @throws MODEL_INVALID */
export function readHeldSet(bytes: Uint8Array): HeldSet {
  try {
    const lines = JSON.parse(inflateRawSync(bytes, { maxOutputLength: MOST_BYTES }).toString('utf8')) as Line[];
    return new Map(
      lines.map(([key, interval, end, settled, marks]) => {
        const open = new Map<number, number>();
        for (let i = 0; i < marks.length; i += 2) open.set(marks[i]!, marks[i + 1]!);
        return [key, { interval, end, settled, open }];
      }),
    );
  } catch (cause) {
    throw new FleetcastError('MODEL_INVALID', 'what the training set held cannot be read', { cause });
  }
}

/**
 * What a segment that was written again since was in the set: corrections undone, buckets that closed later left out.
 * @returns undefined where the set did not hold it, and the reason where it cannot be put together
 */
export function asHeld(segment: HistorySegment, held: HeldSeries | undefined): HistorySegment | string | undefined {
  const { start, interval, replaced = [], exactFrom = 0 } = segment;
  const revision = held?.open.get(start);
  if (held === undefined || revision === undefined) return undefined;
  if (segment.revision < revision) return 'only an older revision is left';
  if (revision < exactFrom) return 'late readings have corrected it more often than it remembers';
  const values = [...segment.values];
  const counts = [...segment.counts];
  for (const { revision: since, at, value, count } of [...replaced].reverse()) {
    if (since <= revision) continue;
    values[at] = value;
    counts[at] = count;
  }
  for (let i = Math.max(0, Math.ceil((held.end - start) / interval)); i < values.length; i++) {
    values[i] = Number.NaN;
    counts[i] = 0;
  }
  return { ...segment, values, counts, revision };
}

/** The first of what a set held and a history does not, in words; undefined for nothing. */
export function missingOf(set: HeldSet, segments: SeriesSegments): string | undefined {
  for (const [key, { settled, open }] of set) {
    const there = segments.get(key);
    const gone = [...open.keys()].find((start) => !there?.has(start));
    if (gone !== undefined)
      return `${key}: the segment of ${new Date(gone).toISOString()} is not on the topic any more`;
    const left = (there?.size ?? 0) - open.size;
    if (left !== settled)
      return `${key}: ${settled - left} of its ${settled} older segments are not on the topic any more`;
  }
  return undefined;
}

function endOf({ start, interval, values }: HistorySegment): number {
  const last = values.findLastIndex((value) => !Number.isNaN(value));
  return last < 0 ? Number.NEGATIVE_INFINITY : start + (last + 1) * interval;
}
