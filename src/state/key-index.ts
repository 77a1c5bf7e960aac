/**
 * The one dictionary of a task: gives each record key a row, the same in every store. Rows of forgotten keys are used
 * again, lowest first is not promised.
 */
export class KeyIndex {
  readonly #rows = new Map<string, number>();
  readonly #keys: (string | undefined)[] = [];
  readonly #free: number[] = [];

  /** Keys held. */
  get size(): number {
    return this.#rows.size;
  }

  /** One more than the highest row ever used. */
  get rowCount(): number {
    return this.#keys.length;
  }

  /** The row of a key; a new key gets a row. */
  rowOf(key: string): number {
    return this.#rows.get(key) ?? this.#add(key);
  }

  /** The row of a key, or undefined for a key that is not held. */
  find(key: string): number | undefined {
    return this.#rows.get(key);
  }

  keyOf(row: number): string | undefined {
    return this.#keys[row];
  }

  /** Forgets the key of a row. The caller has made sure that no store holds anything in it. */
  free(row: number): void {
    const key = this.#keys[row];
    if (key === undefined) return;
    this.#rows.delete(key);
    this.#keys[row] = undefined;
    this.#free.push(row);
  }

  /** All keys held, in no particular order. */
  keys(): IterableIterator<string> {
    return this.#rows.keys();
  }

  #add(key: string): number {
    const row = this.#free.pop() ?? this.#keys.length;
    this.#rows.set(key, row);
    this.#keys[row] = key;
    return row;
  }
}
