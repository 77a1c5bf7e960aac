import { ByteReader, ByteWriter } from '../../operators/binary.ts';
import type { StoreCodec } from '../../state/store.ts';
import type { ValueCodec } from '../topology.ts';
import { decodeValue, renewBytes, versionOf, withValues } from '../value-versions.ts';
import type { Aggregator } from './window-spec.ts';

/** What an open window holds, and how it becomes the result. */
export interface Fold<T, S, A> {
  readonly codec: StoreCodec<S>;
  initial(): S;
  add(state: S, value: T, time: number, key: string): S;
  merge(earlier: S, later: S): S;
  result(state: S, key: string): A;
}

/** Folds in the order of arrival and keeps the aggregate only. */
export function arrivalFold<T, A>(aggregator: Aggregator<T, A>, codec: StoreCodec<A>): Fold<T, A, A> {
  return {
    codec,
    initial: aggregator.initial,
    add: (state, value, _time, key) => aggregator.add(state, value, key),
    merge: (earlier, later) => aggregator.merge!(earlier, later),
    result: (state) => state,
  };
}

/** A value with its place: by time, then by bytes, so that the order does not depend on the arrival. */
export interface Placed {
  readonly time: number;
  readonly bytes: Uint8Array;
}

/**
 * Keeps the values of an open window and folds them by event time: the same result, to the last bit, for every order of
 * arrival.
 */
export function orderedFold<T, A>(aggregator: Aggregator<T, A>, values: ValueCodec<T>): Fold<T, Placed[], A> {
  return {
    codec: withValues(values, placedCodec, (old, version) => renewPlaced(values, old, version)),
    initial: () => [],
    add: (state, value, time) => place(state, { time, bytes: values.encode(value) }),
    merge: (earlier, later) => later.reduce(place, earlier),
    result: (state, key) => foldPlaced(aggregator, values, state, 0, state.length, key),
  };
}

export function foldPlaced<T, A>(
  aggregator: Aggregator<T, A>,
  values: ValueCodec<T>,
  placed: readonly Placed[],
  from: number,
  to: number,
  key: string,
): A {
  let aggregate = aggregator.initial();
  for (let i = from; i < to; i++) aggregate = aggregator.add(aggregate, values.decode(placed[i]!.bytes), key);
  return aggregate;
}

/** Puts a value at its place; returns the same list. */
export function place(list: Placed[], value: Placed): Placed[] {
  let at = list.length;
  while (at > 0 && isAfter(list[at - 1]!, value)) at--;
  list.splice(at, 0, value);
  return list;
}

function isAfter(a: Placed, b: Placed): boolean {
  return a.time > b.time || (a.time === b.time && Buffer.compare(a.bytes, b.bytes) > 0);
}

/** Values of an older version, as the codec writes them now: at the places that their bytes give them now. */
export function renewPlaced<T>(values: ValueCodec<T>, old: readonly Placed[], version: number): Placed[] {
  const renewed = old.map(({ time, bytes }) => ({ time, bytes: renewBytes(values, bytes, version) }));
  return renewed.reduce(place, [] as Placed[]);
}

export const placedCodec: Pick<StoreCodec<Placed[]>, 'encode' | 'decode'> = {
  encode: (list) => {
    const writer = new ByteWriter().count(list.length);
    for (const { time, bytes } of list) writer.number(time).raw(bytes);
    return writer.done();
  },
  decode: (bytes) => {
    const reader = new ByteReader(bytes);
    return Array.from({ length: reader.count() }, () => ({ time: reader.number(), bytes: reader.raw().slice() }));
  },
};

/** A value, or none yet. */
export type Held<T> = { readonly of: T } | null;

export function heldCodec<T>(codec: ValueCodec<T>): StoreCodec<Held<T>> {
  const held: StoreCodec<Held<T>> = {
    version: versionOf(codec),
    encode: (held) => (held === null ? new Uint8Array(0) : Buffer.concat([Buffer.of(1), codec.encode(held.of)])),
    decode: (bytes) => (bytes.length === 0 ? null : { of: codec.decode(bytes.subarray(1)) }),
  };
  if (codec.migrate !== undefined) {
    held.migrate = (bytes, version) =>
      bytes.length === 0 ? null : { of: decodeValue(codec, bytes.subarray(1), version) };
  }
  return held;
}
