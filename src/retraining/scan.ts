import { setImmediate as breath } from 'node:timers/promises';
import type { EventLog, LogRecord } from '../log/event-log.ts';

/** Decoding so many takes a few milliseconds. */
const BATCH = 200;

export interface Scanned {
  readonly records: readonly LogRecord[];
  /** Where the next batch begins. */
  readonly nextOffset: number;
}

/**
 * The records of a partition from one offset to another, in batches. The stream's own work on this thread gets its turn
 * between two of them: a log that reads at once would otherwise hold it up until everything has been read.
 */
export async function* scan(
  log: EventLog,
  topic: string,
  partition: number,
  range: { readonly from: number; readonly to: number },
  signal?: AbortSignal,
): AsyncGenerator<Scanned, void, void> {
  for (let next = range.from; next < range.to; ) {
    signal?.throwIfAborted();
    const { records, nextOffset } = await log.read(topic, partition, next, { maxRecords: BATCH });
    if (nextOffset <= next) return;
    next = Math.min(nextOffset, range.to);
    yield { records: records.filter(({ offset }) => offset < range.to), nextOffset: next };
    await breath();
  }
}
