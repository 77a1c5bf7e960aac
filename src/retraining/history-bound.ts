import { createHash } from 'node:crypto';
import { splitSeriesKey } from '../events/records.ts';
import type { Span } from './history-watch.ts';
import type { TrainingRequest } from './request.ts';

/** How much of a history a training holds in memory. */
export interface HistoryBound {
  /** Most buckets of all series together. */
  readonly buckets: number;
  /** Buckets of each series that are kept before whole devices are left out; Infinity leaves out whole devices only. */
  readonly least: number;
}

/** Where nothing else is said. The recipe draws some 300,000 windows, so that several times as many buckets are plenty. */
export const MOST_BUCKETS = 2_000_000;

/** So many scales, and as much again that tells windows apart, are what a series is worth having for. */
const LEAST_SCALES = 4;

/** Keys that a request and an artefact name: a record of them stays far below what logs take. */
const MOST_SERIES = 10_000;

export function historyBound(
  buckets: number,
  { scaleLength, shape }: { readonly scaleLength: number; readonly shape: { lookback: number; horizon: number } },
): HistoryBound {
  return { buckets, least: LEAST_SCALES * (Math.max(scaleLength, shape.lookback) + shape.horizon) };
}

/**
 * The part of a history that fits into a bound: the newest buckets of all series; where that leaves too few of each, the
 * newest of some devices, drawn by the digest of their name, with all their series. Depends on the spans alone.
 * @param only series keys; all where empty
 */
export function boundedPart(
  spans: ReadonlyMap<string, Span>,
  bound: HistoryBound,
  { series: only, from, to }: Pick<TrainingRequest, 'series' | 'from' | 'to'>,
): Pick<TrainingRequest, 'series' | 'since'> {
  const wanted = only.length === 0 ? undefined : new Set(only);
  const parts = [...spans]
    .filter(([key]) => wanted === undefined || wanted.has(key))
    .map(([key, { start, end, interval }]) => {
      return { key, start: Math.max(start, from ?? start), end: Math.min(end, to ?? end), interval };
    })
    .filter(({ start, end }) => end > start);
  const sizeOf = (part: Span, since: number) =>
    Math.max(0, Math.round((part.end - Math.max(part.start, since)) / part.interval));
  const size = (since: number) => parts.reduce((sum, part) => sum + sizeOf(part, since), 0);
  if (size(-Infinity) <= bound.buckets) return { series: only, since: null };

  const newest = parts.reduce((end, part) => Math.max(end, part.end), 0);
  const interval = parts.reduce((longest, part) => Math.max(longest, part.interval), 0);
  const back = (buckets: number) => newest - buckets * interval;
  if (size(back(bound.least)) <= bound.buckets) {
    let [fits, tooMany] = [bound.least, Math.ceil((newest - Math.min(...parts.map(({ start }) => start))) / interval)];
    while (tooMany - fits > 1) {
      const middle = Math.floor((fits + tooMany) / 2);
      if (size(back(middle)) <= bound.buckets) fits = middle;
      else tooMany = middle;
    }
    return { series: only, since: back(fits) };
  }
  const since = back(bound.least);
  const chosen: string[] = [];
  let left = bound.buckets;
  for (const device of drawn(parts)) {
    const count = device.reduce((sum, part) => sum + sizeOf(part, since), 0);
    if (count === 0) continue;
    const full = count > left || chosen.length + device.length > MOST_SERIES;
    if (full && chosen.length > 0) break;
    left -= count;
    chosen.push(...device.map(({ key }) => key));
  }
  return { series: chosen.sort(), since: Number.isFinite(since) ? since : null };
}

/** The parts of each device, the devices in the order of their names' digests. */
function drawn<P extends { readonly key: string }>(parts: readonly P[]): readonly (readonly P[])[] {
  const devices = new Map<string, P[]>();
  for (const part of parts) {
    const { device } = splitSeriesKey(part.key);
    const others = devices.get(device);
    if (others === undefined) devices.set(device, [part]);
    else others.push(part);
  }
  return [...devices]
    .map(([device, of]) => ({ digest: createHash('sha256').update(device).digest('hex'), of }))
    .sort((a, b) => (a.digest < b.digest ? -1 : 1))
    .map(({ of }) => of);
}
