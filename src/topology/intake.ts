import type { LogRecord } from '../log/event-log.ts';
import { untilAborted } from './engine-clock.ts';
import type { MicroBatch } from './micro-batch.ts';
import type { SourceNode } from './topology.ts';

/**
 * Fills a micro-batch with log records. A broadcast that has to be made ready begins a batch of its own: what came
 * before it must not wait for it.
 */
export class Intake {
  readonly #sources: readonly SourceNode[];
  readonly #batch: MicroBatch;
  readonly #signal: AbortSignal;
  readonly #onWait: (awaited: string | undefined) => void;

  /** @param onWait hears what a wait is for, in words, and undefined at its end. */
  constructor(
    sources: readonly SourceNode[],
    batch: MicroBatch,
    signal: AbortSignal,
    onWait: (awaited: string | undefined) => void,
  ) {
    this.#sources = sources;
    this.#batch = batch;
    this.#signal = signal;
    this.#onWait = onWait;
  }

  /**
   * Takes records from index `from`, all or up to a cut.
   * @param shift added to their offsets it gives their places in the task's input sequence.
   * @returns the index of the next record to take; −1 where the signal ended the wait for a broadcast.
   */
  async fill(source: number, records: readonly LogRecord[], from: number, shift = 0): Promise<number> {
    const batch = this.#batch;
    const { prepare, awaits, topic } = this.#sources[source]!;
    for (let i = from; i < records.length; i++) {
      let item = batch.decode(source, records[i]!);
      if (prepare !== undefined && !(item instanceof Error) && item.kind === 'broadcast') {
        if (batch.size > 0) return i;
        const needed = `what the record at offset ${records[i]!.offset} of ${topic} needs from outside`;
        this.#onWait(awaits?.(item.value) ?? needed);
        const ready = prepare(item.value, this.#signal).then((value) => ({ value }));
        const prepared = await untilAborted(ready, this.#signal);
        if (prepared === undefined) return -1;
        this.#onWait(undefined);
        item = { kind: 'broadcast', value: prepared.value };
      }
      batch.add(source, records[i]!, item, records[i]!.offset + shift);
    }
    return records.length;
  }
}
