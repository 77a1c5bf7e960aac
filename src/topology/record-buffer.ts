import type { StreamRecord } from '../operators/operator.ts';

export type AnyRecord = StreamRecord<unknown>;

/** What goes along one edge in a micro-batch. The array is used again; `count` says how much of it counts. */
export class RecordBuffer {
  items: AnyRecord[] = [];
  count = 0;
  #lastTurn = -1;
  #sorted = true;

  push(record: AnyRecord): void {
    if (record.turn < this.#lastTurn) this.#sorted = false;
    this.#lastTurn = record.turn;
    this.items[this.count++] = record;
  }

  /** Takes back what was pushed after `count` was this. */
  truncate(count: number): void {
    this.count = count;
  }

  /**
   * Puts the records into the order of their turns; of one turn in the order of the pushes. What operators emit in
   * `flush` comes after what they emitted before for the same turn, wherever the batch was cut.
   */
  sort(): void {
    if (this.#sorted) return;
    this.items.length = this.count;
    this.items.sort(byTurn);
    this.#sorted = true;
  }

  clear(): void {
    this.count = 0;
    this.#lastTurn = -1;
    this.#sorted = true;
  }
}

/** The records of several edges in the order of their turns; of one turn in the order of the edges. */
export function mergeBuffers(edges: readonly RecordBuffer[], into: RecordBuffer): void {
  into.clear();
  for (const edge of edges) for (let i = 0; i < edge.count; i++) into.push(edge.items[i]!);
  into.sort();
}

export function byTurn(a: { readonly turn: number }, b: { readonly turn: number }): number {
  return a.turn - b.turn;
}
