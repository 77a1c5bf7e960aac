/** Readers that wait for something to happen; each wait ends once: woken, timed out or aborted. */
export class Waiters {
  readonly #waiting = new Set<() => void>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Resolves at the next `wake`, after `ms`, or when the signal aborts, whichever comes first. Never rejects. */
  wait(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms <= 0 || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        this.#waiting.delete(end);
        resolve();
      };
      // Longer waits than a timer can hold are cut; the caller's loop waits again.
      const timer = setTimeout(end, Math.min(ms, 0x7fffffff));
      signal?.addEventListener('abort', end, { once: true });
      this.#waiting.add(end);
    });
  }

  wake(): void {
    for (const end of [...this.#waiting]) end();
  }
}
