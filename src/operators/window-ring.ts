import type { BlockLayout, SeriesBlocks } from './series-blocks.ts';
import { blockLayout } from './series-blocks.ts';

/** How buckets become windows. One code for the stream and for training sets, so that the two cannot differ. */
export interface WindowConfig {
  readonly interval: number;
  /** Buckets that a model sees. */
  readonly lookback: number;
  /** Buckets that mean and deviation are taken over. */
  readonly scaleLength: number;
}

export interface RingLayout extends BlockLayout<ReturnType<typeof fields>> {
  readonly capacity: number;
}

function fields(capacity: number) {
  return {
    values: ['f64', capacity],
    origin: ['f64', 1],
    next: ['i32', 1],
    count: ['i32', 1],
    mask: ['u8', capacity],
  } as const;
}

export function ringLayout(config: WindowConfig): RingLayout {
  const capacity = Math.max(config.lookback, config.scaleLength);
  return { ...blockLayout(fields(capacity)), capacity };
}

export interface Scale {
  readonly mean: number;
  readonly deviation: number;
}

/**
 * The newest buckets of one series in a ring, gaps filled with the value before them and marked as not measured. After a
 * gap longer than the ring the series begins anew.
 */
export class WindowRing {
  readonly #config: WindowConfig;
  readonly #layout: RingLayout;

  constructor(config: WindowConfig, layout: RingLayout = ringLayout(config)) {
    this.#config = config;
    this.#layout = layout;
  }

  /** End of the newest bucket; undefined for an empty ring. */
  origin(blocks: SeriesBlocks, block: number): number | undefined {
    return this.countOf(blocks, block) === 0 ? undefined : blocks.f64[this.#f64(block) + this.#layout.at.origin];
  }

  countOf(blocks: SeriesBlocks, block: number): number {
    return blocks.i32[this.#i32(block) + this.#layout.at.count]!;
  }

  /**
   * Appends a measured bucket, and before it the filled ones that are missing.
   * @returns how many were missing, or −1 for a bucket that does not come after the newest: it is not taken.
   */
  push(blocks: SeriesBlocks, block: number, start: number, value: number): number {
    const { interval } = this.#config;
    const { capacity } = this.#layout;
    const origin = this.origin(blocks, block);
    let missing = 0;
    if (origin !== undefined) {
      missing = Math.round((start - origin) / interval);
      if (missing < 0) return -1;
      if (missing >= capacity) {
        blocks.i32[this.#i32(block) + this.#layout.at.count] = 0;
      } else {
        const filler = blocks.f64[this.#slot(blocks, block, 1)]!;
        for (let i = 0; i < missing; i++) this.#append(blocks, block, filler, 0);
      }
    }
    this.#append(blocks, block, value, 1);
    blocks.f64[this.#f64(block) + this.#layout.at.origin] = start + interval;
    return missing;
  }

  /**
   * Changes a bucket that is still in the ring; gaps after it are filled with the new value.
   * @returns false where the ring does not hold it.
   */
  correct(blocks: SeriesBlocks, block: number, start: number, value: number): boolean {
    const origin = this.origin(blocks, block);
    if (origin === undefined) return false;
    let back = Math.round((origin - start) / this.#config.interval);
    if (back < 1 || back > this.countOf(blocks, block)) return false;
    blocks.f64[this.#slot(blocks, block, back)] = value;
    blocks.u8[this.#mask(blocks, block, back)] = 1;
    for (back--; back >= 1 && blocks.u8[this.#mask(blocks, block, back)] === 0; back--) {
      blocks.f64[this.#slot(blocks, block, back)] = value;
    }
    return true;
  }

  /** The newest `length` values, oldest first; `length` must not exceed the count. */
  values(blocks: SeriesBlocks, block: number, length: number): Float64Array {
    const { capacity, at } = this.#layout;
    const base = this.#f64(block) + at.values;
    const next = blocks.i32[this.#i32(block) + at.next]!;
    const out = new Float64Array(length);
    const { f64 } = blocks;
    for (let i = 0, slot = next < length ? next - length + capacity : next - length; i < length; i++) {
      out[i] = f64[base + slot]!;
      slot = slot + 1 === capacity ? 0 : slot + 1;
    }
    return out;
  }

  /** How many of the newest `length` values were measured. */
  measured(blocks: SeriesBlocks, block: number, length: number): number {
    let measured = 0;
    for (let back = 1; back <= length; back++) measured += blocks.u8[this.#mask(blocks, block, back)]!;
    return measured;
  }

  /**
   * Mean and deviation of the measured values among the newest `scaleLength`. Taken anew from the ring each time, in one
   * fixed order and relative to the newest value: no drift, the same bits after a restart, exactly zero for a constant
   * series.
   */
  scale(blocks: SeriesBlocks, block: number): Scale {
    const { capacity, at } = this.#layout;
    const base = this.#f64(block) + at.values;
    const maskBase = this.#u8(block) + at.mask;
    const { f64, u8 } = blocks;
    const next = blocks.i32[this.#i32(block) + at.next]!;
    const length = Math.min(this.#config.scaleLength, this.countOf(blocks, block));
    const pivot = f64[base + (next === 0 ? capacity : next) - 1]!;
    let count = 0;
    let sum = 0;
    for (let i = 0, slot = next; i < length; i++) {
      slot = slot === 0 ? capacity - 1 : slot - 1;
      if (u8[maskBase + slot] === 0) continue;
      count++;
      sum += f64[base + slot]! - pivot;
    }
    const shift = sum / count;
    let squares = 0;
    for (let i = 0, slot = next; i < length; i++) {
      slot = slot === 0 ? capacity - 1 : slot - 1;
      if (u8[maskBase + slot] === 0) continue;
      const difference = f64[base + slot]! - pivot - shift;
      squares += difference * difference;
    }
    const deviation = Math.sqrt(squares / count);
    // Differences in the last bits of equal numbers are no deviation.
    const noise = Math.abs(pivot) * 1e-12;
    return { mean: pivot + shift, deviation: deviation > noise ? deviation : 0 };
  }

  #append(blocks: SeriesBlocks, block: number, value: number, measured: number): void {
    const { capacity, at } = this.#layout;
    const i32 = this.#i32(block);
    const next = blocks.i32[i32 + at.next]!;
    blocks.f64[this.#f64(block) + at.values + next] = value;
    blocks.u8[this.#u8(block) + at.mask + next] = measured;
    blocks.i32[i32 + at.next] = next + 1 === capacity ? 0 : next + 1;
    const count = blocks.i32[i32 + at.count]!;
    if (count < capacity) blocks.i32[i32 + at.count] = count + 1;
  }

  #slot(blocks: SeriesBlocks, block: number, back: number): number {
    return this.#f64(block) + this.#layout.at.values + this.#place(blocks, block, back);
  }

  #mask(blocks: SeriesBlocks, block: number, back: number): number {
    return this.#u8(block) + this.#layout.at.mask + this.#place(blocks, block, back);
  }

  #place(blocks: SeriesBlocks, block: number, back: number): number {
    const at = blocks.i32[this.#i32(block) + this.#layout.at.next]! - back;
    return at < 0 ? at + this.#layout.capacity : at;
  }

  #f64(block: number): number {
    return (block * this.#layout.bytes) / 8;
  }

  #i32(block: number): number {
    return (block * this.#layout.bytes) / 4;
  }

  #u8(block: number): number {
    return block * this.#layout.bytes;
  }
}
