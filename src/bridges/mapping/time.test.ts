import { describe, expect, it } from 'vitest';
import { Reject } from './reject.ts';
import { compileTime } from './time.ts';

const at = Date.UTC(2024, 2, 31, 12, 30, 15, 250);

describe('compileTime', () => {
  it.each<[string, string | undefined, unknown, number]>([
    ['epoch-s', undefined, 1_711_888_215, at - 250],
    ['epoch-s', undefined, 1_711_888_215.25, at],
    ['epoch-ms', undefined, at, at],
    ['epoch-us', undefined, String(at * 1000), at],
    ['epoch-ns', undefined, BigInt(at) * 1_000_000n, at],
    ['epoch', undefined, at * 1e6, at],
    ['auto', undefined, '1711888215', at - 250],
    ['auto', undefined, '2024-03-31T12:30:15.250Z', at],
    ['iso', undefined, '2024-03-31T14:30:15.250999999+02:00', at],
    ['iso', undefined, '2024-03-31 12:30:15,25 Z', at],
    ['iso', undefined, '2024-03-31T08:00:15.25-0430', at],
    ['iso', 'Europe/Berlin', '2024-03-31T14:30:15.25', at],
    ['iso', 'UTC', '2024-03-31', Date.UTC(2024, 2, 31)],
    ['dd.MM.yyyy HH:mm:ss', 'Europe/Berlin', '31.03.2024 14:30:15', at - 250],
    ['M/d/yy h:mm a', 'America/New_York', '3/31/24 8:30 AM', at - 15_250],
    ["yyyy-MM-dd'T'HH:mm:ss.SSSXXX", undefined, '2024-03-31T14:30:15.250+02:00', at],
    ['iso', 'Asia/Kathmandu', '2024-03-31T18:15:15.25', at],
  ])('%s in %s: %s', (format, zone, value, expected) => {
    expect(compileTime(format, zone)(value)).toBe(expected);
  });

  it('keeps to its rule where a clock shows a time twice or skips it', () => {
    const berlin = compileTime('iso', 'Europe/Berlin');
    expect(berlin('2024-10-27T02:30:00')).toBe(Date.UTC(2024, 9, 27, 0, 30));
    expect(berlin('2024-10-27T03:30:00')).toBe(Date.UTC(2024, 9, 27, 2, 30));
    expect(berlin('2024-03-31T02:30:00')).toBe(Date.UTC(2024, 2, 31, 1, 30));
    expect(berlin('2024-03-31T01:59:59')).toBe(Date.UTC(2024, 2, 31, 0, 59, 59));
  });

  it('agrees with the zone at every quarter of an hour of a year', () => {
    const format = new Intl.DateTimeFormat('sv-SE', {
      timeZone: 'America/St_Johns',
      dateStyle: 'short',
      timeStyle: 'medium',
    });
    const parse = compileTime('iso', 'America/St_Johns');
    let twice = 0;
    for (let time = Date.UTC(2023, 0, 1); time < Date.UTC(2024, 0, 1); time += 4 * 900_000) {
      const found = parse(format.format(time));
      if (found !== time) twice++;
      expect([time, time - 3_600_000]).toContain(found);
    }
    expect(twice).toBe(1);
  });

  it.each<[string, unknown]>([
    ['epoch-s', 'soon'],
    ['epoch-s', {}],
    ['epoch-ms', Number.NaN],
    ['epoch-ms', Number.POSITIVE_INFINITY],
    ['iso', '2024-02-30T00:00:00Z'],
    ['iso', '2024-03-31T12:30:15'],
    ['iso', '2024-03-31T25:00:00Z'],
    ['iso', 5],
    ['auto', true],
    ['auto', ''],
    ['dd.MM.yyyy XXX', '31.02.2024 Z'],
  ])('%s refuses %j', (format, value) => {
    expect(() => compileTime(format)(value)).toThrow(Reject);
  });

  it.each([
    ['iso', 'Mars/Olympus'],
    ['dd.MM.yyyy', undefined],
    ['QQ yyyy', 'UTC'],
    ['HH:mm', 'UTC'],
  ])('does not compile %s in %s', (format, zone) => {
    expect(() => compileTime(format, zone)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });
});
