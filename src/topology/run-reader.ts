import { FleetcastError } from '../errors.ts';
import type { EventLog, LogRecord } from '../log/event-log.ts';
import { PartitionReader, type ReadLimits } from './partition-reader.ts';

/**
 * Reads stretches of one partition again, one after the other as a journal lists them. What a read brings beyond a
 * stretch is kept for the next: inputs that alternated record by record are read once, not once for each record.
 */
export class RunReader {
  readonly #log: EventLog;
  readonly #topic: string;
  readonly #partition: number;
  readonly #limits: ReadLimits;
  readonly #acceptCutLog: boolean;
  readonly #signal: AbortSignal;
  #reader: PartitionReader | undefined;
  #records: readonly LogRecord[] = [];
  #at = 0;
  /** Offset that the reader goes on at, after `#records`. */
  #readTo = 0;

  constructor(
    log: EventLog,
    topic: string,
    partition: number,
    limits: ReadLimits,
    acceptCutLog: boolean,
    signal: AbortSignal,
  ) {
    this.#log = log;
    this.#topic = topic;
    this.#partition = partition;
    this.#limits = limits;
    this.#acceptCutLog = acceptCutLog;
    this.#signal = signal;
  }

  /**
   * Records from ≤ offset < to, in parts; `from` where the last stretch ended. Ends early when the signal fires.
   * @throws STATE_LOG_CUT where the log has lost some
   */
  async *read(from: number, to: number): AsyncGenerator<readonly LogRecord[]> {
    if (from >= to) return;
    this.#reader ??= await this.#begin(from);
    while (!this.#signal.aborted) {
      const { length } = this.#records;
      const first = this.#at;
      while (this.#at < length && this.#records[this.#at]!.offset < to) this.#at++;
      if (this.#at > first) yield this.#records.slice(first, this.#at);
      if (this.#at < length || this.#readTo >= to) return;
      const batch = await this.#reader.next();
      this.#records = batch.records;
      this.#at = 0;
      this.#readTo = batch.nextOffset;
    }
  }

  async #begin(from: number): Promise<PartitionReader> {
    const { earliest } = await this.#log.offsets(this.#topic, this.#partition);
    if (from < earliest && !this.#acceptCutLog) throw this.#cut(from, earliest);
    this.#readTo = Math.max(from, earliest);
    return new PartitionReader(this.#log, this.#topic, this.#partition, this.#readTo, this.#limits, this.#signal);
  }

  #cut(from: number, earliest: number): FleetcastError {
    return new FleetcastError(
      'STATE_LOG_CUT',
      `${this.#topic}/${this.#partition} begins at offset ${earliest}, the state needs the records from ${from} on`,
      { details: { topic: this.#topic, partition: this.#partition, from, earliest } },
    );
  }
}
