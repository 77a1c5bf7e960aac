/**
 * Stores hold the state of a task, one row for each key of the task; the same row number in every store. Snapshots are
 * taken and restored by key, for all stores of the task at once, so that a snapshot is consistent as of one offset.
 */

export interface StoreCodec<V> {
  /** Changes when old bytes can no longer be read as they are: a whole number below 2³². */
  readonly version: number;
  encode(value: V): Uint8Array;
  decode(bytes: Uint8Array): V;
  /** Reads bytes of an older version. Without it, an older version is refused (STATE_ORPHANED). */
  migrate?(bytes: Uint8Array, version: number): V;
  /** Which older versions `migrate` reads; every one where it is left out. */
  migrates?(version: number): boolean;
  /**
   * For values that are large and change by little: how to take back what happens to one from now on, where the node goes
   * on after a failure. Without it, the value is encoded before each record.
   */
  mark?(value: V): StoreMark;
}

/** A moment in the life of a value that is changed in place. One of the two is called, once. */
export interface StoreMark {
  /** The value is again what it was, to the bytes of its snapshot. */
  undo(): void;
  /** All is well: what was kept for `undo` may go. */
  release(): void;
}

/** Anything that knows its row: a record, a timer's key. */
export interface Row {
  readonly row: number;
}

/** One value of the heap for each key. A value may be changed in place: snapshots are taken between micro-batches. */
export interface KeyedStore<V> {
  get(at: Row): V | undefined;
  set(at: Row, value: V): void;
  delete(at: Row): void;
}

/** One value for the whole task. */
export interface GlobalStore<V> {
  get(): V;
  set(value: V): void;
}

/** Fields of a slab's row: name to element type and length, for example `{ ring: ['f64', 96], at: ['i32', 1] }`. */
export type SlabLayout = Readonly<Record<string, readonly [SlabType, number]>>;
/** Reads rows of a former layout. */
export interface SlabMigration {
  /** The layout of then, field for field in the same order. */
  readonly from: SlabLayout;
  /** @param old cells of the stored row. @param row cells of the new row to fill: zero at first, of the length of their field. */
  migrate(old: SlabRow, row: SlabRow): void;
}

/** Field name to the cells of one row. */
export type SlabRow = Readonly<Record<string, Float64Array | Float32Array | Int32Array | Uint8Array>>;
export type SlabType = 'f64' | 'f32' | 'i32' | 'u8';

/**
 * Fixed rows in typed arrays that grow by doubling. `column(name)` is the whole column: element `i` of row `r` is at
 * `r × length + i`. Columns are replaced when the slab grows: take them again for each record, never keep them.
 */
export interface SlabStore {
  has(at: Row): boolean;
  /** Marks the row as used; fields are zero at first. */
  create(at: Row): void;
  delete(at: Row): void;
  f64(name: string): Float64Array;
  f32(name: string): Float32Array;
  i32(name: string): Int32Array;
  u8(name: string): Uint8Array;
}
