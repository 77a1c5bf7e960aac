import type { LogRecord, OutRecord } from '../src/log/event-log.ts';
import { Counts } from '../src/topology/counts.ts';
import { Executor } from '../src/topology/executor.ts';
import { divide, type Subtopology } from '../src/topology/plan.ts';
import type { Topology } from '../src/topology/topology.ts';

const PARTITIONS = 2;

/** A record or a tick of an input partition, as its codec reads it. */
export interface Arrival {
  readonly partition: number;
  readonly key: string | null;
  readonly value: unknown;
  readonly ingestTime: number;
}

/**
 * Runs a topology with one `keyBy` from two input partitions into one partition behind it, in any order of the two: the
 * caller says which of them comes next to what is behind.
 */
export class TwoPartitions {
  readonly counts = new Counts();
  readonly outputs: OutRecord[] = [];
  readonly #down: Subtopology;
  #behind: Executor;
  /** By partition: what has been written to the repartition topic and not been read. */
  readonly #waiting: OutRecord[][] = [[], []];
  #offset = 0;

  constructor(topology: Topology, arrivals: readonly Arrival[]) {
    const parts = divide(topology);
    this.#down = parts.find(({ sources }) => sources[0]!.repartition === true)!;
    const up = parts.find((part) => part !== this.#down)!;
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const executor = executorOf(up, partition, new Counts());
      const own = arrivals.filter((arrival) => arrival.partition === partition);
      for (const [offset, { key, value, ingestTime }] of own.entries()) {
        const bytes = Buffer.from(JSON.stringify(value));
        const record = { offset, timestamp: ingestTime, key: key === null ? null : Buffer.from(key), value: bytes };
        executor.batch.add(0, record, executor.batch.decode(0, record));
        executor.run();
        this.#waiting[partition]!.push(...executor.takeOutputs());
      }
    }
    this.#behind = executorOf(this.#down, 0, this.counts);
  }

  /** Reads the next record from a partition, or from the other one where it has none. @returns false for the end. */
  take(partition: number): boolean {
    const next = this.#waiting[partition]!.shift() ?? this.#waiting[1 - partition]!.shift();
    if (next === undefined) return false;
    const record: LogRecord = { offset: this.#offset++, timestamp: next.timestamp, key: next.key, value: next.value };
    this.#behind.batch.add(0, record, this.#behind.batch.decode(0, record));
    return true;
  }

  /** Ends the micro-batch. */
  cut(): void {
    if (this.#behind.batch.size === 0) return;
    this.#behind.run();
    this.outputs.push(...this.#behind.takeOutputs());
  }

  /** Goes on with another executor that has only the bytes of the state. */
  restart(): void {
    this.cut();
    const { state } = this.#behind;
    const next = executorOf(this.#down, 0, this.counts);
    next.state.restoreGlobals(state.snapshotGlobals());
    for (const key of [...state.keys.keys()].reverse()) {
      next.state.restoreKey(key, state.snapshotRow(state.keys.rowOf(key)));
    }
    this.#behind = next;
  }

  /** Bytes of a store, by key. */
  stored(store: string): Map<string, number> {
    const { state } = this.#behind;
    const keys = [...state.keys.keys()];
    return new Map(keys.map((key) => [key, state.snapshotRow(state.keys.rowOf(key))[store]?.length ?? 0]));
  }
}

function executorOf(part: Subtopology, partition: number, counts: Counts): Executor {
  return new Executor(part, {
    task: `${part.name}-${partition}`,
    partition,
    target: ({ topic, repartition }) => ({
      topic,
      partitionOf: () => 0,
      ...(repartition === undefined ? {} : { ticks: { from: partition, of: PARTITIONS, partitions: 1 } }),
    }),
    deadLetters: { topic: 'dead-letters', partitionOf: () => 0 },
    judge: () => 'fail',
    counts,
  });
}
