import { isFleetcastError, messageOf } from '../../errors.ts';
import type { EventLog, OutRecord } from '../../log/event-log.ts';

/** What one message has become, in the order of arrival. `M` is what is given back when it is on the log. */
export interface Entry<M> {
  readonly message: M;
  readonly records: readonly OutRecord[];
  readonly bytes: number;
  /** When it came, milliseconds of the caller's clock. */
  readonly at: number;
}

export interface AppendLaneOptions<M> {
  readonly log: EventLog;
  /** Called in the order of arrival when the records of these entries are durable. */
  readonly onAppended: (entries: readonly Entry<M>[]) => void;
  /** The same record for a second attempt: the first may have reached the log although it failed. */
  readonly asRetry: (record: OutRecord) => OutRecord;
  /** What to write in place of a record that the log refuses for its size. */
  readonly inPlaceOf: (record: OutRecord) => OutRecord | undefined;
  readonly onEvent: (event: LaneEvent) => void;
  /** Most of one append. Default 8,192 records and 4 MiB. */
  readonly maxBatchRecords?: number;
  readonly maxBatchBytes?: number;
  /** First and longest wait before the log is tried again; it doubles. Default 50 and 5,000. */
  readonly retryMs?: { readonly min?: number; readonly max?: number };
}

export type LaneEvent =
  | { readonly type: 'log-down'; readonly code: string; readonly message: string }
  | { readonly type: 'log-up' }
  | { readonly type: 'record-refused'; readonly message: string };

/**
 * Appends in strict order: one append is under way at a time, and what arrives meanwhile makes the next batch. So a
 * failed append can be repeated before anything later is written, and the order of a device survives an outage.
 */
export class AppendLane<M> {
  readonly #options: AppendLaneOptions<M>;
  #queue: Entry<M>[] = [];
  #batch: readonly Entry<M>[] = [];
  #queued = 0;
  #bytes = 0;
  #running: Promise<void> | undefined;
  #scheduled = false;
  #tick: (() => readonly OutRecord[]) | undefined;
  #down = false;
  #stopped = false;
  #wake: (() => void) | undefined;
  #attempts = 0;
  #appended = 0;

  constructor(options: AppendLaneOptions<M>) {
    this.#options = options;
  }

  /** Entries and bytes that are not on the log yet. */
  get pending(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#queued, bytes: this.#bytes };
  }

  /** When the oldest entry came that is not on the log; undefined where there is none. */
  get oldest(): number | undefined {
    return (this.#batch[0] ?? this.#queue[0])?.at;
  }

  get down(): boolean {
    return this.#down;
  }

  /** Appends made and records written. */
  get totals(): { readonly appends: number; readonly records: number } {
    return { appends: this.#attempts, records: this.#appended };
  }

  offer(entry: Entry<M>): void {
    this.#queue.push(entry);
    this.#queued++;
    this.#bytes += entry.bytes;
    this.#schedule();
  }

  /** Records that are made when their turn has come; a second request before that changes nothing. */
  offerLate(make: () => readonly OutRecord[]): void {
    this.#tick ??= make;
    this.#schedule();
  }

  /** Resolves when all that was offered is on the log, or after `ms`. */
  async drain(ms: number): Promise<boolean> {
    const end = new Promise<void>((resolve) => setTimeout(resolve, ms).unref());
    while (this.#queued > 0) {
      const done = await Promise.race([this.#running ?? new Promise<void>(setImmediate), end.then(() => true)]);
      if (done === true) return false;
    }
    return true;
  }

  /** Gives up what is not on the log: the broker still has it. Resolves when no append is under way, or after `ms`. */
  async stop(ms: number): Promise<void> {
    this.#stopped = true;
    this.#wake?.();
    await Promise.race([this.#running, new Promise((resolve) => setTimeout(resolve, ms).unref())]);
  }

  #schedule(): void {
    if (this.#scheduled || this.#running !== undefined || this.#stopped) return;
    this.#scheduled = true;
    // All packets of one read have been handled by then: they make one batch.
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#running !== undefined || this.#stopped) return;
      this.#running = this.#run().finally(() => {
        this.#running = undefined;
        if (this.#queue.length > 0 || this.#tick !== undefined) this.#schedule();
      });
    });
  }

  async #run(): Promise<void> {
    while (!this.#stopped && (this.#queue.length > 0 || this.#tick !== undefined)) {
      const batch = this.#take();
      this.#batch = batch;
      const records: OutRecord[] = [];
      for (const entry of batch) for (const record of entry.records) records.push(record);
      const late = this.#tick;
      if (late !== undefined && this.#queue.length === 0) {
        this.#tick = undefined;
        for (const record of late()) records.push(record);
      }
      if (records.length > 0 && !(await this.#append(records))) return;
      for (const entry of batch) this.#bytes -= entry.bytes;
      this.#queued -= batch.length;
      this.#batch = [];
      if (batch.length > 0) this.#options.onAppended(batch);
    }
  }

  #take(): Entry<M>[] {
    const { maxBatchRecords = 8192, maxBatchBytes = 4 * 1024 * 1024 } = this.#options;
    let records = 0;
    let bytes = 0;
    let count = 0;
    for (const entry of this.#queue) {
      if (count > 0 && (records + entry.records.length > maxBatchRecords || bytes + entry.bytes > maxBatchBytes)) break;
      records += entry.records.length;
      bytes += entry.bytes;
      count++;
    }
    if (count === this.#queue.length) {
      const all = this.#queue;
      this.#queue = [];
      return all;
    }
    return this.#queue.splice(0, count);
  }

  /** Until it is done; false where the lane was stopped before. */
  async #append(records: readonly OutRecord[]): Promise<boolean> {
    let wanted = records;
    let wait = this.#options.retryMs?.min ?? 50;
    for (;;) {
      try {
        this.#attempts++;
        await this.#options.log.append(wanted);
        this.#appended += wanted.length;
        if (this.#down) {
          this.#down = false;
          this.#options.onEvent({ type: 'log-up' });
        }
        return true;
      } catch (error) {
        if (isFleetcastError(error, 'LOG_RECORD_TOO_LARGE')) return this.#appendSingly(wanted);
        if (!this.#down) {
          this.#down = true;
          const code = isFleetcastError(error) ? error.code : 'LOG_UNAVAILABLE';
          this.#options.onEvent({ type: 'log-down', code, message: messageOf(error) });
        }
        wanted = wanted.map(this.#options.asRetry);
        await this.#pause(wait);
        wait = Math.min(wait * 2, this.#options.retryMs?.max ?? 5_000);
        if (this.#stopped) return false;
      }
    }
  }

  /** One of them is too large for the log: halves the batch until it stands alone, then writes its substitute. */
  async #appendSingly(records: readonly OutRecord[]): Promise<boolean> {
    if (records.length > 1) {
      const half = records.length >> 1;
      return (await this.#append(records.slice(0, half))) && (await this.#append(records.slice(half)));
    }
    const [record] = records;
    if (record === undefined) return true;
    const substitute = this.#options.inPlaceOf(record);
    this.#options.onEvent({
      type: 'record-refused',
      message: `the log does not take a record of ${record.value?.length ?? 0} bytes on ${record.topic}`,
    });
    return substitute === undefined ? true : this.#append([substitute]);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
