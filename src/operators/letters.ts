import { encodeRecord } from '../events/codec.ts';
import type { DeadLetter, Reading } from '../events/records.ts';
import type { KeyedStore, StoreCodec } from '../state/store.ts';
import { ByteReader, ByteWriter } from './binary.ts';
import type { Collector, OperatorContext, StreamRecord } from './operator.ts';

export interface LettersConfig {
  /** Name of the topic that the readings come from. */
  readonly origin: string;
  /** Bytes that the letters of one device may take in an hour of ingest time; what is over is counted only. */
  readonly lettersPerHour: number;
}

/** What one reading is refused for. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
  /** Of the reading: those that are refused. */
  readonly values: Readonly<Record<string, number>>;
  /** What is counted under the reason. */
  readonly count: number;
}

interface Spent {
  readonly hour: number;
  readonly bytes: number;
}

const HOUR = 3_600_000;
/** What a letter costs beside its payload. */
const OVERHEAD = 256;
/** Quantities that a message names. */
const NAMED = 8;

const codec: StoreCodec<Spent> = {
  version: 1,
  encode: ({ hour, bytes }) => new ByteWriter().numbers([hour, bytes]).done(),
  decode(stored) {
    const [hour = 0, bytes = 0] = new ByteReader(stored).numbers();
    return { hour, bytes };
  },
};

/**
 * The dead letters of an operator on readings: one for each reading and reason, with the refused values only, so that
 * what is put through again brings back nothing that went on. Counted under the reason, and under `<reason>-not-kept`
 * where the device has had its hour's share of letters.
 */
export class Letters {
  readonly #config: LettersConfig;
  #spent!: KeyedStore<Spent>;
  #partition = 0;

  constructor(config: LettersConfig) {
    this.#config = config;
  }

  init(context: OperatorContext): void {
    this.#spent = context.keyed('letters', codec);
    this.#partition = context.partition;
  }

  write<T>(output: string, refusal: Refusal, record: StreamRecord<Reading>, out: Collector<T>): void {
    const { reason, message, values, count } = refusal;
    const payload = encodeRecord({ ...record.value, values: { ...values } });
    if (!this.#take(record, payload.length + OVERHEAD)) {
      out.count(`${reason}-not-kept`, count);
      return;
    }
    out.count(reason, count);
    const letter: DeadLetter = {
      type: 'DeadLetter',
      reason,
      message,
      time: record.ingestTime,
      origin: this.#config.origin,
      mqttTopic: '',
      partition: this.#partition,
      offset: record.offset,
      device: record.key,
      payload,
    };
    out.emitTo(output, letter, record.value.time);
  }

  #take(record: StreamRecord<Reading>, bytes: number): boolean {
    const known = this.#spent.get(record);
    let hour = Math.floor(record.ingestTime / HOUR);
    // Clocks of several bridges differ: records of two hours may come by turns, and each turn would have a share of its own.
    if (known?.hour === hour + 1) hour = known.hour;
    const spent = known?.hour === hour ? known.bytes : 0;
    if (spent + bytes > this.#config.lettersPerHour) return false;
    this.#spent.set(record, { hour, bytes: spent + bytes });
    return true;
  }
}

/** `a, b, c and 18 more` */
export function listed(names: readonly string[]): string {
  const more = names.length - NAMED;
  return more > 0 ? `${names.slice(0, NAMED).join(', ')} and ${more} more` : names.join(', ');
}
