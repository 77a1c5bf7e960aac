import { Reject } from '../mapping/reject.ts';
import type { Metric } from './metric.ts';

/** Data types of the Sparkplug specification (6.4.16) that a number can come of. */
const NAMES = [
  'unknown',
  'int8',
  'int16',
  'int32',
  'int64',
  'uint8',
  'uint16',
  'uint32',
  'uint64',
  'float',
  'double',
  'boolean',
  'string',
  'datetime',
  'text',
  'uuid',
  'dataset',
  'bytes',
  'file',
  'template',
  'propertyset',
  'propertysetlist',
  'int8array',
  'int16array',
  'int32array',
  'int64array',
  'uint8array',
  'uint16array',
  'uint32array',
  'uint64array',
  'floatarray',
  'doublearray',
  'booleanarray',
  'stringarray',
  'datetimearray',
] as const;
const SIGNED_BITS: Readonly<Record<number, number>> = { 1: 8, 2: 16, 3: 32, 4: 64 };
const UNSIGNED_BITS: Readonly<Record<number, number>> = { 5: 8, 6: 16, 7: 32, 8: 64 };
const BOOLEAN = 11;
const DATE_TIME = 13;

export function datatypeNumber(name: string): number | undefined {
  const at = (NAMES as readonly string[]).indexOf(name.toLowerCase());
  return at < 0 ? undefined : at;
}

/**
 * The number that a metric says, or undefined for texts, times and what is null. Integers travel without a sign: those of
 * a signed type are two's complement, of their own width or wider (writers differ: −1 as Int8 is 0xff or 0xffffffff).
 */
export function numberOfMetric(metric: Metric, datatype: number | undefined): number | undefined {
  const { value } = metric;
  if (metric.isNull || value === undefined || typeof value === 'string' || datatype === DATE_TIME) return undefined;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (datatype === BOOLEAN) return Number(value) === 0 ? 0 : 1;
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  const signed = SIGNED_BITS[datatype ?? 0];
  if (signed !== undefined) return Number(BigInt.asIntN(signed, value));
  const unsigned = UNSIGNED_BITS[datatype ?? 0];
  return Number(unsigned === undefined ? value : BigInt.asUintN(unsigned, value));
}

type Read = (data: DataView, at: number) => number;
/** Arrays of numbers (6.4.17): little-endian, one after the other. */
const ARRAYS: Readonly<Record<number, readonly [width: number, read: Read]>> = {
  22: [1, (data, at) => data.getInt8(at)],
  23: [2, (data, at) => data.getInt16(at, true)],
  24: [4, (data, at) => data.getInt32(at, true)],
  25: [8, (data, at) => Number(data.getBigInt64(at, true))],
  26: [1, (data, at) => data.getUint8(at)],
  27: [2, (data, at) => data.getUint16(at, true)],
  28: [4, (data, at) => data.getUint32(at, true)],
  29: [8, (data, at) => Number(data.getBigUint64(at, true))],
  30: [4, (data, at) => data.getFloat32(at, true)],
  31: [8, (data, at) => data.getFloat64(at, true)],
};
const BOOLEAN_ARRAY = 32;

/**
 * The numbers of an array, or undefined for bytes that are none (files, texts, times).
 *
 * @param most of them at most. @throws Reject `malformed`, `too-many-values`.
 */
export function numbersOfArray(
  bytes: Uint8Array,
  datatype: number | undefined,
  most: number,
): readonly number[] | undefined {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const check = (count: number, right: boolean) => {
    if (!right) throw new Reject('malformed', `${bytes.length} bytes are no array of the type ${datatype}`);
    if (count > most) throw new Reject('too-many-values', `an array of ${count} numbers; at most ${most}`);
  };
  if (datatype === BOOLEAN_ARRAY) {
    // The number of them, then one bit for each, the highest first.
    const count = bytes.length < 4 ? -1 : data.getUint32(0, true);
    check(count, count >= 0 && bytes.length === 4 + Math.ceil(count / 8));
    return Array.from({ length: count }, (_, i) => (bytes[4 + (i >> 3)]! >> (7 - (i & 7))) & 1);
  }
  const array = ARRAYS[datatype ?? 0];
  if (array === undefined) return undefined;
  const [width, read] = array;
  check(bytes.length / width, bytes.length % width === 0);
  return Array.from({ length: bytes.length / width }, (_, i) => read(data, i * width));
}
