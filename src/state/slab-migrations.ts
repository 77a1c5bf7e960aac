import { FleetcastError } from '../errors.ts';
import { ELEMENT_BYTES, layoutHash, MAKE_CELLS } from './slab-layout.ts';
import type { SlabMigration, SlabRow } from './store.ts';

/** The former layouts of a slab, by their version. */
export class SlabMigrations {
  readonly #name: string;
  readonly #byVersion: ReadonlyMap<number, SlabMigration>;

  constructor(name: string, migrations: readonly SlabMigration[]) {
    this.#name = name;
    this.#byVersion = new Map(migrations.map((migration) => [layoutHash(migration.from), migration]));
  }

  has(version: number): boolean {
    return this.#byVersion.has(version);
  }

  /** @throws STATE_ORPHANED where the bytes are not of that layout. */
  run(version: number, bytes: Uint8Array, row: SlabRow): void {
    const { from, migrate } = this.#byVersion.get(version)!;
    const old: Record<string, SlabRow[string]> = {};
    let at = 0;
    for (const [field, [type, length]] of Object.entries(from)) {
      const cells = MAKE_CELLS[type](length);
      const size = ELEMENT_BYTES[type] * length;
      new Uint8Array(cells.buffer).set(bytes.subarray(at, at + size));
      old[field] = cells;
      at += size;
    }
    if (at !== bytes.length) {
      throw new FleetcastError('STATE_ORPHANED', `a stored row of ${this.#name} has ${bytes.length} bytes of ${at}`);
    }
    migrate(old, row);
  }
}
