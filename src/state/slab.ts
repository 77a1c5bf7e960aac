import { FleetcastError } from '../errors.ts';
import { type Column, checkRow, refuseVersion } from './column.ts';
import { type Cells, ELEMENT_BYTES, layoutHash, MAKE_CELLS } from './slab-layout.ts';
import { SlabMigrations } from './slab-migrations.ts';
import type { Row, SlabLayout, SlabMigration, SlabRow, SlabStore, SlabType } from './store.ts';

/** Above this size of a column's field it grows by half instead of doubling: memory matters more than copies. */
const LARGE_BYTES = 64 * 1024 * 1024;

interface Field {
  readonly name: string;
  readonly type: SlabType;
  readonly length: number;
  cells: Cells;
  /** The same memory as bytes. */
  bytes: Uint8Array;
}

/** Up to so many bytes a loop is faster than a view and a copy. */
const SMALL = 64;

/**
 * Fixed rows in typed arrays. The version of its bytes is a hash of the layout: another layout is another version.
 * Bytes of a row are the fields in the layout's order, little-endian.
 */
export class Slab implements SlabStore, Column {
  readonly name: string;
  readonly version: number;
  readonly #fields = new Map<string, Field>();
  readonly #migrations: SlabMigrations;
  readonly #rowBytes: number;
  #used = new Uint8Array(0);

  constructor(name: string, layout: SlabLayout, migrations: readonly SlabMigration[] = []) {
    this.name = name;
    this.#migrations = new SlabMigrations(name, migrations);
    this.version = layoutHash(layout);
    let rowBytes = 0;
    for (const [field, [type, length]] of Object.entries(layout)) {
      if (!Number.isInteger(length) || length < 1) {
        throw new FleetcastError('TOPOLOGY_INVALID', `${name}: field ${field} has the length ${length}`);
      }
      this.#fields.set(field, { name: field, type, length, cells: MAKE_CELLS[type](0), bytes: new Uint8Array(0) });
      rowBytes += ELEMENT_BYTES[type] * length;
    }
    this.#rowBytes = rowBytes;
  }

  has(at: Row | number): boolean {
    return this.#used[typeof at === 'number' ? at : at.row] === 1;
  }

  create(at: Row): void {
    checkRow(this.name, at.row);
    this.#create(at.row);
  }

  delete(at: Row): void {
    this.erase(at.row);
  }

  f64(name: string): Float64Array {
    return this.#field(name, 'f64') as Float64Array;
  }

  f32(name: string): Float32Array {
    return this.#field(name, 'f32') as Float32Array;
  }

  i32(name: string): Int32Array {
    return this.#field(name, 'i32') as Int32Array;
  }

  u8(name: string): Uint8Array {
    return this.#field(name, 'u8') as Uint8Array;
  }

  encode(row: number): Uint8Array {
    const bytes = new Uint8Array(this.#rowBytes);
    let at = 0;
    for (const field of this.#fields.values()) {
      const size = ELEMENT_BYTES[field.type] * field.length;
      const from = row * size;
      if (size <= SMALL) for (let i = 0; i < size; i++) bytes[at + i] = field.bytes[from + i]!;
      else bytes.set(field.bytes.subarray(from, from + size), at);
      at += size;
    }
    return bytes;
  }

  reads(version: number): boolean {
    return version === this.version || this.#migrations.has(version);
  }

  restore(row: number, version: number, bytes: Uint8Array): void {
    if (version !== this.version && this.#migrations.has(version)) {
      this.#create(row);
      this.#migrations.run(version, bytes, this.#row(row));
      return;
    }
    if (version !== this.version || bytes.length !== this.#rowBytes) refuseVersion(this.name, version, this.version);
    this.#create(row);
    let at = 0;
    for (const field of this.#fields.values()) {
      const size = ELEMENT_BYTES[field.type] * field.length;
      field.bytes.set(bytes.subarray(at, at + size), row * size);
      at += size;
    }
  }

  /** Field name to a copy of the row's cells. */
  copy(row: number): Record<string, Cells> {
    const copy: Record<string, Cells> = {};
    for (const { name, cells, length } of this.#fields.values()) {
      copy[name] = cells.slice(row * length, (row + 1) * length);
    }
    return copy;
  }

  /** The row's own cells. */
  #row(row: number): SlabRow {
    const cells = [...this.#fields.values()].map(({ name, cells, length }) => {
      return [name, cells.subarray(row * length, (row + 1) * length)] as const;
    });
    return Object.fromEntries(cells);
  }

  mark(): undefined {
    return undefined;
  }

  erase(row: number): void {
    if (this.#used[row] !== 1) return;
    this.#used[row] = 0;
    for (const { cells, length } of this.#fields.values()) cells.fill(0, row * length, (row + 1) * length);
  }

  #create(row: number): void {
    if (row >= this.#used.length) this.#grow(row + 1);
    this.#used[row] = 1;
  }

  #grow(rows: number): void {
    const large = this.#used.length * this.#rowBytes >= LARGE_BYTES;
    const capacity = Math.max(16, rows, Math.ceil(this.#used.length * (large ? 1.5 : 2)));
    const used = new Uint8Array(capacity);
    used.set(this.#used);
    this.#used = used;
    for (const field of this.#fields.values()) {
      const cells = MAKE_CELLS[field.type](capacity * field.length);
      cells.set(field.cells);
      field.cells = cells;
      field.bytes = new Uint8Array(cells.buffer);
    }
  }

  #field(name: string, type: SlabType): Cells {
    const field = this.#fields.get(name);
    if (field?.type !== type) {
      throw new FleetcastError('TOPOLOGY_INVALID', `${this.name} has no field ${name} of type ${type}`);
    }
    return field.cells;
  }
}
