import type { Collector, Operator, OperatorContext, Position, StreamRecord, Timers } from '../../operators/operator.ts';
import type { KeyedStore } from '../../state/store.ts';
import { aheadText, putAside, timeText } from '../aside.ts';
import { KeyTimes } from '../origins/key-times.ts';
import type { Fold } from './fold.ts';
import { type KeyWindows, keyWindowsCodec, type OpenWindow } from './key-windows.ts';
import type { AlignedWindows, SessionWindows, Windowed } from './window-spec.ts';

/** `close`: one result when a window closes. `update`: a result at every record, for as long as the window is open. */
export type EmitMode = 'close' | 'update';

/**
 * Tumbling, hopping and session windows. The watermark is the key's own: a device with a fast clock costs no other
 * device a record. Behind a `keyBy` it is that of the last of the key's devices ({@link KeyTimes}). Quiet keys' windows
 * close by ticks.
 *
 * Put aside, by default to outputs of the same names: `late` (every window of the record has closed) and `future`.
 */
export class WindowOperator<T, S, A> implements Operator<T, Windowed<A>> {
  readonly gathers = true;
  readonly #spec: AlignedWindows | SessionWindows;
  readonly #fold: Fold<T, S, A>;
  readonly #emit: EmitMode;
  readonly #correctMs: number;
  #store!: KeyedStore<KeyWindows<S>>;
  #timers!: Timers;
  #times: KeyTimes | undefined;

  constructor(spec: AlignedWindows | SessionWindows, fold: Fold<T, S, A>, emit: EmitMode) {
    this.#spec = spec;
    this.#fold = fold;
    this.#emit = emit;
    this.#correctMs = spec.kind === 'session' ? 0 : spec.time.correctMs;
  }

  init(context: OperatorContext): void {
    this.#store = context.keyed('windows', keyWindowsCodec(this.#fold.codec));
    this.#timers = context.timers;
    this.#times = KeyTimes.of(context, this.#spec.time);
  }

  process(record: StreamRecord<T>, out: Collector<Windowed<A>>): void {
    const { graceMs, idleMs, futureMs, forgetMs } = this.#spec.time;
    if (record.time > record.ingestTime + futureMs) {
      putAside(this.#spec.time.future, 'future', aheadText(record), record, out);
      return;
    }
    const key = this.#store.get(record) ?? {
      seen: Number.NEGATIVE_INFINITY,
      closed: Number.NEGATIVE_INFINITY,
      windows: [],
    };
    const taken =
      this.#spec.kind === 'session' ? this.#addToSession(key, record, out) : this.#addToAligned(key, record, out);
    if (!taken) {
      putAside(this.#spec.time.late, 'late', `${timeText(record.time)}: its windows have closed`, record, out);
    }
    const times = this.#times;
    key.seen = Math.max(key.seen, times === undefined ? record.time : times.take(record));
    this.#close(key, Math.max(key.seen - graceMs, key.closed), record.key, out);
    this.#store.set(record, key);
    if (
      times === undefined &&
      forgetMs !== Number.POSITIVE_INFINITY &&
      key.windows.every(({ revision }) => revision > 0)
    ) {
      // Nothing is open that could close: what is left is to forget it, as long after this record as after any other.
      this.#timers.set(record, record.ingestTime + idleMs + forgetMs);
      return;
    }
    const deadline =
      times === undefined ? record.ingestTime + idleMs : times.deadline(record, nextEnd(key, times.reached(record)));
    this.#timers.set(record, deadline);
  }

  /** The key has been quiet: all its windows close; after another while it is forgotten. */
  timer(at: Position, time: number, out: Collector<Windowed<A>>): void {
    const key = this.#store.get(at)!;
    const { forgetMs, graceMs } = this.#spec.time;
    const passed = this.#times?.pass(at, time);
    if (passed?.quiet === false) {
      key.seen = Math.max(key.seen, passed.low);
      this.#close(key, this.#watermark(key), at.key, out);
      this.#timers.set(at, this.#times!.deadline(at, nextEnd(key, passed.reached)));
      return;
    }
    const open = key.windows.filter(({ revision }) => revision === 0);
    if (open.length === 0 && forgetMs !== Number.POSITIVE_INFINITY && passed?.quietBefore !== false) {
      this.#store.delete(at);
      this.#times?.forget(at);
      return;
    }
    // What a fast clock has opened ahead of the stream's time is open for those whose clocks are right.
    const reached = passed?.reached ?? Number.POSITIVE_INFINITY;
    key.closed = open.reduce((latest, { end }) => (end <= reached ? Math.max(latest, end) : latest), key.closed);
    this.#close(key, this.#watermark(key), at.key, out);
    const next = nextEnd(key, reached);
    if (next !== Number.POSITIVE_INFINITY) this.#timers.set(at, next + graceMs);
    else if (forgetMs !== Number.POSITIVE_INFINITY) this.#timers.set(at, time + forgetMs);
  }

  #watermark(key: KeyWindows<S>): number {
    return Math.max(key.seen - this.#spec.time.graceMs, key.closed);
  }

  #addToAligned(key: KeyWindows<S>, record: StreamRecord<T>, out: Collector<Windowed<A>>): boolean {
    const { sizeMs, advanceMs } = this.#spec as AlignedWindows;
    const watermark = this.#watermark(key);
    const last = Math.floor(record.time / advanceMs) * advanceMs;
    let taken = false;
    for (let start = last - Math.ceil(sizeMs / advanceMs) * advanceMs; start <= last; start += advanceMs) {
      const end = start + sizeMs;
      if (end <= record.time || end + this.#correctMs <= watermark) continue;
      taken = true;
      const window = this.#windowAt(key, start, end);
      window.state = this.#fold.add(window.state, record.value, record.time, record.key);
      if (end <= watermark) {
        window.revision++;
        this.#give(window, record.key, out);
      } else if (this.#emit === 'update') {
        this.#give(window, record.key, out);
      }
    }
    return taken;
  }

  #windowAt(key: KeyWindows<S>, start: number, end: number): OpenWindow<S> {
    const { windows } = key;
    let at = windows.length;
    while (at > 0 && windows[at - 1]!.start > start) at--;
    const existing = windows[at - 1];
    if (existing?.start === start) return existing;
    const window = { start, end, revision: 0, state: this.#fold.initial() };
    windows.splice(at, 0, window);
    return window;
  }

  #addToSession(key: KeyWindows<S>, record: StreamRecord<T>, out: Collector<Windowed<A>>): boolean {
    const { gapMs } = this.#spec as SessionWindows;
    const { time } = record;
    const own = { start: time, end: time + gapMs };
    const touched = key.windows.filter(({ start, end }) => start < own.end && own.start < end);
    if (touched.length === 0 && own.end <= this.#watermark(key)) return false;
    const state = this.#fold.add(this.#fold.initial(), record.value, time, record.key);
    const parts: OpenWindow<S>[] = [...touched, { ...own, revision: 0, state }].sort((a, b) => a.start - b.start);
    const merged = parts.reduce((earlier, later) => ({
      start: earlier.start,
      end: Math.max(earlier.end, later.end),
      revision: 0,
      state: this.#fold.merge(earlier.state, later.state),
    }));
    key.windows = [...key.windows.filter((window) => !touched.includes(window)), merged];
    key.windows.sort((a, b) => a.start - b.start);
    if (this.#emit === 'update') this.#give(merged, record.key, out);
    return true;
  }

  /** Closes what ends at or before the watermark, by end, and drops what can be corrected no more. */
  #close(key: KeyWindows<S>, watermark: number, name: string, out: Collector<Windowed<A>>): void {
    if (!key.windows.some(({ end }) => end <= watermark)) return;
    const closing = key.windows.filter(({ end, revision }) => end <= watermark && revision === 0);
    for (const window of closing.sort((a, b) => a.end - b.end)) {
      window.revision = 1;
      if (this.#emit === 'close') this.#give(window, name, out);
    }
    key.windows = key.windows.filter(({ end }) => end + this.#correctMs > watermark);
  }

  #give({ start, end, revision, state }: OpenWindow<S>, key: string, out: Collector<Windowed<A>>): void {
    out.emit({ start, end, revision, value: this.#fold.result(state, key) }, end - 1);
  }
}

/** The earliest end of an open window that the stream's time has not reached; ∞ for none. */
function nextEnd({ windows }: KeyWindows<unknown>, reached: number): number {
  let next = Number.POSITIVE_INFINITY;
  for (const { end, revision } of windows) if (revision === 0 && end > reached && end < next) next = end;
  return next;
}
