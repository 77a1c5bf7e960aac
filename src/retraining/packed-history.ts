import { setImmediate as breath } from 'node:timers/promises';
import type { RawHistory } from './history-reader.ts';

/** Segments in one piece of memory that moves to another thread: thousands of small arrays would be copied one by one. */
export interface PackedHistory {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of each segment; those of `replaced` after those of `values`. */
  readonly lengths: Uint32Array<ArrayBuffer>;
  readonly values: number;
  readonly skipped: number;
}

/** Packs in slices, and lets the stream have the thread between them. */
export async function packHistory({ values, replaced, skipped }: Omit<RawHistory, 'ranges'>): Promise<PackedHistory> {
  const all = [...values, ...replaced];
  const lengths = Uint32Array.from(all, ({ length }) => length);
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const [i, value] of all.entries()) {
    bytes.set(value, at);
    at += value.length;
    if (i % 2000 === 1999) await breath();
  }
  return { bytes, lengths, values: values.length, skipped };
}

export function unpackHistory({ bytes, lengths, values, skipped }: PackedHistory): Omit<RawHistory, 'ranges'> {
  let at = 0;
  const all = Array.from(lengths, (length) => {
    const from = at;
    at += length;
    return bytes.subarray(from, at);
  });
  return { values: all.slice(0, values), replaced: all.slice(values), skipped };
}
