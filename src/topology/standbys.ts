import { Standby, type StandbyStatus } from './standby.ts';
import type { TaskOptions } from './task-options.ts';

/** The copies that one engine keeps of the state of a sub-topology's tasks which others run. */
export class Standbys {
  readonly #wanted: (partition: number) => boolean;
  readonly #options: (partition: number) => TaskOptions;
  readonly #standbys = new Map<number, Standby>();
  #stopped = false;

  constructor(wanted: 'all' | readonly number[] | undefined, options: (partition: number) => TaskOptions) {
    this.#wanted = (partition) => wanted === 'all' || (wanted?.includes(partition) ?? false);
    this.#options = options;
  }

  /** Keeps a copy of every wanted partition below `partitions` that this engine does not run itself. */
  cover(partitions: number, own: { has(partition: number): boolean }): void {
    for (let p = 0; p < partitions && !this.#stopped; p++) {
      if (own.has(p) || this.#standbys.has(p) || !this.#wanted(p)) continue;
      const standby = new Standby(this.#options(p));
      this.#standbys.set(p, standby);
      standby.start();
    }
  }

  /** The copy for a task that comes here now. */
  take(partition: number): Standby | undefined {
    const standby = this.#standbys.get(partition);
    this.#standbys.delete(partition);
    return standby;
  }

  status(): StandbyStatus[] {
    return [...this.#standbys.values()].map((standby) => standby.status());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    const standbys = [...this.#standbys.values()];
    this.#standbys.clear();
    await Promise.all(standbys.map((standby) => standby.stop()));
  }
}
