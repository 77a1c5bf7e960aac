import type { StoreCodec } from './store.ts';

/**
 * Any JSON value. NaN and infinities become null in JSON: use a codec of your own, or a slab, where they can occur.
 * @param migrate reads the JSON of an older version.
 */
export function jsonCodec<V>(version = 1, migrate?: (old: unknown, version: number) => V): StoreCodec<V> {
  const parse = (bytes: Uint8Array): unknown =>
    JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'));
  const codec: StoreCodec<V> = {
    version,
    encode: (value) => Buffer.from(JSON.stringify(value), 'utf8'),
    decode: (bytes) => parse(bytes) as V,
  };
  if (migrate !== undefined) codec.migrate = (bytes, from) => migrate(parse(bytes), from);
  return codec;
}

/** One number, every bit of it. */
export const numberCodec: StoreCodec<number> = {
  version: 1,
  encode: (value) => {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeDoubleLE(value);
    return bytes;
  },
  decode: (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getFloat64(0, true),
};

/** Text in UTF-8. */
export const stringCodec: StoreCodec<string> = {
  version: 1,
  encode: (value) => Buffer.from(value, 'utf8'),
  decode: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'),
};
