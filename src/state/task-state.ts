import { FleetcastError } from '../errors.ts';
import type { Column } from './column.ts';
import { GlobalCell } from './global-cell.ts';
import { HeapStore } from './heap-store.ts';
import { KeyIndex } from './key-index.ts';
import { Slab } from './slab.ts';
import type { SlabLayout, SlabMigration, StoreCodec } from './store.ts';
import { TimerQueue } from './timer-queue.ts';

/** Store name to bytes: the version of the codec (four bytes, little-endian), then the codec's bytes. */
export type StoreBytes = Readonly<Record<string, Uint8Array>>;

/** Everything that a task holds: its keys, and the stores of all its nodes. */
export class TaskState {
  readonly keys = new KeyIndex();
  readonly #columns = new Map<string, Column>();
  readonly #globals = new Map<string, GlobalCell<unknown>>();
  /** Rows without state whose newest snapshot says so, and whose keys have had no record since. */
  readonly writtenEmpty = new Set<number>();
  /** By row: offset of the newest snapshot on the log, −1 for none. */
  #snapshotOffsets = new Float64Array(16).fill(-1);

  /** Some node keeps something. */
  get hasStores(): boolean {
    return this.#columns.size + this.#globals.size > 0;
  }

  /** No node keeps anything for a key: keys need no rows. */
  get keyless(): boolean {
    return this.#columns.size === 0;
  }

  /** @throws TOPOLOGY_INVALID for a name that is taken. */
  addKeyed<V>(name: string, codec: StoreCodec<V>): HeapStore<V> {
    return this.#add(new HeapStore(name, codec));
  }

  /** @throws TOPOLOGY_INVALID for a name that is taken, or a layout that cannot be. */
  addSlab(name: string, layout: SlabLayout, migrations: readonly SlabMigration[] = []): Slab {
    return this.#add(new Slab(name, layout, migrations));
  }

  /** @throws TOPOLOGY_INVALID for a name that is taken. */
  addTimers(name: string): TimerQueue {
    return this.#add(new TimerQueue(name));
  }

  /** @throws TOPOLOGY_INVALID for a name that is taken. */
  addGlobal<V>(name: string, codec: StoreCodec<V>, initial: V): GlobalCell<V> {
    this.#refuseTaken(name);
    const cell = new GlobalCell(name, codec, initial);
    this.#globals.set(name, cell as GlobalCell<unknown>);
    return cell;
  }

  column(name: string): Column | undefined {
    return this.#columns.get(name);
  }

  /** Keyed stores and timers of one node. */
  columnsOf(node: string): Column[] {
    return [...this.#columns.values()].filter(({ name }) => name.slice(0, name.lastIndexOf('/')) === node);
  }

  globalCell(name: string): GlobalCell<unknown> | undefined {
    return this.#globals.get(name);
  }

  storeNames(): string[] {
    return [...this.#columns.keys(), ...this.#globals.keys()];
  }

  /** Every store and the version of its bytes, by name. */
  versions(): Record<string, number> {
    const all = [...this.#columns.values(), ...this.#globals.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return Object.fromEntries(all.map(({ name, version }) => [name, version]));
  }

  /** Whether a store is there and can read bytes of that version. */
  reads(name: string, version: number): boolean {
    return (this.#columns.get(name) ?? this.#globals.get(name))?.reads(version) ?? false;
  }

  /** No store has anything in the row. */
  isEmpty(row: number): boolean {
    for (const column of this.#columns.values()) if (column.has(row)) return false;
    return true;
  }

  /** Offset as of which the key's newest snapshot on the log was taken; −1 for none. */
  snapshotOffset(row: number): number {
    return this.#snapshotOffsets[row] ?? -1;
  }

  setSnapshotOffset(row: number, offset: number): void {
    if (row >= this.#snapshotOffsets.length) {
      const longer = new Float64Array(Math.max(row + 1, this.#snapshotOffsets.length * 2)).fill(-1);
      longer.set(this.#snapshotOffsets);
      this.#snapshotOffsets = longer;
    }
    this.#snapshotOffsets[row] = offset;
  }

  /** Forgets a key without state. */
  forget(row: number): void {
    this.keys.free(row);
    this.writtenEmpty.delete(row);
    this.setSnapshotOffset(row, -1);
  }

  /** All stores of one key, as bytes. */
  snapshotRow(row: number): StoreBytes {
    const stores: Record<string, Uint8Array> = {};
    for (const column of this.#columns.values()) {
      if (column.has(row)) stores[column.name] = withVersion(column.version, column.encode(row));
    }
    return stores;
  }

  /**
   * Inverse of {@link snapshotRow}: replaces what the key has.
   * @throws STATE_ORPHANED for a store that no node has any more, or has with another codec.
   */
  restoreKey(key: string, stores: StoreBytes): number {
    const row = this.keys.rowOf(key);
    for (const column of this.#columns.values()) column.erase(row);
    this.writtenEmpty.add(row);
    for (const name in stores) {
      this.writtenEmpty.delete(row);
      const column = this.#columns.get(name) ?? orphaned(name);
      const bytes = stores[name]!;
      column.restore(row, versionOf(bytes), bytes.subarray(4));
    }
    return row;
  }

  snapshotGlobals(): StoreBytes {
    const stores: Record<string, Uint8Array> = {};
    for (const cell of this.#globals.values()) stores[cell.name] = withVersion(cell.version, cell.encode());
    return stores;
  }

  /** @throws STATE_ORPHANED like {@link restoreKey}. */
  restoreGlobals(stores: StoreBytes): void {
    for (const name in stores) {
      const cell = this.#globals.get(name) ?? orphaned(name);
      const bytes = stores[name]!;
      cell.restore(versionOf(bytes), bytes.subarray(4));
    }
  }

  #add<C extends Column>(column: C): C {
    this.#refuseTaken(column.name);
    this.#columns.set(column.name, column);
    return column;
  }

  #refuseTaken(name: string): void {
    if (this.#columns.has(name) || this.#globals.has(name)) {
      throw new FleetcastError('TOPOLOGY_INVALID', `the store ${name} is declared twice`);
    }
  }
}

function withVersion(version: number, bytes: Uint8Array): Uint8Array {
  const all = Buffer.allocUnsafe(4 + bytes.length);
  all.writeUInt32LE(version, 0);
  all.set(bytes, 4);
  return all;
}

function versionOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
}

function orphaned(name: string): never {
  throw new FleetcastError('STATE_ORPHANED', `stored state of ${name} belongs to no node of the topology`, {
    details: { store: name },
  });
}
