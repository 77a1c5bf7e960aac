import { FleetcastError } from '../../errors.ts';
import type { Aside } from '../aside.ts';

/** Times are milliseconds of event time, unless said otherwise. */
export interface EventTimeOptions {
  /**
   * How far a key's records may be out of order: the key's watermark is its latest event time less this. Behind a `keyBy`
   * it is how far the records of each device may be, see `KeyByOptions.timeOf`. A window closes when the watermark
   * reaches its end. Default 0.
   */
  readonly graceMs?: number;
  /**
   * Wall-clock time of the ticks after which the windows of a quiet key close, counted from the ingest time of its last
   * record. Default: the window's length and the grace. Without ticks in the input, quiet keys' windows stay open.
   */
  readonly idleMs?: number;
  /** Records from further ahead of their ingest time than this are put aside as `future`. Default one hour. */
  readonly futureMs?: number;
  /**
   * Behind a `keyBy`: how far a device may be behind the newest of its key and still be waited for. One with a clock that
   * is further behind holds nobody up; its records are late. Default: as `futureMs`.
   */
  readonly holdMs?: number;
  /**
   * After so long without a record, counted from the idle close, a key's state is dropped: a record of one of its old
   * windows is then the first of that window, not late. Default: never.
   */
  readonly forgetMs?: number;
  /**
   * Where records go whose windows have all closed; counted `late`. Default: to the output `late` where something reads
   * it, else to the dead letters.
   */
  readonly late?: Aside;
  /** The same for records from the future, and the output `future`. */
  readonly future?: Aside;
}

export interface AlignedOptions extends EventTimeOptions {
  /**
   * For so long after its end, in the key's event time, a closed window takes late records and is emitted again with a
   * higher revision. Later ones are put aside, see `late`. Default 0: all late records are.
   */
  readonly correctMs?: number;
}

/** The options with their defaults. */
export type EventTime = Required<Omit<EventTimeOptions, 'late' | 'future'>> & Pick<EventTimeOptions, 'late' | 'future'>;

export interface AlignedWindows {
  readonly kind: 'tumbling' | 'hopping';
  readonly sizeMs: number;
  readonly advanceMs: number;
  readonly time: EventTime & { readonly correctMs: number };
}

export interface SessionWindows {
  readonly kind: 'session';
  readonly gapMs: number;
  readonly time: EventTime;
}

export interface SlidingWindows {
  readonly kind: 'sliding';
  readonly sizeMs: number;
  readonly time: EventTime;
}

export type WindowSpec = AlignedWindows | SessionWindows | SlidingWindows;

/** Windows one after the other, aligned with the epoch: [n × size, (n + 1) × size). */
export function tumbling(sizeMs: number, options: AlignedOptions = {}): AlignedWindows {
  return { kind: 'tumbling', sizeMs, advanceMs: sizeMs, time: aligned(positive('size', sizeMs), options) };
}

/** Windows of `sizeMs` that begin every `advanceMs`: a record is in several. */
export function hopping(sizeMs: number, advanceMs: number, options: AlignedOptions = {}): AlignedWindows {
  positive('advance', advanceMs);
  if (advanceMs > sizeMs) throw new FleetcastError('TOPOLOGY_INVALID', 'windows that advance by more than their size');
  return { kind: 'hopping', sizeMs, advanceMs, time: aligned(positive('size', sizeMs), options) };
}

/** Records that are less than `gapMs` apart are in one session. A session ends `gapMs` after its last record. */
export function session(gapMs: number, options: EventTimeOptions = {}): SessionWindows {
  return { kind: 'session', gapMs, time: eventTime(positive('gap', gapMs), options) };
}

/** For each record's time t, the window (t − size, t]. */
export function sliding(sizeMs: number, options: EventTimeOptions = {}): SlidingWindows {
  return { kind: 'sliding', sizeMs, time: eventTime(positive('size', sizeMs), options) };
}

/** What a window gives. The record's event time is the last millisecond of the window. */
export interface Windowed<A> {
  /** First millisecond (of a sliding window: the first that is not in it). */
  readonly start: number;
  /** First millisecond after it (of a sliding window: its last). */
  readonly end: number;
  readonly value: A;
  /** 0 while the window is open, 1 when it has closed, more after corrections by late records. */
  readonly revision: number;
}

/** How records become a result. `add` may change its argument and return it. */
export interface Aggregator<T, A> {
  initial(): A;
  add(aggregate: A, value: T, key: string): A;
  /** Joins two parts of a session: needed for session windows only. */
  merge?(earlier: A, later: A): A;
}

function eventTime(length: number, options: EventTimeOptions): EventTime {
  const { graceMs = 0, late, future } = options;
  if (!(graceMs >= 0)) throw new FleetcastError('TOPOLOGY_INVALID', `a grace of ${graceMs} ms`);
  const { idleMs = length + graceMs, futureMs = 3_600_000, forgetMs = Number.POSITIVE_INFINITY } = options;
  const aside = { ...(late === undefined ? {} : { late }), ...(future === undefined ? {} : { future }) };
  const { holdMs = futureMs } = options;
  if (!(holdMs >= 0)) throw new FleetcastError('TOPOLOGY_INVALID', `a hold of ${holdMs} ms`);
  return { graceMs, idleMs, futureMs, holdMs, forgetMs, ...aside };
}

function aligned(length: number, options: AlignedOptions): AlignedWindows['time'] {
  return { ...eventTime(length, options), correctMs: options.correctMs ?? 0 };
}

function positive(what: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value;
  throw new FleetcastError(
    'TOPOLOGY_INVALID',
    `a window's ${what} of ${value} ms: whole milliseconds above 0 are wanted`,
  );
}
