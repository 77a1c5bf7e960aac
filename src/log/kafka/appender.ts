import type { FleetcastError } from '../../errors.ts';
import type { Compression } from './compression.ts';
import { patiently, translate } from './kafka-errors.ts';
import { type PartitionRecords, Sender } from './sender.ts';
import { knowTopics, type Wire, type WireCluster } from './wire.ts';

interface Pending {
  readonly shares: readonly PartitionRecords[];
  readonly count: number;
  readonly resolve: (offsets: number[]) => void;
  readonly reject: (error: unknown) => void;
}

/** What goes into one flight; more waits for the next. */
const FLIGHT_RECORDS = 20_000;

/**
 * Appends without transactions: what is asked for while a flight is under way goes together in the next. Retries within
 * the flight are idempotent. A flight that fails takes its producer identity with it.
 */
export class Appender {
  readonly #wire: Wire;
  readonly #cluster: WireCluster;
  readonly #retryMs: number;
  readonly #compression: Compression;
  readonly #queue: Pending[] = [];
  #sender: Sender | undefined;
  #running: Promise<void> | undefined;

  constructor(wire: Wire, retryMs: number, compression: Compression) {
    this.#compression = compression;
    this.#wire = wire;
    this.#cluster = wire.cluster();
    this.#retryMs = retryMs;
  }

  append(shares: readonly PartitionRecords[], count: number): Promise<number[]> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ shares, count, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#wire.release(this.#cluster);
  }

  async #run(): Promise<void> {
    // Calls made in this turn of the event loop go together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) {
      let records = 0;
      let n = 0;
      while (n < this.#queue.length && (n === 0 || records + this.#queue[n]!.count <= FLIGHT_RECORDS)) {
        records += this.#queue[n++]!.count;
      }
      await this.#fly(this.#queue.splice(0, n));
    }
    this.#running = undefined;
  }

  async #fly(flight: readonly Pending[]): Promise<void> {
    const merged = new Map<string, PartitionRecords>();
    let first = 0;
    for (const { shares, count } of flight) {
      for (const share of shares) {
        const name = `${share.topic}/${share.partition}`;
        let into = merged.get(name);
        if (into === undefined) {
          into = { topic: share.topic, partition: share.partition, records: [], places: [] };
          merged.set(name, into);
        }
        for (const record of share.records) into.records.push(record);
        for (const place of share.places) into.places.push(first + place);
      }
      first += count;
    }
    let offsets: number[];
    try {
      const sender = await this.#open([...new Set([...merged.values()].map((share) => share.topic))]);
      offsets = await sender.send([...merged.values()], first, { where: 'append', retryMs: this.#retryMs });
    } catch (error) {
      this.#sender = undefined;
      const failure: FleetcastError = translate(error, 'append');
      for (const each of flight) each.reject(failure);
      return;
    }
    let at = 0;
    for (const each of flight) {
      each.resolve(offsets.slice(at, at + each.count));
      at += each.count;
    }
  }

  async #open(topics: readonly string[]): Promise<Sender> {
    const recover = () => this.#cluster.refreshMetadata();
    return patiently({ where: 'append', retryMs: this.#retryMs, recover }, async () => {
      await knowTopics(this.#cluster, topics);
      if (this.#sender === undefined) {
        const broker = await this.#cluster.findControllerBroker();
        const identity = await broker.initProducerId({ transactionTimeout: 60_000 });
        this.#sender = new Sender(this.#cluster, identity, this.#compression);
      }
      return this.#sender;
    });
  }
}
