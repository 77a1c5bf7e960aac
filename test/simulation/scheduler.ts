/** A seeded generator (mulberry32): the same numbers for the same seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 ≤ x < 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** An integer 0 ≤ x < n. */
  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** A simulated process: what it waits for comes to nothing after a crash, and stands still during a pause. */
export interface Process {
  readonly name: string;
  alive: boolean;
  /** Step at which it goes on. */
  pausedUntil: number;
}

interface Job {
  readonly process: Process | undefined;
  /** Virtual time before which it does not run. */
  readonly notBefore: number;
  readonly run: () => void;
}

/**
 * Decides what happens next. Everything that would be a message or a timer is a job; each step picks one of those that
 * can run, by the seed, and lets all that follows from it happen before the next step. So a seed is an interleaving,
 * and it can be had again.
 */
export class Scheduler {
  readonly random: Random;
  readonly trace: string[] = [];
  time = 1_000_000;
  step = 0;
  readonly #jobs: Job[] = [];

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  note(text: string): void {
    this.trace.push(`${this.step} ${text}`);
  }

  post(process: Process | undefined, run: () => void, afterMs = 0): void {
    this.#jobs.push({ process, notBefore: this.time + afterMs, run });
  }

  /** Runs one job; false where there is none. */
  async next(): Promise<boolean> {
    this.step++;
    this.time += this.random.below(3);
    const ready = this.#ready();
    if (ready.length === 0) {
      const times = this.#jobs.filter((job) => this.#canEverRun(job)).map(({ notBefore }) => notBefore);
      if (times.length === 0) return false;
      this.time = Math.max(this.time, Math.min(...times));
      const paused = this.#jobs.flatMap(({ process }) => (process?.alive ? [process] : []));
      if (this.#ready().length === 0) for (const process of paused) process.pausedUntil = 0;
      return true;
    }
    const index = this.random.pick(ready);
    const [job] = this.#jobs.splice(index, 1);
    job!.run();
    // Lets every promise that this has resolved run to its end.
    await new Promise((resolve) => setImmediate(resolve));
    return true;
  }

  #ready(): number[] {
    const ready: number[] = [];
    for (const [i, job] of this.#jobs.entries()) {
      if (job.notBefore > this.time || !this.#canEverRun(job)) continue;
      if ((job.process?.pausedUntil ?? 0) <= this.step) ready.push(i);
    }
    return ready;
  }

  #canEverRun({ process }: Job): boolean {
    return process === undefined || process.alive;
  }
}
