/** [first, one after the last] */
export type Range = [number, number];

/** Of one partition: letters that a replay has passed and that are still bad, by their offsets. Bounded. */
export class OpenLetters {
  /** Apart, in order. */
  readonly #ranges: Range[];
  readonly #most: number;
  /** Letters that were given up because there were too many. */
  forgotten = 0;

  constructor(ranges: readonly Range[] = [], most = 10_000) {
    this.#ranges = ranges.map(([from, to]) => [from, to]);
    this.#most = most;
  }

  get ranges(): readonly Range[] {
    return this.#ranges;
  }

  has(offset: number): boolean {
    const range = this.#ranges[this.#after(offset) - 1];
    return range !== undefined && offset < range[1];
  }

  /** The first open letter at or after an offset; undefined where there is none. */
  from(offset: number): number | undefined {
    if (this.has(offset)) return offset;
    return this.#ranges[this.#after(offset)]?.[0];
  }

  add(offset: number): void {
    if (this.has(offset)) return;
    const at = this.#after(offset);
    const before = this.#ranges[at - 1];
    const after = this.#ranges[at];
    if (before?.[1] === offset && after?.[0] === offset + 1) {
      before[1] = after[1];
      this.#ranges.splice(at, 1);
    } else if (before?.[1] === offset) before[1]++;
    else if (after?.[0] === offset + 1) after[0]--;
    else this.#ranges.splice(at, 0, [offset, offset + 1]);
    if (this.#ranges.length <= this.#most) return;
    const [from, to] = this.#ranges.shift()!;
    this.forgotten += to - from;
  }

  delete(offset: number): void {
    if (!this.has(offset)) return;
    const at = this.#after(offset) - 1;
    const [from, to] = this.#ranges[at]!;
    const rest: Range[] = [
      [from, offset],
      [offset + 1, to],
    ];
    this.#ranges.splice(at, 1, ...rest.filter(([first, end]) => first < end));
  }

  /** Of letters that the log has no more. */
  deleteBefore(offset: number): void {
    while (this.#ranges.length > 0 && this.#ranges[0]![1] <= offset) this.#ranges.shift();
  }

  /** How many ranges begin at or before an offset. */
  #after(offset: number): number {
    let from = 0;
    let to = this.#ranges.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#ranges[middle]![0] <= offset) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
