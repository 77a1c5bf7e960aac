import type { InputRun, JournalEntry } from './input-journal.ts';

/** How far one life of a task has taken its input, and in what order since the last entry of the journal. */
export class InputPlace {
  /** By source, next offset to take. */
  taken: readonly number[];
  /** Place in the input sequence of the next record. */
  sequence: number;
  #runs: InputRun[] = [];

  constructor(taken: readonly number[], sequence: number) {
    this.taken = taken;
    this.sequence = sequence;
  }

  /** A source goes on at another offset. */
  take(source: number, to: number): void {
    const from = this.taken[source]!;
    this.#runs.push({ source, from, to });
    this.taken = this.taken.with(source, to);
    this.sequence += to - from;
  }

  /**
   * Goes on behind offsets without a record.
   * @param positions by source, next offset of which nothing that was polled is left.
   * @returns whether there was one.
   */
  passHoles(positions: readonly number[]): boolean {
    for (const [source, to] of positions.entries()) if (to > this.taken[source]!) this.take(source, to);
    return this.#runs.length > 0;
  }

  /** What was taken since the last call; undefined for nothing. */
  entry(): JournalEntry | undefined {
    const runs = this.#runs;
    this.#runs = [];
    if (runs.length === 0) return undefined;
    return { base: this.sequence - runs.reduce((sum, { from, to }) => sum + to - from, 0), runs };
  }
}
