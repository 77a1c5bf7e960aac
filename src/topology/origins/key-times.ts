import { ByteReader, ByteWriter } from '../../operators/binary.ts';
import type { OperatorContext, Origins, Position, StreamRecord } from '../../operators/operator.ts';
import type { KeyedStore, Row, StoreCodec } from '../../state/store.ts';
import { type Heard, HeardOrigins } from './heard.ts';
import { HeardSlices } from './heard-slices.ts';

/** A key of more origins than this does not keep each of them. */
export const MAX_ORIGINS = 1_000;

export interface KeyTimesOptions {
  readonly graceMs: number;
  /** An origin that has been quiet for so long, in the stream's time, is not waited for. */
  readonly idleMs: number;
  /** Nor is one whose clock is so far behind the newest of the key. */
  readonly holdMs: number;
}

/** Where a key stands when its timer fires. */
export interface Passed {
  /** Event time up to which every origin that counts has come; the watermark is this less the grace. */
  readonly low: number;
  /** No origin counts any more. */
  readonly quiet: boolean;
  /** None did when the timer fired the last time either: nothing has come since the key fell quiet. */
  readonly quietBefore: boolean;
  /** Ends up to here lie behind the stream's time, by the grace. */
  readonly reached: number;
}

/**
 * Event time of the keys behind a `keyBy`, for a node that judges lateness. A key is as far as the last of its origins:
 * the latest event time of each of them that has been heard within the idle time, and never further than the ticks of all
 * partitions before the `keyBy`. So what has come in no later than the grace after its event time is never late, nor is
 * what is within the grace of its own origin's latest event time, as long as that origin does not fall quiet.
 */
export class KeyTimes {
  readonly #options: KeyTimesOptions;
  readonly #origins: Origins;
  readonly #store: KeyedStore<Heard>;

  /** Call in `init`. @returns undefined where records have no origins: a key's time is its own then. */
  static of(context: OperatorContext, options: KeyTimesOptions): KeyTimes | undefined {
    return context.origins === undefined ? undefined : new KeyTimes(context, context.origins, options);
  }

  private constructor(context: OperatorContext, origins: Origins, options: KeyTimesOptions) {
    this.#options = options;
    this.#origins = origins;
    this.#store = context.keyed('origins', heardCodec);
  }

  /** Takes a record, late or not. @returns see {@link Passed.low}; −∞ where no origin counts. */
  take(record: StreamRecord<unknown>): number {
    const { idleMs } = this.#options;
    const { time, ingestTime } = record;
    const clock = this.#origins.clock(record);
    let heard = this.#store.get(record) ?? new HeardOrigins();
    const quiet = (clock === Number.POSITIVE_INFINITY ? ingestTime : clock) - idleMs;
    if (heard.oldest <= quiet) heard.drop(quiet);
    if (heard instanceof HeardSlices && heard.empty) heard = new HeardOrigins();
    heard.hear({ origin: this.#origins.of(record) ?? '', time, ingestTime }, this.#floor(heard, clock));
    if (heard instanceof HeardOrigins && heard.size > MAX_ORIGINS) heard = sliced(heard, idleMs);
    this.#store.set(record, heard);
    return this.#low(heard, clock);
  }

  /** The timer of a key is due. @param time of the tick. */
  pass(at: Position, time: number): Passed {
    const { idleMs, graceMs } = this.#options;
    const clock = this.#origins.clock(at);
    const quiet = (clock === Number.POSITIVE_INFINITY ? time : clock) - idleMs;
    const heard = this.#store.get(at);
    const quietBefore = heard === undefined || heard.empty;
    if (heard !== undefined && heard.oldest <= quiet) heard.drop(quiet);
    const reached = clock - graceMs;
    if (heard === undefined || heard.empty) return { low: Number.NEGATIVE_INFINITY, quiet: true, quietBefore, reached };
    return { low: this.#low(heard, clock), quiet: false, quietBefore, reached };
  }

  /** When the timer of a key is due next. @param next of what is open the earliest end after {@link reached}. */
  deadline(at: Row, next: number): number {
    const { graceMs, idleMs } = this.#options;
    const oldest = this.#store.get(at)?.oldest ?? Number.POSITIVE_INFINITY;
    return Math.min(oldest + idleMs, next + graceMs);
  }

  /** See {@link Passed.reached}. */
  reached(at: Position): number {
    return this.#origins.clock(at) - this.#options.graceMs;
  }

  forget(at: Row): void {
    this.#store.delete(at);
  }

  #floor(heard: Heard, clock: number): number {
    return Math.min(clock, heard.newest) - this.#options.holdMs;
  }

  #low(heard: Heard, clock: number): number {
    const lowest = heard.lowest(this.#floor(heard, clock));
    return lowest === Number.POSITIVE_INFINITY ? Number.NEGATIVE_INFINITY : Math.min(clock, lowest);
  }
}

function sliced(heard: HeardOrigins, idleMs: number): HeardSlices {
  const slices = new HeardSlices(idleMs);
  for (const hearing of heard.hearings()) slices.hear(hearing, Number.NEGATIVE_INFINITY);
  return slices;
}

const EACH = 0;
const SLICED = 1;

const heardCodec: StoreCodec<Heard> = {
  version: 1,
  encode: (heard) => {
    const writer = new ByteWriter().count(heard instanceof HeardSlices ? SLICED : EACH);
    heard.encode(writer);
    return writer.done();
  },
  mark: (heard) => heard.mark(),
  decode: (bytes) => {
    const reader = new ByteReader(bytes);
    return reader.count() === SLICED ? HeardSlices.decode(reader) : HeardOrigins.decode(reader);
  },
};
