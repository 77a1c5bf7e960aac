import { createHash } from 'node:crypto';
import { seriesKey } from '../events/records.ts';

/** Empty buckets of the grid that lie before index `at` of the values and are left out of them. */
export interface Gap {
  readonly at: number;
  readonly empty: number;
}

/** Buckets of the grid are kept or left out in blocks of so many. */
export const BLOCK = 1024;

/** A regular grid of buckets. Long empty stretches are left out of the values and stand in `gaps`. */
export interface Grid {
  /** NaN where nothing was measured. Index `i` is bucket `i` of the grid only where no gap lies before. */
  readonly values: Float64Array;
  /** Ascending. */
  readonly gaps: readonly Gap[];
}

interface SeriesGrid extends Grid {
  readonly device: string;
  readonly quantity: string;
  /** Start of the first bucket, event time. */
  readonly start: number;
  readonly interval: number;
}

/** Buckets from the first to the last, those that are left out among them. */
export function gridLength({ values, gaps }: Grid): number {
  return gaps.reduce((sum, { empty }) => sum + empty, values.length);
}

/** Values `from ≤ index < to`, of which the first is bucket `at` of the grid. */
interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly at: number;
}

/** The values between gaps. */
export function* stretches({ values, gaps }: Grid): Generator<Stretch> {
  let from = 0;
  let before = 0;
  for (const { at, empty } of gaps) {
    if (at > from) yield { from, to: at, at: from + before };
    from = at;
    before += empty;
  }
  yield { from, to: values.length, at: from + before };
}

/** Visits what was measured, in order: with its place in the grid (bucket `start + at × interval`) and in the values. */
export function eachMeasured(one: Grid, visit: (value: number, at: number, index: number) => void): void {
  for (const { from, to, at } of stretches(one)) {
    for (let index = from; index < to; index++) {
      const value = one.values[index]!;
      if (!Number.isNaN(value)) visit(value, at + index - from, index);
    }
  }
}

/** The indices of the values whose buckets lie before place `at` of the grid are those below this one. */
export function indexOf({ values, gaps }: Grid, at: number): number {
  let before = 0;
  for (const gap of gaps) {
    if (gap.at + before >= at) break;
    if (gap.at + before + gap.empty >= at) return gap.at;
    before += gap.empty;
  }
  return Math.max(0, Math.min(values.length, at - before));
}

/** Values and counts of the blocks of a grid that something was measured in. */
export class GridDraft {
  readonly values: Float64Array;
  readonly counts: Int32Array;
  readonly gaps: readonly Gap[];
  /** Of each block, its first index in the values. */
  readonly #offsets = new Map<number, number>();

  /**
   * @param length buckets of the grid
   * @param blocks those that are kept: place in the grid, divided by {@link BLOCK}
   */
  constructor(length: number, blocks: ReadonlySet<number>) {
    const gaps: Gap[] = [];
    let size = 0;
    let next = 0;
    for (const block of [...blocks].sort((a, b) => a - b)) {
      if (block > next) gaps.push({ at: size, empty: (block - next) * BLOCK });
      this.#offsets.set(block, size);
      size += Math.min(BLOCK, length - block * BLOCK);
      next = block + 1;
    }
    this.gaps = gaps;
    this.values = new Float64Array(size).fill(Number.NaN);
    this.counts = new Int32Array(size);
  }

  set(at: number, value: number, count: number): void {
    const index = this.#offsets.get(Math.floor(at / BLOCK))! + (at % BLOCK);
    this.values[index] = value;
    this.counts[index] = count;
  }
}

const EMPTY = new Float64Array(65_536).fill(Number.NaN);

/**
 * SHA-256 of the buckets, 64 hex digits: what a training set was made of. Buckets that are left out count as the NaN that
 * they stand for, so that it does not depend on which are.
 */
export function historyDigest(series: readonly SeriesGrid[]): string {
  const hash = createHash('sha256');
  for (const one of series) {
    const { device, quantity, start, interval, values, gaps } = one;
    hash.update(`${seriesKey(device, quantity)} ${start} ${interval} ${gridLength(one)}\n`);
    let from = 0;
    for (const { at, empty } of gaps) {
      hash.update(bytesOf(values.subarray(from, at)));
      for (let left = empty; left > 0; left -= EMPTY.length) hash.update(bytesOf(EMPTY.subarray(0, left)));
      from = at;
    }
    hash.update(bytesOf(values.subarray(from)));
  }
  return hash.digest('hex');
}

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
