import type { Column } from './column.ts';
import type { StoreMark } from './store.ts';

/** Puts a row of some columns back to what it was before a call that failed half-way. */
export class RowUndo {
  readonly #columns: readonly Column[];
  /** By column: the row's bytes, or how to take back what has happened to it; undefined where there was nothing. */
  readonly #before: (Uint8Array | StoreMark | undefined)[];
  #row = -1;

  constructor(columns: readonly Column[]) {
    this.#columns = columns;
    this.#before = columns.map(() => undefined);
  }

  /** @param row −1 for a record of no key, which has no state. */
  remember(row: number): void {
    this.#release();
    this.#row = row;
    if (row < 0) return;
    for (const [i, column] of this.#columns.entries())
      this.#before[i] = column.has(row) ? (column.mark(row) ?? column.encode(row)) : undefined;
  }

  undo(): void {
    const row = this.#row;
    if (row < 0) return;
    for (const [i, column] of this.#columns.entries()) {
      const before = this.#before[i];
      this.#before[i] = undefined;
      if (before === undefined || before instanceof Uint8Array) column.erase(row);
      if (before instanceof Uint8Array) column.restore(row, column.version, before);
      else before?.undo();
    }
  }

  #release(): void {
    for (const before of this.#before) if (before !== undefined && !(before instanceof Uint8Array)) before.release();
    this.#before.fill(undefined);
  }
}
