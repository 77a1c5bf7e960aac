import { FleetcastError } from '../errors.ts';
import { decode, schemaOf } from '../events/codec.ts';
import { type HistorySegment, seriesKey } from '../events/records.ts';
import type { EventLog } from '../log/event-log.ts';
import type { OffsetRange } from '../models/model.ts';
import { BLOCK, type Grid, GridDraft } from './history-grid.ts';
import { scan } from './scan.ts';
import { asHeld, type HeldSet, missingOf, type SeriesSegments } from './training-set.ts';

/**
 * A series from its segments: a regular grid from the first bucket to the last. Long empty stretches are left out of the
 * values and stand in `gaps`: a device whose clock once stood decades back costs no more than what it measured.
 */
export interface HistorySeries extends Grid {
  readonly device: string;
  readonly quantity: string;
  /** Start of the first bucket. */
  readonly start: number;
  readonly interval: number;
  /** Readings of each of the values. */
  readonly counts: Int32Array;
  readonly segments: number;
  /** Highest revision of any of its segments. */
  readonly revision: number;
  /** Measured buckets that lie before the first one and are left out, see {@link AssembleOptions.longest}. */
  readonly leftOut: number;
}

export interface HistoryRead {
  /** Sorted by series key, so that the same offsets give the same data set. */
  readonly series: readonly HistorySeries[];
  /** What was read: offsets `from ≤ o < to` of every partition. */
  readonly ranges: readonly OffsetRange[];
  /** Records that were no history, or of another bucket length than the first of their series. */
  readonly skipped: number;
}

export interface HistoryReadOptions extends Pick<AssembleOptions, 'longest'> {
  readonly log: EventLog;
  readonly topic: string;
  /** What to read; everything up to now by default. */
  readonly ranges?: readonly OffsetRange[];
  /** Series keys; all where left out. */
  readonly only?: ReadonlySet<string>;
  /** Event times: buckets that start at or after `from` and before `to`. */
  readonly from?: number;
  readonly to?: number;
  /** Segments that end at or before this event time are left out, unread. */
  readonly since?: number;
  readonly signal?: AbortSignal;
}

/** The ranges of offsets that hold the whole history as of now. */
export async function historyRanges(log: EventLog, topic: string): Promise<OffsetRange[]> {
  const spec = await log.topic(topic);
  const ranges: OffsetRange[] = [];
  for (let partition = 0; partition < (spec?.partitions ?? 0); partition++) {
    const { earliest, end } = await log.offsets(topic, partition);
    ranges.push({ topic, partition, from: earliest, to: end });
  }
  return ranges;
}

/** Encoded segments as they came from the log: can be handed to another thread, which decodes them. */
export interface RawHistory {
  readonly ranges: readonly OffsetRange[];
  readonly values: readonly Uint8Array[];
  /**
   * Segments from beyond the ranges that replace one without a record inside them. A segment that had not closed when a
   * training set was fixed is written again when it does, and compaction then removes the record that the set had.
   */
  readonly replaced: readonly Uint8Array[];
  readonly skipped: number;
}

/** Reads history segments and puts them together; the highest revision of each counts, the later one among equals. */
export async function readHistory(options: HistoryReadOptions): Promise<HistoryRead> {
  const raw = await readRawHistory(options);
  const { series, skipped } = assembleHistory(raw, options);
  return { series, ranges: raw.ranges, skipped };
}

/**
 * Reads the segments without decoding them.
 * @param beyond also what replaces, after the ranges, a segment that has no record inside them any more
 */
export async function readRawHistory(options: HistoryReadOptions, beyond = false): Promise<RawHistory> {
  const { log, topic, only, since, signal } = options;
  const ranges = options.ranges ?? (await historyRanges(log, topic));
  const values: Uint8Array[] = [];
  const replaced: Uint8Array[] = [];
  let skipped = 0;
  for (const { partition, from, to } of ranges) {
    const { earliest, end } = await log.offsets(topic, partition);
    const last = beyond ? end : to;
    const inside = new Set<string>();
    for await (const { records } of scan(log, topic, partition, { from: Math.max(from, earliest), to: last }, signal)) {
      for (const { offset, key, value } of records) {
        if (value === null || key === null) continue;
        const schema = schemaOf(value);
        if (schema === 'HistoryFlush') continue;
        if (schema !== 'HistorySegment') {
          skipped++;
          continue;
        }
        const name = Buffer.from(key).toString('utf8');
        const slash = name.lastIndexOf('/');
        if (only !== undefined && !only.has(name.slice(0, slash))) continue;
        if (since !== undefined && Number(name.slice(slash + 1)) < since && segmentEnd(value) <= since) continue;
        if (offset < to) {
          inside.add(name);
          values.push(value);
        } else if (!inside.has(name)) {
          inside.add(name);
          replaced.push(value);
        }
      }
    }
  }
  return { ranges, values, replaced, skipped };
}

function segmentEnd(value: Uint8Array): number {
  const { start, interval, values } = decode<HistorySegment>('HistorySegment', value);
  return start + interval * values.length;
}

/** The longest grid of a data set. Digests of models that exist depend on it. */
export const LONGEST_GRID = 50_000_000;

export interface AssembleOptions extends Pick<HistoryReadOptions, 'from' | 'to'> {
  /** Most buckets from the first to the last of a series; what lies before is left out. Default {@link LONGEST_GRID}. */
  readonly longest?: number;
  /** What a training set held: replaced segments count as they were then. */
  readonly held?: HeldSet;
  /**
   * For models that do not say what their set held: buckets of replaced segments count before this event time. That is
   * what the set had only where all series stood at the same time; `historyDigest` tells.
   */
  readonly cut?: number;
}

export interface AssembledHistory extends Pick<HistoryRead, 'series' | 'skipped'> {
  readonly segments: SeriesSegments;
}

/**
 * Decodes segments and puts them together.
 * @throws NOT_REPRODUCED where the set held what can no longer be put together
 */
export function assembleHistory(
  { values, replaced, skipped: before }: Omit<RawHistory, 'ranges'>,
  { from, to, longest, held, cut }: AssembleOptions = {},
): AssembledHistory {
  const bySeries = new Map<string, Map<number, HistorySegment>>();
  let skipped = before;
  for (const value of values) {
    if (!keep(bySeries, decode<HistorySegment>('HistorySegment', value))) skipped++;
  }
  if (held !== undefined) takeBack(bySeries, replaced, held);
  else if (cut !== undefined) {
    for (const value of replaced) {
      const segment = decode<HistorySegment>('HistorySegment', value);
      const values = segment.values.map((each, i) => (segment.start + i * segment.interval < cut ? each : Number.NaN));
      keep(bySeries, { ...segment, values });
    }
  }
  const series = [...bySeries]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, segments]) => join([...segments.values()], from, to, longest))
    .filter((one) => one !== undefined);
  return { series, skipped, segments: bySeries };
}

function takeBack(
  bySeries: Map<string, Map<number, HistorySegment>>,
  replaced: readonly Uint8Array[],
  held: HeldSet,
): void {
  for (const value of replaced) {
    const segment = decode<HistorySegment>('HistorySegment', value);
    const key = seriesKey(segment.device, segment.quantity);
    const then = asHeld(segment, held.get(key));
    if (typeof then === 'string') {
      const which = `${key}: the segment of ${new Date(segment.start).toISOString()}`;
      throw new FleetcastError('NOT_REPRODUCED', `the training set cannot be put together again: ${which}: ${then}`);
    }
    if (then !== undefined) keep(bySeries, then);
  }
  const missing = missingOf(held, bySeries);
  if (missing === undefined) return;
  throw new FleetcastError('NOT_REPRODUCED', `the training set cannot be put together again: ${missing}`);
}

function keep(bySeries: Map<string, Map<number, HistorySegment>>, segment: HistorySegment): boolean {
  const key = seriesKey(segment.device, segment.quantity);
  let segments = bySeries.get(key);
  if (segments === undefined) {
    segments = new Map();
    bySeries.set(key, segments);
  }
  const [first] = segments.values();
  if (first !== undefined && first.interval !== segment.interval) return false;
  const held = segments.get(segment.start);
  if (held === undefined || held.revision <= segment.revision) segments.set(segment.start, segment);
  return true;
}

/** Measured buckets of all series that are too old to be held. */
export function leftOutOf(series: readonly HistorySeries[]): number {
  return series.reduce((sum, { leftOut }) => sum + leftOut, 0);
}

export function leftOutText(count: number): string {
  return `${count} measured buckets are left out: they lie ${LONGEST_GRID} buckets or more before the last of their series`;
}

function join(
  segments: HistorySegment[],
  from = -Infinity,
  to = Infinity,
  longest = LONGEST_GRID,
): HistorySeries | undefined {
  segments.sort((a, b) => a.start - b.start);
  const { device, quantity, interval } = segments[0]!;
  let first = Infinity;
  let last = -Infinity;
  const each = (visit: (start: number, value: number, count: number) => void): void => {
    for (const segment of segments) {
      segment.values.forEach((value, i) => {
        const start = segment.start + i * interval;
        if (!Number.isNaN(value) && start >= from && start < to) visit(start, value, segment.counts[i] ?? 0);
      });
    }
  };
  each((start) => {
    first = Math.min(first, start);
    last = Math.max(last, start);
  });
  if (first === Infinity) return undefined;
  first = Math.max(first, last - (longest - 1) * interval);
  let leftOut = 0;
  const placeOf = (start: number): number => Math.round((start - first) / interval);
  const blocks = new Set<number>();
  each((start) => {
    if (start >= first) blocks.add(Math.floor(placeOf(start) / BLOCK));
    else leftOut++;
  });
  const draft = new GridDraft(placeOf(last) + 1, blocks);
  each((start, value, count) => {
    if (start >= first) draft.set(placeOf(start), value, count);
  });
  const { values, counts, gaps } = draft;
  const revision = Math.max(...segments.map((segment) => segment.revision));
  const common = { device, quantity, interval, revision, leftOut };
  return { ...common, start: first, values, counts, gaps, segments: segments.length };
}
