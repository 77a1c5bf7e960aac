import { ByteReader, ByteWriter } from '../../operators/binary.ts';
import type { Collector, Operator, OperatorContext, Position, StreamRecord, Timers } from '../../operators/operator.ts';
import type { KeyedStore, StoreCodec } from '../../state/store.ts';
import { aheadText, putAside, timeText } from '../aside.ts';
import { KeyTimes } from '../origins/key-times.ts';
import type { ValueCodec } from '../topology.ts';
import { withValues } from '../value-versions.ts';
import { foldPlaced, type Placed, place, placedCodec, renewPlaced } from './fold.ts';
import type { EmitMode } from './window-operator.ts';
import type { Aggregator, SlidingWindows, Windowed } from './window-spec.ts';

/** The records of one key that a result can still need. */
interface KeyValues {
  seen: number;
  /** Times before this have closed by idleness. */
  closed: number;
  /** Times before this have been given, in mode `close`. */
  given: number;
  values: Placed[];
}

const keyValuesCodec: Pick<StoreCodec<KeyValues>, 'encode' | 'decode'> = {
  encode: ({ seen, closed, given, values }) =>
    new ByteWriter().number(seen).number(closed).number(given).raw(placedCodec.encode(values)).done(),
  decode: (bytes) => {
    const reader = new ByteReader(bytes);
    return {
      seen: reader.number(),
      closed: reader.number(),
      given: reader.number(),
      values: placedCodec.decode(reader.raw()),
    };
  },
};

/**
 * Sliding windows: for each time t at which a key has a record, the records in (t − size, t]. In mode `close` one result
 * for each such time, when the watermark has passed it; in mode `update` a result for every time that a record changes.
 * Values are folded by event time, so that results do not depend on the order of arrival.
 */
export class SlidingOperator<T, A> implements Operator<T, Windowed<A>> {
  readonly gathers = true;
  readonly #spec: SlidingWindows;
  readonly #aggregator: Aggregator<T, A>;
  readonly #values: ValueCodec<T>;
  readonly #emit: EmitMode;
  #store!: KeyedStore<KeyValues>;
  #timers!: Timers;
  #times: KeyTimes | undefined;

  constructor(spec: SlidingWindows, aggregator: Aggregator<T, A>, values: ValueCodec<T>, emit: EmitMode) {
    this.#spec = spec;
    this.#aggregator = aggregator;
    this.#values = values;
    this.#emit = emit;
  }

  init(context: OperatorContext): void {
    const values = this.#values;
    const codec = withValues(values, keyValuesCodec, (old, version) => {
      return { ...old, values: renewPlaced(values, old.values, version) };
    });
    this.#store = context.keyed('values', codec);
    this.#timers = context.timers;
    this.#times = KeyTimes.of(context, this.#spec.time);
  }

  process(record: StreamRecord<T>, out: Collector<Windowed<A>>): void {
    const { sizeMs, time } = this.#spec;
    if (record.time > record.ingestTime + time.futureMs) {
      putAside(time.future, 'future', aheadText(record), record, out);
      return;
    }
    const never = Number.NEGATIVE_INFINITY;
    const key = this.#store.get(record) ?? { seen: never, closed: never, given: never, values: [] };
    const times = this.#times;
    if (record.time < Math.max(key.seen - time.graceMs, key.closed)) {
      times?.take(record);
      putAside(time.late, 'late', `${timeText(record.time)}: its window has been passed`, record, out);
    } else {
      place(key.values, { time: record.time, bytes: this.#values.encode(record.value) });
      if (this.#emit === 'update') this.#give(key, record.time, record.time + sizeMs, 0, record.key, out);
      key.seen = Math.max(key.seen, times === undefined ? record.time : times.take(record));
      this.#close(key, Math.max(key.seen - time.graceMs, key.closed), record.key, out);
    }
    this.#store.set(record, key);
    if (times === undefined && time.forgetMs !== Number.POSITIVE_INFINITY && key.closed > key.seen) {
      // As of windows: nothing is left but to forget it.
      this.#timers.set(record, record.ingestTime + time.idleMs + time.forgetMs);
      return;
    }
    const deadline =
      times === undefined
        ? record.ingestTime + time.idleMs
        : times.deadline(record, this.#nextEnd(key, times.reached(record)));
    this.#timers.set(record, deadline);
  }

  timer(at: Position, time: number, out: Collector<Windowed<A>>): void {
    const key = this.#store.get(at)!;
    const { forgetMs, graceMs } = this.#spec.time;
    const passed = this.#times?.pass(at, time);
    if (passed?.quiet === false) {
      key.seen = Math.max(key.seen, passed.low);
      this.#close(key, Math.max(key.seen - graceMs, key.closed), at.key, out);
      this.#timers.set(at, this.#times!.deadline(at, this.#nextEnd(key, passed.reached)));
      return;
    }
    const latest = this.#times === undefined ? key.seen : (key.values.at(-1)?.time ?? Number.NEGATIVE_INFINITY);
    const quiet = key.closed > latest || (this.#times !== undefined && key.values.length === 0);
    if (quiet && forgetMs !== Number.POSITIVE_INFINITY && passed?.quietBefore !== false) {
      this.#store.delete(at);
      this.#times?.forget(at);
      return;
    }
    const reached = passed?.reached ?? Number.POSITIVE_INFINITY;
    key.closed = Math.max(key.closed, Math.min(latest + 1, reached));
    this.#close(key, Math.max(key.closed, key.given), at.key, out);
    const next = this.#nextEnd(key, reached);
    if (next !== Number.POSITIVE_INFINITY) this.#timers.set(at, next + graceMs);
    else if (forgetMs !== Number.POSITIVE_INFINITY) this.#timers.set(at, time + forgetMs);
  }

  /** The earliest time at which a result can be due that the stream's time has not reached; ∞ for none. */
  #nextEnd({ values, given }: KeyValues, reached: number): number {
    const next = values.find(({ time }) => time >= given && time >= reached);
    return next === undefined ? Number.POSITIVE_INFINITY : next.time + 1;
  }

  #close(key: KeyValues, watermark: number, name: string, out: Collector<Windowed<A>>): void {
    if (this.#emit === 'close') this.#give(key, key.given, watermark, 1, name, out);
    key.given = Math.max(key.given, watermark);
    const { sizeMs } = this.#spec;
    const keep = key.values.findIndex(({ time }) => time > watermark - sizeMs);
    if (keep !== 0) key.values = keep < 0 ? [] : key.values.slice(keep);
  }

  /** Results for the times from ≤ t < to. */
  #give(key: KeyValues, from: number, to: number, revision: number, name: string, out: Collector<Windowed<A>>): void {
    const { values } = key;
    let first = 0;
    for (let i = 0; i < values.length; i++) {
      const { time } = values[i]!;
      // Of several records at one time the last stands for it.
      if (time < from || time >= to || values[i + 1]?.time === time) continue;
      const start = time - this.#spec.sizeMs;
      while (values[first]!.time <= start) first++;
      const value = foldPlaced(this.#aggregator, this.#values, values, first, i + 1, name);
      out.emit({ start, end: time, revision, value }, time);
    }
  }
}
