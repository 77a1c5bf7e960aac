/** Events a second, over the last few seconds of the injected clock. */
export class Rate {
  readonly #now: () => number;
  readonly #counts = new Float64Array(SECONDS);
  #second = 0;
  total = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(count: number): void {
    this.total += count;
    this.#counts[this.#advance() % SECONDS]! += count;
  }

  /** Mean over the last whole seconds. */
  perSecond(): number {
    const second = this.#advance();
    let sum = 0;
    for (let i = 1; i < SECONDS; i++) sum += this.#counts[(second - i + SECONDS) % SECONDS]!;
    return sum / (SECONDS - 1);
  }

  #advance(): number {
    const second = Math.floor(this.#now() / 1000);
    const passed = Math.min(second - this.#second, SECONDS);
    for (let i = 0; i < passed; i++) this.#counts[(second - i) % SECONDS] = 0;
    if (passed > 0) this.#second = second;
    return this.#second;
  }
}

const SECONDS = 6;
