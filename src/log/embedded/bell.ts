import { type FSWatcher, watch } from 'node:fs';
import type { Tables } from './tables.ts';

const POLL_MS = 50;
const POLL_WITHOUT_WATCH_MS = 5;

/**
 * Hears of transactions of other processes: a watch on the bell file, and a slow look at the counter of changes for
 * what a watch can miss (a process killed between its transaction and the bell; file systems without watches).
 */
export class Bell {
  readonly #tables: Tables;
  readonly #onChange: () => void;
  #watcher: FSWatcher | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(tables: Tables, onChange: () => void) {
    this.#tables = tables;
    this.#onChange = onChange;
  }

  /** Begins to listen, once; until `close`. */
  listen(): void {
    if (this.#poll !== undefined) return;
    try {
      this.#watcher = watch(this.#tables.bellPath, { persistent: false }, () => this.#look());
      this.#watcher.on('error', () => this.#startPoll(POLL_WITHOUT_WATCH_MS));
      this.#startPoll(POLL_MS);
    } catch {
      this.#startPoll(POLL_WITHOUT_WATCH_MS);
    }
    this.#look();
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    clearInterval(this.#poll);
  }

  #startPoll(ms: number): void {
    clearInterval(this.#poll);
    this.#poll = setInterval(() => this.#look(), ms);
    this.#poll.unref();
  }

  #look(): void {
    if (this.#tables.changedElsewhere()) this.#onChange();
  }
}
