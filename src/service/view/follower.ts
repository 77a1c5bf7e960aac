import { setMaxListeners } from 'node:events';
import { isFleetcastError, messageOf } from '../../errors.ts';
import { decodeRecord, schemaOf } from '../../events/codec.ts';
import type { ModelEvent } from '../../events/records.ts';
import type { EventLog, LogRecord } from '../../log/event-log.ts';
import type { FleetView } from './fleet-view.ts';

export interface FollowedTopics {
  readonly readings: string;
  readonly deadLetters: string;
  readonly forecasts: string;
  readonly scores: string;
  readonly alerts: string;
  readonly modelEvents: string;
}

export interface FollowerOptions {
  readonly log: EventLog;
  readonly topics: FollowedTopics;
  readonly view: FleetView;
  /** How many records before the end of each partition the view begins with. Default 20,000. */
  readonly backlog?: number;
  readonly onEvent?: (event: { readonly topic: string; readonly message: string }) => void;
  /** A model event that came since the start. */
  readonly onModelEvent?: (event: ModelEvent) => void;
}

const WAIT_MS = 1_000;
const RETRY_MS = 1_000;

/** Reads the output topics into the view until it is stopped. A record that does not decode is left out. */
export class ViewFollower {
  readonly #options: FollowerOptions;
  readonly #stop = new AbortController();
  #loops: Promise<void>[] = [];

  constructor(options: FollowerOptions) {
    this.#options = options;
    // One listener for each partition of each topic.
    setMaxListeners(0, this.#stop.signal);
  }

  async start(): Promise<void> {
    const { log, topics } = this.#options;
    const whole = new Set([topics.deadLetters, topics.modelEvents]);
    for (const name of Object.values(topics)) {
      const partitions = (await log.topic(name))?.partitions ?? 0;
      for (let p = 0; p < partitions; p++) {
        const { earliest, end } = await log.offsets(name, p);
        const from = whole.has(name) ? earliest : Math.max(earliest, end - (this.#options.backlog ?? 20_000));
        this.#loops.push(this.#follow(name, p, from, end));
      }
    }
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
    this.#loops = [];
  }

  async #follow(topic: string, partition: number, from: number, liveFrom: number): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stop;
    let offset = from;
    while (!signal.aborted) {
      try {
        const batch = await log.read(topic, partition, offset, { maxRecords: 1_000, waitMs: WAIT_MS, signal });
        for (const record of batch.records) this.#take(topic, record, record.offset >= liveFrom);
        offset = batch.nextOffset;
        // Leaves the thread to the stream: a view that is a little late harms nobody.
        await pause(batch.records.length > 0 ? 50 : 0, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (isFleetcastError(error, 'LOG_CLOSED')) return;
        if (isFleetcastError(error, 'LOG_OFFSET_OUT_OF_RANGE')) {
          offset = await this.#earliest(topic, partition, offset);
        }
        this.#options.onEvent?.({ topic, message: messageOf(error) });
        await pause(RETRY_MS, signal);
      }
    }
  }

  async #earliest(topic: string, partition: number, otherwise: number): Promise<number> {
    try {
      return (await this.#options.log.offsets(topic, partition)).earliest;
    } catch {
      return otherwise;
    }
  }

  #take(topic: string, record: LogRecord, live: boolean): void {
    const { topics, view } = this.#options;
    if (record.value === null) return;
    if (topic === topics.readings) {
      // The key and the time are enough: readings are not decoded here.
      if (record.key !== null && schemaOf(record.value) === 'Reading') {
        view.onReading(Buffer.from(record.key).toString('utf8'), record.timestamp, live);
      }
      return;
    }
    let decoded: ReturnType<typeof decodeRecord>;
    try {
      decoded = decodeRecord(record.value);
    } catch {
      return;
    }
    if (decoded.type === 'Forecast') view.onForecast(decoded, live);
    else if (decoded.type === 'Score') view.onScore(decoded, live);
    else if (decoded.type === 'Alert') view.onAlert(decoded, live);
    else if (decoded.type === 'DeadLetter') view.onDeadLetter(decoded, record.offset, live);
    else if (decoded.type === 'ModelEvent') {
      view.onModelEvent(decoded);
      if (live) this.#options.onModelEvent?.(decoded);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
