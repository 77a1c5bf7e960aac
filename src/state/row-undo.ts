import type { Column } from './column.ts';

/** Puts a row of some columns back to what it was before a call that failed half-way. */
export class RowUndo {
  readonly #columns: readonly Column[];
  readonly #before: (Uint8Array | undefined)[];
  #row = -1;

  constructor(columns: readonly Column[]) {
    this.#columns = columns;
    this.#before = columns.map(() => undefined);
  }

  /** @param row −1 for a record of no key, which has no state. */
  remember(row: number): void {
    this.#row = row;
    if (row < 0) return;
    for (const [i, column] of this.#columns.entries())
      this.#before[i] = column.has(row) ? column.encode(row) : undefined;
  }

  undo(): void {
    const row = this.#row;
    if (row < 0) return;
    for (const [i, column] of this.#columns.entries()) {
      const before = this.#before[i];
      column.erase(row);
      if (before !== undefined) column.restore(row, column.version, before);
    }
  }
}
