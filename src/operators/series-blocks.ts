import type { StoreCodec } from '../state/store.ts';
import { ByteReader, ByteWriter } from './binary.ts';

/**
 * State of all series of one device in one buffer: a block of fixed layout for each quantity. A device has few
 * quantities, so they are found by walking; what a series holds is plain bytes, with no object for each value.
 */
export type FieldType = 'f64' | 'f32' | 'i32' | 'u8';
export type BlockFields = Readonly<Record<string, readonly [FieldType, number]>>;

const SIZE: Readonly<Record<FieldType, number>> = { f64: 8, f32: 4, i32: 4, u8: 1 };

/** Where each field of a block begins, counted in elements of its own type. */
export interface BlockLayout<F extends BlockFields> {
  /** Bytes of a block, a multiple of 8. */
  readonly bytes: number;
  readonly at: Readonly<Record<keyof F, number>>;
}

export function blockLayout<F extends BlockFields>(fields: F): BlockLayout<F> {
  const at: Record<string, number> = {};
  let bytes = 0;
  for (const type of ['f64', 'f32', 'i32', 'u8'] as const) {
    for (const [name, [fieldType, length]] of Object.entries(fields)) {
      if (fieldType !== type) continue;
      at[name] = bytes / SIZE[type];
      bytes += length * SIZE[type];
    }
  }
  return { bytes: Math.ceil(bytes / 8) * 8, at: at as Record<keyof F, number> };
}

export class SeriesBlocks {
  readonly names: string[];
  readonly blockBytes: number;
  f64!: Float64Array;
  f32!: Float32Array;
  i32!: Int32Array;
  u8!: Uint8Array;

  constructor(blockBytes: number, names: string[] = [], bytes: Uint8Array = new Uint8Array(0)) {
    this.blockBytes = blockBytes;
    this.names = names;
    this.#view(bytes.slice().buffer);
  }

  /** Number of the quantity's block, or −1. */
  find(quantity: string): number {
    return this.names.indexOf(quantity);
  }

  /** Adds a block of zeros. Views taken before are stale afterwards. */
  add(quantity: string): number {
    const grown = new Uint8Array(this.u8.length + this.blockBytes);
    grown.set(this.u8);
    this.#view(grown.buffer);
    return this.names.push(quantity) - 1;
  }

  findOrAdd(quantity: string): number {
    const found = this.find(quantity);
    return found >= 0 ? found : this.add(quantity);
  }

  #view(buffer: ArrayBuffer): void {
    this.f64 = new Float64Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.u8 = new Uint8Array(buffer);
  }
}

/** @param version of the layout: change it with the fields. */
export function seriesBlocksCodec(layout: { readonly bytes: number }, version: number): StoreCodec<SeriesBlocks> {
  return {
    version,
    encode(value) {
      const writer = new ByteWriter().count(value.names.length);
      for (const name of value.names) writer.text(name);
      return writer.raw(value.u8).done();
    },
    decode(bytes) {
      const reader = new ByteReader(bytes);
      const names = Array.from({ length: reader.count() }, () => reader.text());
      return new SeriesBlocks(layout.bytes, names, reader.raw());
    },
  };
}
