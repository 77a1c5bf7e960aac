import { encodeRecord } from '../events/codec.ts';
import type { DeadLetter, Reading } from '../events/records.ts';
import type { KeyedStore, StoreCodec } from '../state/store.ts';
import { ByteReader, ByteWriter } from './binary.ts';
import type { Collector, Operator, OperatorContext, StreamRecord } from './operator.ts';

export interface QualityConfig {
  /** Name of the topic that the readings come from, for dead letters. */
  readonly origin: string;
  /** How far ahead of its ingest time the event time of a reading may be, milliseconds. */
  readonly futureMs: number;
  /** Event times before this one are absurd (a clock that was never set), milliseconds since the epoch. */
  readonly oldestTime: number;
  /** Plausible values by quantity. */
  readonly ranges: Readonly<Record<string, { readonly min?: number | undefined; readonly max?: number | undefined }>>;
  /** Most quantities of one device: bounds the state that one device can cost. */
  readonly maxQuantities: number;
  /** Messages of each device that are remembered to tell redeliveries. */
  readonly remember: number;
  /** What to do with a message that the broker had retained: it may be old. `unless-seen` drops what came live before. */
  readonly retained: 'unless-seen' | 'drop';
}

export const QUALITY_DEFAULTS: QualityConfig = {
  origin: 'readings',
  futureMs: 15 * 60_000,
  oldestTime: Date.UTC(2000, 0, 1),
  ranges: {},
  maxQuantities: 64,
  remember: 32,
  retained: 'unless-seen',
};

interface Seen {
  quantities: string[];
  /** Ring of `[print, print, ingest time]`. */
  prints: number[];
  next: number;
}

const codec: StoreCodec<Seen> = {
  version: 1,
  encode(value) {
    const writer = new ByteWriter().count(value.quantities.length);
    for (const quantity of value.quantities) writer.text(quantity);
    return writer.numbers(value.prints).count(value.next).done();
  },
  decode(bytes) {
    const reader = new ByteReader(bytes);
    const quantities = Array.from({ length: reader.count() }, () => reader.text());
    return { quantities, prints: reader.numbers(), next: reader.count() };
  },
};

/**
 * Lets through what can be true: finite, in range, at a possible time, not delivered before. What is turned away goes
 * to the output `rejected` as a dead letter and is counted under its reason; the other values of a reading go on.
 *
 * Redelivered messages are told by their fingerprint. Readings of one message share its ingest time, so that the second
 * reading of a message is no duplicate of the first. Two readings of one series at one event time are the next
 * operator's matter, which has the times.
 */
export class Quality implements Operator<Reading, Reading> {
  readonly #config: QualityConfig;
  #seen!: KeyedStore<Seen>;
  #partition = 0;

  constructor(config: QualityConfig) {
    this.#config = config;
  }

  init(context: OperatorContext): void {
    this.#seen = context.keyed('seen', codec);
    this.#partition = context.partition;
  }

  process(record: StreamRecord<Reading>, out: Collector<Reading>): void {
    const reading = record.value;
    const config = this.#config;
    if (reading.time - record.ingestTime > config.futureMs) {
      this.#reject('future', `event time ${iso(reading.time)} is ahead of the clock`, record, reading, out);
      return;
    }
    if (reading.time < config.oldestTime) {
      this.#reject('too-old', `event time ${iso(reading.time)} cannot be`, record, reading, out);
      return;
    }
    let seen = this.#seen.get(record);
    if (seen === undefined) {
      seen = { quantities: [], prints: [], next: 0 };
      this.#seen.set(record, seen);
    }
    if (reading.retained && config.retained === 'drop') {
      out.count('retained');
      return;
    }
    const delivered = this.#deliveredBefore(seen, reading.fingerprint, record.ingestTime);
    if (delivered && (reading.redelivered || reading.retained)) {
      out.count('redelivered');
      return;
    }

    let bad: Map<string, string> | undefined;
    for (const quantity in reading.values) {
      const reason = this.#judge(seen, quantity, reading.values[quantity]!);
      if (reason === undefined) continue;
      bad ??= new Map();
      bad.set(quantity, reason);
    }
    if (bad === undefined) {
      out.emit(reading, reading.time);
      return;
    }
    const good: Record<string, number> = {};
    let left = 0;
    for (const [quantity, value] of Object.entries(reading.values)) {
      const reason = bad.get(quantity);
      if (reason === undefined) {
        good[quantity] = value;
        left++;
      } else {
        const part = { ...reading, values: { [quantity]: value } };
        this.#reject(reason, `${quantity} is ${value}`, record, part, out);
      }
    }
    if (left > 0) out.emit({ ...reading, values: good }, reading.time);
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

  /** Remembers the message and tells whether it came in an earlier delivery. */
  #deliveredBefore(seen: Seen, fingerprint: string, ingestTime: number): boolean {
    if (fingerprint.length !== 16 || this.#config.remember === 0) return false;
    const high = Number.parseInt(fingerprint.slice(0, 8), 16);
    const low = Number.parseInt(fingerprint.slice(8), 16);
    const { prints } = seen;
    for (let i = 0; i < prints.length; i += 3) {
      if (prints[i] === high && prints[i + 1] === low) return prints[i + 2] !== ingestTime;
    }
    const at = seen.next * 3;
    prints[at] = high;
    prints[at + 1] = low;
    prints[at + 2] = ingestTime;
    seen.next = (seen.next + 1) % this.#config.remember;
    return false;
  }

  #reject(
    reason: string,
    message: string,
    record: StreamRecord<unknown>,
    reading: Reading,
    out: Collector<Reading>,
  ): void {
    out.count(reason);
    out.emitTo(
      'rejected',
      rejection(reason, message, this.#config.origin, this.#partition, record, reading),
      reading.time,
    );
  }
}

/** A dead letter for a reading that was on the log. */
export function rejection(
  reason: string,
  message: string,
  origin: string,
  partition: number,
  at: { readonly key: string; readonly offset: number; readonly ingestTime: number },
  reading: Reading,
): DeadLetter {
  return {
    type: 'DeadLetter',
    reason,
    message,
    time: at.ingestTime,
    origin,
    mqttTopic: '',
    partition,
    offset: at.offset,
    device: at.key,
    payload: encodeRecord(reading),
  };
}

function iso(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}
