import { type DecodeOptions, decode } from 'cborg';
import { Reject } from '../mapping/reject.ts';
import { type Decoder, type FormatLimits, guarded } from './bounds.ts';

type TagDecoder = NonNullable<DecodeOptions['tags']>[number];

const known: Readonly<Record<string, TagDecoder>> = {
  0: (content) => String(content()),
  1: (content) => new Date(Number(content()) * 1000),
  2: (content) => bigNumber(content()),
  3: (content) => -1 - bigNumber(content()),
};
const passOver: TagDecoder = (content) => content();
/** The decoder of every tag: what is not known is passed over, and what it holds is taken. */
const TAGS = new Proxy(known, { get: (tags, tag) => tags[String(tag)] ?? passOver });

/**
 * CBOR (RFC 8949). Maps become objects, with keys as text (SenML, RFC 8428, has numbers); tag 1 (epoch) becomes a Date;
 * integers beyond 2^53 the nearest number. Strings of unknown length are refused.
 */
export function cborDecoder(limits: FormatLimits): Decoder {
  return guarded('CBOR', limits, (payload) => plain(decode(payload, { tags: TAGS, useMaps: true }), 0, limits));
}

function plain(value: unknown, depth: number, limits: FormatLimits): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array || value instanceof Date) return value;
  if (depth >= limits.maxDepth) throw new Reject('too-deep', `nested more than ${limits.maxDepth} levels`);
  if (Array.isArray(value)) return value.map((each) => plain(each, depth + 1, limits));
  const result = Object.create(null) as Record<string, unknown>;
  for (const [key, each] of value as Map<unknown, unknown>) {
    if (typeof key !== 'string' && typeof key !== 'number') throw new Error('a key that is neither text nor number');
    result[String(key)] = plain(each, depth + 1, limits);
  }
  return result;
}

function bigNumber(bytes: unknown): number {
  if (!(bytes instanceof Uint8Array) || bytes.length > 128) throw new Error('a big number that is none');
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}
