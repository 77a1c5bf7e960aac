import { FleetcastError } from '../../errors.ts';

const HOUR = 3_600_000;

/**
 * From wall clock (milliseconds as if it were UTC) to UTC in this zone. Of a time that the clock shows twice the first
 * is meant; a time that the clock skips moves on by the gap.
 *
 * @throws CONFIG_INVALID for a zone that is not in the IANA data base.
 */
export function zoned(zone: string): (wall: number) => number {
  const offsetAt = offsets(zone);
  return (wall) => {
    const before = offsetAt(wall - 24 * HOUR);
    const after = offsetAt(wall + 24 * HOUR);
    if (before === after && offsetAt(wall - before) === before) return wall - before;
    // Around a change both offsets are tried; the one that gives the wall time back is right, the earlier one first.
    const [first, second] = before > after ? [before, after] : [after, before];
    if (offsetAt(wall - first) === first) return wall - first;
    if (offsetAt(wall - second) === second) return wall - second;
    return wall - before;
  };
}

/** Offset of a zone at a moment, cached by the quarter of an hour: zones change at whole quarters. */
function offsets(zone: string): (utc: number) => number {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (cause) {
    throw new FleetcastError('CONFIG_INVALID', `${JSON.stringify(zone)} is not a time zone such as Europe/Berlin`, {
      cause,
      details: { zone },
    });
  }
  const cache = new Map<number, number>();
  return (utc) => {
    const quarter = Math.floor(utc / 900_000);
    const known = cache.get(quarter);
    if (known !== undefined) return known;
    const at = quarter * 900_000;
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(at)) part[type] = Number(value);
    const wall = new Date(0);
    wall.setUTCFullYear(part['year']!, part['month']! - 1, part['day']!);
    wall.setUTCHours(part['hour']!, part['minute']!, part['second']!);
    if (cache.size >= 4096) cache.clear();
    const offset = wall.getTime() - at;
    cache.set(quarter, offset);
    return offset;
  };
}
