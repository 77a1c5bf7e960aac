import type { Reading } from '../events/records.ts';
import type { KeyedStore, StoreCodec } from '../state/store.ts';
import { ByteReader, ByteWriter } from './binary.ts';
import { Letters, type LettersConfig, listed } from './letters.ts';
import type { Collector, Operator, OperatorContext, StreamRecord } from './operator.ts';
import {
  noMessages,
  placeOf,
  type RecentLimits,
  type RecentMessages,
  readMessages,
  rememberMessage,
  wasRemembered,
  writeMessages,
} from './recent-messages.ts';

export interface QualityConfig extends LettersConfig {
  /** How far ahead of its ingest time the event time of a reading may be, milliseconds. */
  readonly futureMs: number;
  /** Event times before this one are absurd (a clock that was never set), milliseconds since the epoch. */
  readonly oldestTime: number;
  /** Plausible values by quantity. */
  readonly ranges: Readonly<Record<string, { readonly min?: number | undefined; readonly max?: number | undefined }>>;
  /** Most quantities of one device: bounds the state that one device can cost. */
  readonly maxQuantities: number;
  /** Messages of each device that are remembered however old they are; 0 tells no redelivery. */
  readonly remember: number;
  /**
   * Messages of a partition that may lie between a delivery and its repetition, for all devices together: at least what
   * the bridges may have received and not acknowledged (`receiveMaximum` of each), and what a broker that is killed may
   * forget that it was acknowledged. By default as many as there are packet identifiers.
   */
  readonly redeliveryWindow: number;
  /** What to do with a message that the broker had retained: it may be old. `unless-seen` drops what came live before. */
  readonly retained: 'unless-seen' | 'drop';
}

export const QUALITY_DEFAULTS: QualityConfig = {
  origin: 'readings',
  lettersPerHour: 4 * 1024 * 1024,
  futureMs: 15 * 60_000,
  oldestTime: Date.UTC(2000, 0, 1),
  ranges: {},
  maxQuantities: 64,
  remember: 32,
  redeliveryWindow: 65_536,
  retained: 'unless-seen',
};

interface Seen {
  quantities: string[];
  messages: RecentMessages;
}

const codec: StoreCodec<Seen> = {
  version: 2,
  encode({ quantities, messages }) {
    const writer = new ByteWriter().count(quantities.length);
    for (const quantity of quantities) writer.text(quantity);
    return writeMessages(writer, messages).done();
  },
  decode(bytes) {
    const reader = new ByteReader(bytes);
    return { quantities: readQuantities(reader), messages: readMessages(reader) };
  },
  // Fingerprints had no packet identifier then: what they say fits no message of today.
  migrate: (bytes) => ({ quantities: readQuantities(new ByteReader(bytes)), messages: noMessages() }),
};

function readQuantities(reader: ByteReader): string[] {
  return Array.from({ length: reader.count() }, () => reader.text());
}

/**
 * Lets through what can be true: finite, in range, at a possible time, not delivered before. What is turned away goes
 * to the output `rejected` as a dead letter and is counted under its reason; the other values of a reading go on.
 *
 * A message that may be a repetition is told by its fingerprint among those of its device in the last
 * `redeliveryWindow` messages of the partition. Two readings of one series at one event time are the next operator's
 * matter, which has the times.
 */
export class Quality implements Operator<Reading, Reading> {
  readonly #config: QualityConfig;
  readonly #limits: RecentLimits;
  readonly #letters: Letters;
  #seen!: KeyedStore<Seen>;

  constructor(config: QualityConfig) {
    this.#config = config;
    this.#limits = { keep: config.remember, window: config.redeliveryWindow };
    this.#letters = new Letters(config);
  }

  init(context: OperatorContext): void {
    this.#seen = context.keyed('seen', codec);
    this.#letters.init(context);
  }

  process(record: StreamRecord<Reading>, out: Collector<Reading>): void {
    const reading = record.value;
    const config = this.#config;
    if (reading.time - record.ingestTime > config.futureMs) {
      this.#refuse('future', `event time ${iso(reading.time)} is ahead of the clock`, record, out);
      return;
    }
    if (reading.time < config.oldestTime) {
      this.#refuse('too-old', `event time ${iso(reading.time)} cannot be`, record, out);
      return;
    }
    let seen = this.#seen.get(record);
    if (seen === undefined) {
      seen = { quantities: [], messages: noMessages() };
      this.#seen.set(record, seen);
    }
    if (reading.retained && config.retained === 'drop') {
      out.count('retained');
      return;
    }
    if (reading.fingerprint.length === 16 && config.remember > 0) {
      const repeated = (reading.redelivered || reading.retained) && wasRemembered(seen.messages, reading.fingerprint);
      // A repetition too: it may be repeated once more, as far from here as this one is from the first.
      rememberMessage(seen.messages, reading.fingerprint, placeOf(record), this.#limits);
      if (repeated) {
        out.count('redelivered');
        return;
      }
    }

    let bad: Map<string, Record<string, number>> | undefined;
    for (const quantity in reading.values) {
      const value = reading.values[quantity]!;
      const reason = this.#judge(seen, quantity, value);
      if (reason === undefined) continue;
      bad ??= new Map();
      const values = bad.get(reason) ?? {};
      values[quantity] = value;
      bad.set(reason, values);
    }
    if (bad === undefined) {
      out.emit(reading, reading.time);
      return;
    }
    const good = { ...reading.values };
    for (const [reason, values] of bad) {
      const names = Object.keys(values);
      for (const name of names) delete good[name];
      const message = listed(names.map((name) => `${name} is ${values[name]}`));
      this.#letters.write('rejected', { reason, message, values, count: names.length }, record, out);
    }
    if (Object.keys(good).length > 0) out.emit({ ...reading, values: good }, reading.time);
  }

  /** The reading as a whole. */
  #refuse(reason: string, message: string, record: StreamRecord<Reading>, out: Collector<Reading>): void {
    this.#letters.write('rejected', { reason, message, values: record.value.values, count: 1 }, record, out);
  }

  #judge(seen: Seen, quantity: string, value: number): string | undefined {
    if (!Number.isFinite(value)) return 'not-finite';
    const range = this.#config.ranges[quantity];
    if (range !== undefined && (value < (range.min ?? -Infinity) || value > (range.max ?? Infinity))) {
      return 'out-of-range';
    }
    if (seen.quantities.includes(quantity)) return undefined;
    if (seen.quantities.length >= this.#config.maxQuantities) return 'too-many-quantities';
    seen.quantities.push(quantity);
    return undefined;
  }
}

function iso(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}
