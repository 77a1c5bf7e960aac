import { type Column, checkRow, refuseVersion } from './column.ts';
import type { Row } from './store.ts';

const NONE = Number.POSITIVE_INFINITY;

/**
 * The timers of one node: one deadline for each row, and a binary heap to find those that are due.
 *
 * Idle timers move with every record, mostly to a later time. So the heap is lazy: a later deadline only overwrites the
 * row's number, and the row's old entry is put back with the new deadline when it surfaces. Stale entries (the timer
 * was cleared or moved to an earlier time) are dropped when they surface.
 */
export class TimerQueue implements Column {
  readonly name: string;
  readonly version = 1;
  /** Deadline by row. */
  #deadlines = new Float64Array(0);
  /** Deadline of the row's live entry in the heap. */
  #queued = new Float64Array(0);
  #heapTimes = new Float64Array(64);
  #heapRows = new Int32Array(64);
  #heapSize = 0;

  constructor(name: string) {
    this.name = name;
  }

  set(at: Row, deadline: number): void {
    checkRow(this.name, at.row);
    this.#set(at.row, deadline);
  }

  clear(at: Row): void {
    this.erase(at.row);
  }

  get(at: Row): number | undefined {
    const deadline = this.#deadlines[at.row];
    return deadline === undefined || deadline === NONE ? undefined : deadline;
  }

  /**
   * Takes out the rows whose deadline is at or before `time`. Their timers stay set until the caller clears them.
   * @param keep rows that must not fire yet; they stay queued.
   * @param keyOf for the order: deadline, then key.
   */
  due(time: number, keyOf: (row: number) => string, keep?: (row: number) => boolean): number[] {
    if (this.#heapSize === 0 || this.#heapTimes[0]! > time) return [];
    const due: number[] = [];
    const held: number[] = [];
    while (this.#heapSize > 0 && this.#heapTimes[0]! <= time) {
      const entry = this.#heapTimes[0]!;
      const row = this.#heapRows[0]!;
      this.#pop();
      if (entry !== this.#queued[row]) continue;
      this.#queued[row] = NONE;
      const deadline = this.#deadlines[row]!;
      if (deadline === NONE) continue;
      if (deadline > time) this.#enqueue(row, deadline);
      else if (keep?.(row)) held.push(row);
      else due.push(row);
    }
    for (const row of held) this.#enqueue(row, this.#deadlines[row]!);
    const deadlines = this.#deadlines;
    return due.sort((a, b) => deadlines[a]! - deadlines[b]! || compare(keyOf(a), keyOf(b)));
  }

  has(row: number): boolean {
    return row < this.#deadlines.length && this.#deadlines[row] !== NONE;
  }

  encode(row: number): Uint8Array {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, this.#deadlines[row]!, true);
    return bytes;
  }

  reads(version: number): boolean {
    return version === this.version;
  }

  restore(row: number, version: number, bytes: Uint8Array): void {
    if (version !== this.version) refuseVersion(this.name, version, this.version);
    this.#set(row, new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true));
  }

  copy(row: number): number {
    return this.#deadlines[row]!;
  }

  mark(): undefined {
    return undefined;
  }

  erase(row: number): void {
    if (row >= 0 && row < this.#deadlines.length) this.#deadlines[row] = NONE;
  }

  #set(row: number, deadline: number): void {
    if (row >= this.#deadlines.length) this.#grow(row + 1);
    this.#deadlines[row] = deadline;
    if (deadline < this.#queued[row]!) this.#enqueue(row, deadline);
  }

  #grow(rows: number): void {
    const capacity = Math.max(16, rows, this.#deadlines.length * 2);
    this.#deadlines = extended(this.#deadlines, capacity);
    this.#queued = extended(this.#queued, capacity);
  }

  #enqueue(row: number, deadline: number): void {
    this.#queued[row] = deadline;
    if (this.#heapSize === this.#heapTimes.length) {
      const times = new Float64Array(this.#heapSize * 2);
      times.set(this.#heapTimes);
      this.#heapTimes = times;
      const rows = new Int32Array(this.#heapSize * 2);
      rows.set(this.#heapRows);
      this.#heapRows = rows;
    }
    const times = this.#heapTimes;
    const rows = this.#heapRows;
    let at = this.#heapSize++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (times[parent]! <= deadline) break;
      times[at] = times[parent]!;
      rows[at] = rows[parent]!;
      at = parent;
    }
    times[at] = deadline;
    rows[at] = row;
  }

  #pop(): void {
    const times = this.#heapTimes;
    const rows = this.#heapRows;
    const size = --this.#heapSize;
    const time = times[size]!;
    const row = rows[size]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && times[child + 1]! < times[child]!) child++;
      if (times[child]! >= time) break;
      times[at] = times[child]!;
      rows[at] = rows[child]!;
      at = child;
    }
    times[at] = time;
    rows[at] = row;
  }
}

/** Code-unit order: the same on every machine, whatever its locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function extended(old: Float64Array, capacity: number): Float64Array<ArrayBuffer> {
  const next = new Float64Array(capacity).fill(NONE);
  next.set(old);
  return next;
}
