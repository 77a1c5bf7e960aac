import { type Column, checkRow, refuseVersion } from './column.ts';
import type { KeyedStore, Row, StoreCodec, StoreMark } from './store.ts';

/** A keyed store whose values are objects of the heap. */
export class HeapStore<V> implements KeyedStore<V>, Column {
  readonly name: string;
  readonly #codec: StoreCodec<V>;
  readonly #values: (V | undefined)[] = [];

  constructor(name: string, codec: StoreCodec<V>) {
    this.name = name;
    this.#codec = codec;
  }

  get version(): number {
    return this.#codec.version;
  }

  get(at: Row): V | undefined {
    return this.#values[at.row];
  }

  set(at: Row, value: V): void {
    checkRow(this.name, at.row);
    this.#put(at.row, value);
  }

  delete(at: Row): void {
    this.erase(at.row);
  }

  has(row: number): boolean {
    return this.#values[row] !== undefined;
  }

  encode(row: number): Uint8Array {
    return this.#codec.encode(this.#values[row] as V);
  }

  reads(version: number): boolean {
    return version === this.#codec.version || canMigrate(this.#codec, version);
  }

  restore(row: number, version: number, bytes: Uint8Array): void {
    this.#put(row, decodeVersion(this.name, this.#codec, version, bytes));
  }

  copy(row: number): V {
    return this.#codec.decode(this.encode(row));
  }

  erase(row: number): void {
    if (row >= 0 && row < this.#values.length) this.#values[row] = undefined;
  }

  mark(row: number): StoreMark | undefined {
    const value = this.#values[row] as V;
    const mark = this.#codec.mark?.(value);
    if (mark === undefined) return undefined;
    const undo = (): void => {
      mark.undo();
      this.#values[row] = value;
    };
    return { undo, release: () => mark.release() };
  }

  #put(row: number, value: V): void {
    // Rows come in any order at a restore; an array with holes would become a slow dictionary.
    while (this.#values.length < row) this.#values.push(undefined);
    this.#values[row] = value;
  }
}

/** @throws STATE_ORPHANED for a version that the codec can neither read nor migrate. */
export function decodeVersion<V>(name: string, codec: StoreCodec<V>, version: number, bytes: Uint8Array): V {
  if (version === codec.version) return codec.decode(bytes);
  if (codec.migrate === undefined || !canMigrate(codec, version)) return refuseVersion(name, version, codec.version);
  return codec.migrate(bytes, version);
}

export function canMigrate<V>(codec: StoreCodec<V>, version: number): boolean {
  return codec.migrate !== undefined && (codec.migrates?.(version) ?? true);
}
