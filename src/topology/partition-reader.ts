import type { EventLog, ReadBatch } from '../log/event-log.ts';

export interface ReadLimits {
  readonly maxRecords: number;
  readonly maxBytes: number;
  /** How long a read waits for a first record. */
  readonly waitMs: number;
}

/** Reads one partition in order, one batch ahead of the task. */
export class PartitionReader {
  readonly topic: string;
  readonly #log: EventLog;
  readonly #partition: number;
  readonly #limits: ReadLimits;
  readonly #signal: AbortSignal;
  #next: number;
  #ahead: Promise<ReadBatch> | undefined;

  constructor(
    log: EventLog,
    topic: string,
    partition: number,
    offset: number,
    limits: ReadLimits,
    signal: AbortSignal,
  ) {
    this.topic = topic;
    this.#log = log;
    this.#partition = partition;
    this.#next = offset;
    this.#limits = limits;
    this.#signal = signal;
  }

  /** The next batch; empty when there was nothing for `waitMs`, or when the signal ended the wait. */
  async next(): Promise<ReadBatch> {
    const batch = await (this.#ahead ?? this.#read());
    this.#next = batch.nextOffset;
    this.#ahead = undefined;
    if (batch.records.length > 0 && batch.nextOffset < batch.endOffset) {
      this.#ahead = this.#read();
      // Its failure shows when it is asked for.
      this.#ahead.catch(() => {});
    }
    return batch;
  }

  #read(): Promise<ReadBatch> {
    return this.#log.read(this.topic, this.#partition, this.#next, { ...this.#limits, signal: this.#signal });
  }
}
