import { setImmediate as breath } from 'node:timers/promises';
import type { EventLog, LogRecord, OutRecord } from '../log/event-log.ts';
import { Executor } from '../topology/executor.ts';
import { divide } from '../topology/plan.ts';
import type { AnyRecord } from '../topology/record-buffer.ts';
import type { Topology } from '../topology/topology.ts';

export interface PartitionRunOptions {
  readonly log: EventLog;
  /** A topology with one source and no repartition. */
  readonly topology: Topology;
  readonly partition: number;
  /** First offset; the earliest where left out. */
  readonly from?: number;
  /** Offset before which it ends. */
  readonly until: number;
  /** Records for which this is false are passed over. */
  readonly accept?: (record: LogRecord) => boolean;
  /** Broadcast before the first record. */
  readonly first?: unknown;
  /** Sees what reaches a sink, before it is bytes. */
  readonly onSink?: (sink: string, record: AnyRecord) => void;
  readonly deadLetterTopic: string;
  readonly signal?: AbortSignal;
}

/** Takes a few milliseconds; then the live stream on this thread has its turn. */
const BATCH = 500;

/**
 * Runs recorded input of one partition through a topology, in memory and from an empty state: no group, no commit, no
 * snapshot, nothing written. Yields the outputs of each micro-batch.
 */
export async function* runPartition(options: PartitionRunOptions): AsyncGenerator<readonly OutRecord[]> {
  const { log, topology, partition, until, accept, onSink, deadLetterTopic } = options;
  const [part] = divide(topology);
  const [source] = part!.sources;
  const executor = new Executor(part!, {
    task: `run-${partition}`,
    partition,
    target: ({ topic }) => ({ topic, partitionOf: () => partition }),
    deadLetters: { topic: deadLetterTopic, partitionOf: () => partition },
    maxRecordBytes: log.maxRecordBytes,
    judge: (policy) => (typeof policy === 'string' ? policy : policy.exhausted),
  });
  if (onSink !== undefined) {
    for (const { name, kind } of part!.nodes) {
      if (kind === 'sink') executor.sink(name)!.onRecord = (record) => onSink(name, record);
    }
  }
  const { batch } = executor;
  const signal = options.signal ?? new AbortController().signal;
  await executor.prepare();
  try {
    let next = options.from ?? (await log.offsets(source!.topic, partition)).earliest;
    if (options.first !== undefined) {
      const record = { offset: next - 1, timestamp: 0, key: null, value: null };
      batch.add(0, record, { kind: 'broadcast', value: options.first });
    }
    while (next < until) {
      signal.throwIfAborted();
      const read = await log.read(source!.topic, partition, next, { maxRecords: BATCH });
      for (const record of read.records) {
        if (record.offset >= until || accept?.(record) === false) continue;
        const item = batch.decode(0, record);
        if (!(item instanceof Error) && item.kind === 'broadcast' && source!.prepare !== undefined) {
          if (batch.size > 0) executor.run();
          const value = await source!.prepare(item.value, signal);
          batch.add(0, record, { kind: 'broadcast', value });
        } else {
          batch.add(0, record, item);
        }
      }
      if (batch.size > 0) executor.run();
      yield executor.takeOutputs();
      if (read.nextOffset <= next) break;
      next = read.nextOffset;
      await breath();
    }
  } finally {
    executor.close();
  }
}
