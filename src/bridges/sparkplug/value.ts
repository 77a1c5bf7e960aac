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
