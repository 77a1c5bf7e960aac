import type { StoreCodec } from './store.ts';

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
