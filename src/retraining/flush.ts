import { decode, encodeRecord, schemaOf } from '../events/codec.ts';
import type { HistoryFlush } from '../events/records.ts';
import type { OutRecord } from '../log/event-log.ts';
import type { OffsetRange } from '../models/model.ts';
import { type Desk, publish } from './publisher.ts';
import { endOffsets } from './score-follower.ts';

export interface FlushOptions extends Desk {
  /** Unique. */
  readonly id: string;
  /** The pipeline counts as not running when its history has not moved for so long, milliseconds. 0 asks nothing of it. */
  readonly patienceMs: number;
  readonly signal?: AbortSignal | undefined;
}

const POLL_MS = 50;

/**
 * Has the pipeline write its open segments, and fixes the history as a set of offsets: in each partition, everything up
 * to the record that answers the flush. Where the pipeline does not answer, the partition as it stands.
 * @returns the ranges, and whether every partition has answered
 */
export async function flushHistory(
  options: FlushOptions,
): Promise<{ readonly ranges: readonly OffsetRange[]; readonly flushed: boolean }> {
  const { log, topics, id, patienceMs, signal } = options;
  const topic = topics.history;
  const next = await endOffsets(log, topic);
  const marks: (number | undefined)[] = next.map(() => undefined);
  if (patienceMs > 0) {
    await publish(options, await flushRecords(options, id));
    let moved = performance.now();
    while (marks.includes(undefined) && performance.now() - moved < patienceMs) {
      signal?.throwIfAborted();
      for (let partition = 0; partition < next.length; partition++) {
        if (marks[partition] !== undefined) continue;
        const batch = await log.read(topic, partition, next[partition]!, { maxRecords: 1000 });
        if (batch.nextOffset > next[partition]!) moved = performance.now();
        next[partition] = batch.nextOffset;
        const mark = batch.records.find(({ value }) => isMark(value, id));
        if (mark !== undefined) marks[partition] = mark.offset + 1;
      }
      if (marks.includes(undefined)) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
  const ranges = await Promise.all(
    marks.map(async (mark, partition) => {
      const { earliest, end } = await log.offsets(topic, partition);
      return { topic, partition, from: earliest, to: mark ?? end };
    }),
  );
  return { ranges, flushed: patienceMs > 0 && !marks.includes(undefined) };
}

async function flushRecords({ log, topics, now }: Desk, id: string): Promise<OutRecord[]> {
  const { partitions } = (await log.topic(topics.readings))!;
  const time = now();
  const value = encodeRecord({ type: 'HistoryFlush', id, time });
  return Array.from({ length: partitions }, (_, partition) => {
    return { topic: topics.readings, partition, timestamp: time, key: null, value };
  });
}

function isMark(value: Uint8Array | null, id: string): boolean {
  return value !== null && schemaOf(value) === 'HistoryFlush' && decode<HistoryFlush>('HistoryFlush', value).id === id;
}
