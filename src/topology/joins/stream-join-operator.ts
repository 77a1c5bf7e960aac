import { ByteReader, ByteWriter } from '../../operators/binary.ts';
import type { Collector, Operator, OperatorContext, Position, StreamRecord, Timers } from '../../operators/operator.ts';
import type { KeyedStore, StoreCodec } from '../../state/store.ts';
import { type Aside, aheadText, putAside, timeText } from '../aside.ts';
import { KeyTimes } from '../origins/key-times.ts';
import type { ValueCodec } from '../topology.ts';
import { renewBytes, versionOf } from '../value-versions.ts';
import type { Tagged } from './tagged.ts';

export interface StreamJoinOptions<L, R> {
  /** Records of one key are joined where their event times are at most so far apart. */
  readonly withinMs: number;
  /** How far a key's records may be out of order, over both sides. Default 0. */
  readonly graceMs?: number;
  /** As of windows: quiet keys' unmatched records are given up. Default: the bound and the grace. */
  readonly idleMs?: number;
  /** As of windows: behind a `keyBy`, how far a device may be behind and still be waited for. Default: as `futureMs`. */
  readonly holdMs?: number;
  /**
   * As of windows: after so long without a record, counted from the idle time, a key of which no record is kept is
   * forgotten. A record that would have been late is then kept like a first one. Default: never; where keys come and go
   * without end, state grows with them.
   */
  readonly forgetMs?: number;
  /** Records whose event time is further ahead of their ingest time are put aside. Default one hour. */
  readonly futureMs?: number;
  /** `left` and `outer` give records without a partner too, when the watermark has passed. Default `inner`. */
  readonly kind?: 'inner' | 'left' | 'outer';
  /** Where records go that no kept record could match any more; as of windows. */
  readonly late?: Aside;
  /** Where records from the future go; as of windows. */
  readonly future?: Aside;
  readonly left: ValueCodec<L>;
  readonly right: ValueCodec<R>;
}

interface Waiting {
  readonly time: number;
  readonly bytes: Uint8Array;
  matched: boolean;
}

interface KeyState {
  seen: number;
  closed: number;
  left: Waiting[];
  right: Waiting[];
}

const keyStateCodec: Pick<StoreCodec<KeyState>, 'encode' | 'decode'> = {
  encode: ({ seen, closed, left, right }) => {
    const writer = new ByteWriter().number(seen).number(closed);
    for (const side of [left, right]) {
      writer.count(side.length);
      for (const { time, bytes, matched } of side)
        writer
          .number(time)
          .raw(bytes)
          .count(matched ? 1 : 0);
    }
    return writer.done();
  },
  decode: (bytes) => {
    const reader = new ByteReader(bytes);
    const side = (): Waiting[] =>
      Array.from({ length: reader.count() }, () => {
        return { time: reader.number(), bytes: reader.raw().slice(), matched: reader.count() === 1 };
      });
    return { seen: reader.number(), closed: reader.number(), left: side(), right: side() };
  },
};

const HOUR_MS = 3_600_000;
const SIDES = 0x10000;

/** Its version holds those of both sides' values; 1 where both are 1. */
function keyStateCodecOf<L, R>({ left, right }: StreamJoinOptions<L, R>): StoreCodec<KeyState> {
  const version = versionOf(left) + (versionOf(right) - 1) * SIDES;
  const codec: StoreCodec<KeyState> = { version, ...keyStateCodec };
  if (left.migrate === undefined && right.migrate === undefined) return codec;
  codec.migrate = (bytes, old) => {
    const state = keyStateCodec.decode(bytes);
    const renew = <V>(values: ValueCodec<V>, side: readonly Waiting[], from: number): Waiting[] =>
      side.map((waiting) => ({ ...waiting, bytes: renewBytes(values, waiting.bytes, from) }));
    const leftVersion = ((old - 1) % SIDES) + 1;
    const rightVersion = Math.floor((old - 1) / SIDES) + 1;
    return {
      ...state,
      left: renew(left, state.left, leftVersion),
      right: renew(right, state.right, rightVersion),
    };
  };
  return codec;
}

/**
 * Joins two streams by key within a bound of event time. A pair is given when its second record arrives, at the later
 * of the two times; records without a partner when the key's watermark or a quiet time says that none can come.
 * Put aside, by default to the outputs of these names: `late`, records that no kept record could match any more, and
 * `future`, records from further ahead than `futureMs`.
 */
export class StreamJoinOperator<L, R, O> implements Operator<Tagged<L, R>, O> {
  readonly #options: StreamJoinOptions<L, R>;
  readonly #join: (left: L | undefined, right: R | undefined, key: string) => O;
  readonly #graceMs: number;
  readonly #idleMs: number;
  readonly #forgetMs: number;
  #store!: KeyedStore<KeyState>;
  #timers!: Timers;
  #times: KeyTimes | undefined;

  constructor(options: StreamJoinOptions<L, R>, join: (left: L | undefined, right: R | undefined, key: string) => O) {
    this.#options = options;
    this.#join = join;
    this.#graceMs = options.graceMs ?? 0;
    this.#idleMs = options.idleMs ?? options.withinMs + this.#graceMs;
    this.#forgetMs = options.forgetMs ?? Number.POSITIVE_INFINITY;
  }

  init(context: OperatorContext): void {
    this.#store = context.keyed('waiting', keyStateCodecOf(this.#options));
    this.#timers = context.timers;
    const { futureMs = HOUR_MS, holdMs = futureMs } = this.#options;
    this.#times = KeyTimes.of(context, { graceMs: this.#graceMs, idleMs: this.#idleMs, holdMs });
  }

  process(record: StreamRecord<Tagged<L, R>>, out: Collector<O>): void {
    const { withinMs, left, right, future, futureMs = HOUR_MS } = this.#options;
    if (record.time > record.ingestTime + futureMs) {
      putAside(future, 'future', aheadText(record), { value: record.value.value, time: record.time }, out);
      return;
    }
    const never = Number.NEGATIVE_INFINITY;
    const state = this.#store.get(record) ?? { seen: never, closed: never, left: [], right: [] };
    const { side, value } = record.value;
    const { time, key } = record;
    if (time + withinMs < this.#watermark(state)) {
      const message = `${timeText(time)}: no kept record could match it`;
      putAside(this.#options.late, 'late', message, { value, time }, out);
      if (this.#times !== undefined) {
        this.#times.take(record);
        this.#wait(record, state);
      } else if (this.#forgetMs !== Number.POSITIVE_INFINITY && isEmpty(state)) {
        this.#timers.set(record, record.ingestTime + this.#idleMs + this.#forgetMs);
      }
      return;
    }
    const own: Waiting = {
      time,
      bytes: side === 'left' ? left.encode(value as L) : right.encode(value as R),
      matched: false,
    };
    for (const other of side === 'left' ? state.right : state.left) {
      if (Math.abs(other.time - time) > withinMs) continue;
      own.matched = true;
      other.matched = true;
      const pair = side === 'left' ? ([own, other] as const) : ([other, own] as const);
      const result = this.#join(left.decode(pair[0].bytes), right.decode(pair[1].bytes), key);
      out.emit(result, Math.max(time, other.time));
    }
    insert(state[side], own);
    state.seen = Math.max(state.seen, this.#times === undefined ? time : this.#times.take(record));
    this.#giveUp(state, this.#watermark(state) - withinMs, key, out);
    this.#store.set(record, state);
    if (this.#times === undefined) this.#timers.set(record, record.ingestTime + this.#idleMs);
    else this.#wait(record, state);
  }

  timer(at: Position, time: number, out: Collector<O>): void {
    const state = this.#store.get(at)!;
    const { withinMs } = this.#options;
    const passed = this.#times?.pass(at, time);
    if (passed?.quiet === false) {
      state.seen = Math.max(state.seen, passed.low);
      this.#giveUp(state, this.#watermark(state) - withinMs, at.key, out);
      this.#wait(at, state);
      return;
    }
    const forgets = this.#forgetMs !== Number.POSITIVE_INFINITY;
    if (forgets && isEmpty(state) && passed?.quietBefore !== false) {
      this.#store.delete(at);
      this.#times?.forget(at);
      return;
    }
    if (passed === undefined) {
      state.closed = Math.max(state.closed, state.seen + withinMs + 1);
      this.#giveUp(state, Number.POSITIVE_INFINITY, at.key, out);
      if (forgets) this.#timers.set(at, time + this.#forgetMs);
      return;
    }
    const latest = Math.max(
      state.left.at(-1)?.time ?? Number.NEGATIVE_INFINITY,
      state.right.at(-1)?.time ?? Number.NEGATIVE_INFINITY,
    );
    state.closed = Math.max(state.closed, Math.min(latest + withinMs + 1, passed.reached));
    this.#giveUp(state, this.#watermark(state) - withinMs, at.key, out);
    if (forgets && isEmpty(state)) this.#timers.set(at, time + this.#forgetMs);
    else this.#wait(at, state);
  }

  /** Until the next device falls quiet, or the stream's time lets a record be given up. */
  #wait(at: Position, { left, right }: KeyState): void {
    const { withinMs } = this.#options;
    const reached = this.#times!.reached(at) - withinMs;
    const next = [left, right].flatMap((side) => side.find(({ time }) => time >= reached)?.time ?? []);
    this.#timers.set(at, this.#times!.deadline(at, Math.min(...next) + withinMs + 1));
  }

  #watermark(state: KeyState): number {
    return Math.max(state.seen - this.#graceMs, state.closed);
  }

  /** Drops what is before `time`; records that never had a partner are given, by time, left side first. */
  #giveUp(state: KeyState, time: number, key: string, out: Collector<O>): void {
    const { kind = 'inner', left, right } = this.#options;
    const lonely: { readonly time: number; readonly result: () => O }[] = [];
    const gone = (waiting: Waiting): boolean => waiting.time < time;
    if (kind !== 'inner') {
      for (const { time, bytes } of state.left.filter((w) => gone(w) && !w.matched)) {
        lonely.push({ time, result: () => this.#join(left.decode(bytes), undefined, key) });
      }
    }
    if (kind === 'outer') {
      for (const { time, bytes } of state.right.filter((w) => gone(w) && !w.matched)) {
        lonely.push({ time, result: () => this.#join(undefined, right.decode(bytes), key) });
      }
    }
    for (const { time, result } of lonely.sort((a, b) => a.time - b.time)) out.emit(result(), time);
    if (state.left.some(gone)) state.left = state.left.filter((waiting) => !gone(waiting));
    if (state.right.some(gone)) state.right = state.right.filter((waiting) => !gone(waiting));
  }
}

function isEmpty({ left, right }: KeyState): boolean {
  return left.length + right.length === 0;
}

function insert(list: Waiting[], waiting: Waiting): void {
  let at = list.length;
  while (at > 0 && list[at - 1]!.time > waiting.time) at--;
  list.splice(at, 0, waiting);
}
