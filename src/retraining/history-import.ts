import { FleetcastError } from '../errors.ts';
import { encodeRecord } from '../events/codec.ts';
import { historyKey } from '../events/records.ts';
import type { OutRecord } from '../log/event-log.ts';
import { partitionFor } from '../log/partitioner.ts';
import { eachMeasured } from './history-grid.ts';
import { readHistory } from './history-reader.ts';
import type { Desk } from './publisher.ts';

/** A measured bucket from elsewhere. */
export interface ImportedBucket {
  readonly device: string;
  readonly quantity: string;
  /** Start of the bucket: a multiple of the interval. */
  readonly time: number;
  readonly value: number;
  /** Readings in it. Default 1. */
  readonly count?: number;
}

export interface ImportOptions extends Omit<Desk, 'publish'> {
  readonly interval: number;
  /** Buckets of a segment, as the pipeline writes them. */
  readonly segment: number;
}

export interface Imported {
  readonly buckets: number;
  readonly segments: number;
  /** Segments that the history has already: they were left as they are. */
  readonly kept: number;
}

const BATCH = 500;

/**
 * Writes buckets from elsewhere to the history, so that a user can begin with years of it. What the pipeline has written
 * stays: a segment that is there is not touched. What the pipeline writes later into a segment's time (live readings after an
 * import that ends in the middle of one, late ones before it) stands beside the imported buckets and replaces none but
 * those that it has itself: an imported segment begins with an empty bucket, one before its time. Training sees the imported history; windows of the running pipeline do
 * not, they fill from the stream.
 * @throws USAGE for a value that is no number or a time off the grid, before anything is written
 */
export async function importHistory(
  options: ImportOptions,
  buckets: Iterable<ImportedBucket> | AsyncIterable<ImportedBucket>,
): Promise<Imported> {
  const { log, topics, interval, segment: length } = options;
  const span = length * interval;
  const segments = new Map<
    string,
    { device: string; quantity: string; start: number; values: number[]; counts: number[] }
  >();
  let taken = 0;
  for await (const { device, quantity, time, value, count = 1 } of buckets) {
    if (!Number.isFinite(value) || !Number.isSafeInteger(time) || time % interval !== 0) {
      throw new FleetcastError('USAGE', `${device}/${quantity} at ${time}: ${value} is no bucket of ${interval} ms`);
    }
    const start = Math.floor(time / span) * span;
    const key = historyKey(device, quantity, start);
    let segment = segments.get(key);
    if (segment === undefined) {
      const values = new Array<number>(length).fill(Number.NaN);
      segment = { device, quantity, start, values, counts: new Array<number>(length).fill(0) };
      segments.set(key, segment);
    }
    const at = (time - start) / interval;
    segment.values[at] = value;
    segment.counts[at] = count;
    taken++;
  }
  const there = await existing(options, span);
  const { partitions } = (await log.topic(topics.history))!;
  const timestamp = options.now();
  let kept = 0;
  let batch: OutRecord[] = [];
  for (const [key, segment] of segments) {
    if (there.has(key)) {
      kept++;
      taken -= segment.counts.filter((count) => count > 0).length;
      continue;
    }
    const { device, quantity, values, counts } = segment;
    // Under a start, and so a key, that the pipeline never writes; read before the segment of the pipeline's own.
    const start = segment.start - interval;
    const value = encodeRecord({
      type: 'HistorySegment',
      device,
      quantity,
      start,
      interval,
      values: [Number.NaN, ...values],
      counts: [0, ...counts],
      revision: 0,
      complete: true,
    });
    const partition = partitionFor(device, partitions);
    batch.push({
      topic: topics.history,
      partition,
      timestamp,
      key: Buffer.from(historyKey(device, quantity, start)),
      value,
    });
    if (batch.length < BATCH) continue;
    await log.append(batch);
    batch = [];
  }
  await log.append(batch);
  return { buckets: taken, segments: segments.size - kept, kept };
}

async function existing({ log, topics }: ImportOptions, span: number): Promise<Set<string>> {
  const keys = new Set<string>();
  const { series } = await readHistory({ log, topic: topics.history, longest: Number.POSITIVE_INFINITY });
  for (const one of series) {
    const { device, quantity, start, interval } = one;
    eachMeasured(one, (_value, at) => {
      keys.add(historyKey(device, quantity, Math.floor((start + at * interval) / span) * span));
    });
  }
  return keys;
}
