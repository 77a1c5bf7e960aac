import { ByteReader, ByteWriter } from '../../operators/binary.ts';
import type { StoreCodec } from '../../state/store.ts';

export interface OpenWindow<S> {
  start: number;
  end: number;
  /** See `Windowed`. */
  revision: number;
  state: S;
}

/** The windows of one key. */
export interface KeyWindows<S> {
  /** Latest event time. */
  seen: number;
  /** What ended up to here was closed by idleness, whatever the watermark says. */
  closed: number;
  /** By start. */
  windows: OpenWindow<S>[];
}

export function keyWindowsCodec<S>(codec: StoreCodec<S>): StoreCodec<KeyWindows<S>> {
  return {
    version: codec.version,
    encode: ({ seen, closed, windows }) => {
      const writer = new ByteWriter().number(seen).number(closed).count(windows.length);
      for (const { start, end, revision, state } of windows) {
        writer.number(start).number(end).count(revision).raw(codec.encode(state));
      }
      return writer.done();
    },
    decode: (bytes) => readWindows(bytes, codec.decode),
    ...(codec.migrate === undefined
      ? {}
      : { migrate: (bytes, version) => readWindows(bytes, (old) => codec.migrate!(old, version)) }),
  };
}

function readWindows<S>(bytes: Uint8Array, decode: (bytes: Uint8Array) => S): KeyWindows<S> {
  const reader = new ByteReader(bytes);
  const seen = reader.number();
  const closed = reader.number();
  const windows = Array.from({ length: reader.count() }, () => {
    return { start: reader.number(), end: reader.number(), revision: reader.count(), state: decode(reader.raw()) };
  });
  return { seen, closed, windows };
}
