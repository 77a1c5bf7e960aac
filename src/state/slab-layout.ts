import type { SlabLayout, SlabType } from './store.ts';

export type Cells = Float64Array | Float32Array | Int32Array | Uint8Array;

export const MAKE_CELLS: Record<SlabType, (length: number) => Cells> = {
  f64: (length) => new Float64Array(length),
  f32: (length) => new Float32Array(length),
  i32: (length) => new Int32Array(length),
  u8: (length) => new Uint8Array(length),
};

export const ELEMENT_BYTES: Record<SlabType, number> = { f64: 8, f32: 4, i32: 4, u8: 1 };

/** FNV-1a over the layout's text, 31 bits: tells layouts apart. */
export function layoutHash(layout: SlabLayout): number {
  let hash = 0x811c9dc5;
  for (const char of JSON.stringify(Object.entries(layout))) {
    hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  }
  return hash >>> 1;
}
