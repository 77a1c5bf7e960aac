import { FleetcastError } from '../errors.ts';
import { seriesKey } from '../events/records.ts';
import { type Aggregate, aggregate } from '../operators/aggregate.ts';
import type { ImportedBucket } from './history-import.ts';

export interface BucketRowsOptions {
  /** Series keys; all where left out. */
  readonly series?: readonly string[];
  readonly from?: number;
  readonly to?: number;
  /** How readings at any time become the value of their bucket. Without it, times must be starts of buckets. */
  readonly aggregate?: Aggregate | undefined;
}

/**
 * Buckets from the values of a table. Of several values for one bucket the last counts, or with `aggregate` all of them
 * in the order of time; of several for the same moment then the last.
 * @throws USAGE for a time that is no start of a bucket, where nothing is aggregated
 */
export async function* bucketRows(
  rows: AsyncIterable<Required<ImportedBucket>>,
  interval: number,
  options: BucketRowsOptions = {},
): AsyncGenerator<ImportedBucket> {
  const { from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY, aggregate: kind } = options;
  const wanted = options.series === undefined ? undefined : new Set(options.series);
  const isWanted = (device: string, quantity: string): boolean =>
    wanted === undefined || wanted.has(seriesKey(device, quantity)) || wanted.has(`${device}/${quantity}`);
  const open = new Map<string, { device: string; quantity: string; start: number; readings: Map<number, number> }>();
  for await (const row of rows) {
    const { device, quantity, time, value } = row;
    const series = seriesKey(device, quantity);
    if (time < from || time >= to || !isWanted(device, quantity)) continue;
    if (kind === undefined) {
      if (time % interval !== 0) {
        const at = new Date(time).toISOString();
        throw new FleetcastError('USAGE', `${series} at ${at} is no start of a bucket: --aggregate takes readings`);
      }
      yield row;
      continue;
    }
    const start = Math.floor(time / interval) * interval;
    const key = `${series}/${start}`;
    let bucket = open.get(key);
    if (bucket === undefined) {
      bucket = { device, quantity, start, readings: new Map() };
      open.set(key, bucket);
    }
    bucket.readings.set(time, value);
  }
  if (kind === undefined) return;
  for (const { device, quantity, start, readings } of open.values()) {
    const values = [...readings].sort(([a], [b]) => a - b).map(([, value]) => value);
    const value = aggregate(kind, values, 0, values.length);
    yield { device, quantity, time: start, value, count: values.length };
  }
}
