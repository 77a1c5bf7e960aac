import { decode } from '@msgpack/msgpack';
import { type Decoder, type FormatLimits, guarded } from './bounds.ts';

/** MessagePack; the timestamp extension becomes a Date, integers beyond 2^53 the nearest number. */
export function messagePackDecoder(limits: FormatLimits): Decoder {
  return guarded('MessagePack', limits, (payload) =>
    decode(payload, {
      // A length in the header must not make the decoder reserve more than the payload can hold.
      maxArrayLength: Math.min(payload.length, limits.maxNodes),
      maxMapLength: Math.min(payload.length, limits.maxNodes),
      maxStrLength: payload.length,
      maxBinLength: payload.length,
      maxExtLength: payload.length,
    }),
  );
}
