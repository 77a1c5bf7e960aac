import { FleetcastError } from '../../errors.ts';
import { excerpt, Reject } from './reject.ts';
import { compilePattern } from './time-pattern.ts';
import { zoned } from './time-zone.ts';
import { offsetMillis, wallTime } from './wall-time.ts';

/**
 * How a time is written. `epoch` finds the unit by magnitude (right for 1973 to 5138); `iso` is ISO 8601 with a zone, or
 * without one where `zone` is given; anything else is a pattern such as `dd.MM.yyyy HH:mm:ss` and needs no zone only
 * if it holds `XXX`.
 */
export type TimeFormat = 'auto' | 'epoch' | 'epoch-s' | 'epoch-ms' | 'epoch-us' | 'epoch-ns' | 'iso' | (string & {});

/** Turns what a payload or a cell holds into milliseconds since the epoch. Throws {@link Reject} `bad-time`. */
export type TimeParser = (value: unknown) => number;

/**
 * @param zone IANA name (`Europe/Berlin`) of local times; of a time that a clock shows twice the first is taken, a time
 *   that is skipped moves on by the gap.
 * @throws CONFIG_INVALID for an unknown zone or pattern.
 */
export function compileTime(format: TimeFormat = 'auto', zone?: string): TimeParser {
  const local = zone === undefined ? undefined : zoned(zone);
  const divisor = EPOCH[format];
  if (divisor !== undefined) return (value) => millis(numberOf(value), divisor);
  if (format === 'epoch') return (value) => byMagnitude(value);
  if (format === 'iso') return (value) => iso(value, local);
  if (format === 'auto') {
    return (value) => (looksNumeric(value) ? byMagnitude(value) : iso(value, local));
  }
  const pattern = compilePattern(format);
  if (local === undefined && !pattern.hasZone) {
    throw new FleetcastError('CONFIG_INVALID', `time format ${JSON.stringify(format)} needs a zone`, {
      details: { format },
    });
  }
  return (value) => {
    const fields = typeof value === 'string' ? pattern.parse(value.trim()) : undefined;
    if (fields === undefined) throw new Reject('bad-time', `${excerpt(value)} is not of the form ${format}`);
    return fields.offset === undefined ? local!(fields.wall) : fields.wall - fields.offset;
  };
}

const EPOCH: Readonly<Record<string, number | undefined>> = {
  'epoch-s': 1e-3,
  'epoch-ms': 1,
  'epoch-us': 1e3,
  'epoch-ns': 1e6,
};

function byMagnitude(value: unknown): number {
  const number = numberOf(value);
  const size = Math.abs(number);
  const divisor = size < 1e11 ? 1e-3 : size < 1e14 ? 1 : size < 1e17 ? 1e3 : 1e6;
  return exact(value, divisor) ?? millis(number, divisor);
}

/** A double cannot hold today's nanoseconds: 1,745,708,765.6 s are …599.99 ms to it. Half a microsecond is forgiven. */
function millis(value: number, divisor: number): number {
  return Math.floor((divisor < 1 ? value * Math.round(1 / divisor) : value / divisor) + 5e-4);
}

/** Digits of text and big integers are divided as they are. */
function exact(value: unknown, divisor: number): number | undefined {
  if (divisor < 1) return undefined;
  if (typeof value === 'string') {
    if (!/^\s*[+-]?\d{16,25}\s*$/.test(value)) return undefined;
    value = BigInt(value.trim().replace('+', ''));
  }
  if (typeof value !== 'bigint') return undefined;
  const by = BigInt(divisor);
  const quotient = value / by;
  return Number(value < 0n && quotient * by !== value ? quotient - 1n : quotient);
}

function looksNumeric(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'bigint' || (typeof value === 'string' && NUMBER.test(value));
}

const NUMBER = /^\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\s*$/;

function numberOf(value: unknown): number {
  if (value instanceof Date) return value.getTime();
  const number = looksNumeric(value) ? Number(value) : Number.NaN;
  if (!Number.isFinite(number)) throw new Reject('bad-time', `${excerpt(value)} is not a time in numbers`);
  return number;
}

const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?\s*(Z|z|[+-]\d\d(?::?\d\d)?)?)?$/;

function iso(value: unknown, local: ((wall: number) => number) | undefined): number {
  if (value instanceof Date) return value.getTime();
  const found = typeof value === 'string' ? ISO.exec(value.trim()) : null;
  if (found === null) throw new Reject('bad-time', `${excerpt(value)} is not a time of ISO 8601`);
  const [, year, month, day, hour, minute, second, fraction, offset] = found;
  const wall = wallTime(+year!, +month!, +day!, +(hour ?? 0), +(minute ?? 0), +(second ?? 0));
  if (wall === undefined) throw new Reject('bad-time', `${excerpt(value)} is not in the calendar`);
  const millis = fraction === undefined ? 0 : Math.floor(Number(`0.${fraction}`) * 1000 + 1e-9);
  if (offset !== undefined) return wall + millis - offsetMillis(offset);
  if (local === undefined) throw new Reject('bad-time', `${excerpt(value)} has no zone, and the mapping names none`);
  return local(wall + millis);
}
