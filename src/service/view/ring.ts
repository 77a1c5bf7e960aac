/** One closed bucket of a series, and what had been forecast for it one step ahead. NaN where it is not known. */
export interface Point {
  /** Start of the bucket. */
  readonly time: number;
  readonly actual: number;
  readonly expected: number;
  readonly lower: number;
  readonly upper: number;
}

/** The last points of a series in the order of their time, at 24 bytes a point. */
export class PointRing {
  readonly capacity: number;
  readonly #times: Float64Array;
  readonly #values: Float32Array;
  #size = 0;
  #next = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#times = new Float64Array(capacity);
    this.#values = new Float32Array(capacity * 4);
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a point, or replaces the one of the same time (a corrected bucket). Older ones than the oldest are left out. */
  put(point: Point): void {
    const last = this.#slot(this.#size - 1);
    let slot: number;
    if (this.#size === 0 || point.time > this.#times[last]!) {
      slot = this.#next;
      this.#next = (this.#next + 1) % this.capacity;
      this.#size = Math.min(this.#size + 1, this.capacity);
    } else {
      slot = -1;
      for (let i = this.#size - 1; i >= 0; i--) {
        if (this.#times[this.#slot(i)] === point.time) slot = this.#slot(i);
      }
      if (slot < 0) return;
    }
    this.#times[slot] = point.time;
    this.#values.set([point.actual, point.expected, point.lower, point.upper], slot * 4);
  }

  /** The last `count` points, oldest first. */
  points(count = this.#size): Point[] {
    const from = Math.max(0, this.#size - count);
    const points: Point[] = [];
    for (let i = from; i < this.#size; i++) {
      const slot = this.#slot(i);
      const [actual, expected, lower, upper] = this.#values.subarray(slot * 4, slot * 4 + 4);
      points.push({ time: this.#times[slot]!, actual: actual!, expected: expected!, lower: lower!, upper: upper! });
    }
    return points;
  }

  /** Slot of the `i`-th oldest point. */
  #slot(i: number): number {
    return (this.#next - this.#size + i + this.capacity * 2) % this.capacity;
  }
}
