import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { reading } from '../../test/readings.ts';
import { decodeRecord } from '../events/codec.ts';
import type { DeadLetter, Reading } from '../events/records.ts';
import { TopologyBuilder } from '../topology/builder.ts';
import { TopologyTestDriver } from '../topology/test-driver.ts';
import { QUALITY_DEFAULTS, Quality, type QualityConfig } from './quality.ts';

const NOW = Date.UTC(2026, 0, 1);

function start(change: Partial<QualityConfig> = {}): TopologyTestDriver {
  const builder = new TopologyBuilder('t');
  const readings = builder.source<Reading>('readings', {
    topic: 'readings',
    codec: { decode: () => ({ kind: 'skip', reason: 'unused' }) },
  });
  const good = readings.process('quality', () => new Quality({ ...QUALITY_DEFAULTS, ...change }));
  const encode = () => ({ key: null, value: null });
  good.sink('good', { topic: 'good', encode });
  good.output<DeadLetter>('rejected').sink('rejected', { topic: 'rejected', encode });
  return new TopologyTestDriver(builder.build());
}

function pipe(driver: TopologyTestDriver, value: Reading, ingest = NOW): void {
  driver.pipe('readings', value.device, value, value.time, ingest);
}

const letters = (driver: TopologyTestDriver) => driver.values<DeadLetter>('rejected');
const good = (driver: TopologyTestDriver) => driver.values<Reading>('good');

describe('quality', () => {
  it('judges the future by the ingest time of the record, and refuses clocks that were never set', () => {
    const driver = start();
    pipe(driver, reading('d', NOW + 15 * 60_000, { a: 1 }));
    pipe(driver, reading('d', NOW + 15 * 60_000 + 1, { a: 2 }));
    pipe(driver, reading('d', Date.UTC(2090, 0, 1), { a: 3 }));
    pipe(driver, reading('d', 0, { a: 4 }));
    pipe(driver, reading('d', -1e12, { a: 5 }));
    expect(good(driver).map(({ values }) => values)).toEqual([{ a: 1 }]);
    expect(letters(driver).map(({ reason }) => reason)).toEqual(['future', 'future', 'too-old', 'too-old']);
    const letter = letters(driver)[0]!;
    expect(letter).toMatchObject({ origin: 'readings', device: 'd', offset: 1, time: NOW });
    expect(decodeRecord(letter.payload)).toMatchObject({ type: 'Reading', values: { a: 2 } });
    expect(driver.counts.get('quality', 'too-old')).toBe(2);
  });

  it('turns away single values and lets the others of a reading go on', () => {
    const driver = start({ ranges: { temperature: { min: -60, max: 60 }, humidity: { min: 0 } } });
    pipe(
      driver,
      reading('d', NOW, {
        temperature: 61,
        humidity: -1,
        pressure: 1e9,
        wind: Number.NaN,
        x: Number.POSITIVE_INFINITY,
      }),
    );
    pipe(driver, reading('d', NOW + 1, { temperature: 60, humidity: 500 }));
    expect(good(driver).map(({ values }) => values)).toEqual([{ pressure: 1e9 }, { temperature: 60, humidity: 500 }]);
    expect(letters(driver).map(({ reason, message }) => [reason, message])).toEqual([
      ['out-of-range', 'temperature is 61, humidity is -1'],
      ['not-finite', 'wind is NaN, x is Infinity'],
    ]);
    // What is put through again must not bring back what went on.
    expect(decodeRecord(letters(driver)[0]!.payload)).toMatchObject({ values: { temperature: 61, humidity: -1 } });
    expect(driver.counts.get('quality', 'out-of-range')).toBe(2);
  });

  it('writes one letter for each reading and reason, however many quantities are bad', () => {
    const driver = start({ maxQuantities: 0 });
    const values = Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`q${i}`, i]));
    pipe(driver, reading('d', NOW, values));
    expect(letters(driver)).toHaveLength(1);
    expect(letters(driver)[0]!.message).toMatch(/^q0 is 0, .* and 13 more$/);
    expect(decodeRecord(letters(driver)[0]!.payload)).toMatchObject({ values });
    expect(driver.counts.get('quality', 'too-many-quantities')).toBe(21);
  });

  it('keeps the letters of one device within its share of an hour, and counts all', async () => {
    const driver = start({ lettersPerHour: 4_000, ranges: { a: { max: 0 }, b: { max: 0 } } });
    for (let i = 0; i < 50; i++) pipe(driver, reading('bad', NOW, { a: 1 }), NOW + i);
    await driver.restart();
    for (let i = 50; i < 100; i++) pipe(driver, reading('bad', NOW, { a: 1 }), NOW + i);
    const kept = letters(driver).length;
    expect(kept).toBeGreaterThan(5);
    expect(kept).toBeLessThan(15);
    expect(driver.counts.get('quality', 'out-of-range')).toBe(kept);
    expect(driver.counts.get('quality', 'out-of-range-not-kept')).toBe(100 - kept);
    pipe(driver, reading('bad', NOW, { a: 1, b: 1 }), NOW + 100);
    expect(driver.counts.get('quality', 'out-of-range-not-kept')).toBe(102 - kept);
    pipe(driver, reading('other', NOW, { a: 1 }), NOW + 100);
    pipe(driver, reading('bad', NOW, { a: 1 }), NOW + 3_600_000);
    expect(letters(driver)).toHaveLength(kept + 2);
    // Two bridges whose clocks differ, about the turn of an hour.
    const turn = 100 * 3_600_000 + Math.ceil(NOW / 3_600_000) * 3_600_000;
    for (let i = 0; i < 100; i++) pipe(driver, reading('two', NOW, { a: 1 }), turn + (i % 2) * 10 - 5);
    expect(letters(driver).length - kept - 2).toBeLessThan(2 * 15);
  });

  it('bounds the quantities of a device, not of its neighbour', () => {
    const driver = start({ maxQuantities: 2 });
    pipe(driver, reading('d', NOW, { a: 1, b: 2, c: 3 }));
    pipe(driver, reading('e', NOW, { c: 3 }));
    pipe(driver, reading('d', NOW + 1, { a: 1, __proto__x: 2 }));
    expect(good(driver).map(({ values }) => Object.keys(values).join())).toEqual(['a,b', 'c', 'a']);
    expect(driver.counts.get('quality', 'too-many-quantities')).toBe(2);
  });

  it('drops redelivered messages, and nothing that only looks like one', async () => {
    const driver = start();
    const first = { fingerprint: '0000000000aa0001' };
    pipe(driver, reading('d', NOW, { a: 1 }, first));
    // The same payload again, published anew: a sensor that has not moved.
    pipe(driver, reading('d', NOW, { a: 1 }, { fingerprint: '0000000000aa0002' }), NOW + 1000);
    // A broker that gives identifiers away again at once.
    pipe(driver, reading('d', NOW, { a: 1 }, first), NOW + 1000);
    expect(good(driver)).toHaveLength(3);
    await driver.restart();
    pipe(driver, reading('d', NOW, { a: 1 }, { ...first, redelivered: true }), NOW + 2000);
    // An append that was repeated has the ingest time of the first attempt.
    pipe(driver, reading('d', NOW, { a: 1 }, { ...first, redelivered: true }), NOW + 1000);
    // Redelivered, but never seen: the first delivery had not come through.
    pipe(driver, reading('d', NOW, { a: 1 }, { fingerprint: 'ff', redelivered: true }), NOW + 2000);
    pipe(driver, reading('d', NOW, { a: 1 }, { fingerprint: '0000000000aa0003', redelivered: true }), NOW + 2000);
    pipe(driver, reading('d', NOW, { a: 1 }, { fingerprint: '0000000000bb0001', redelivered: true }), NOW + 2000);
    pipe(driver, reading('e', NOW, { a: 1 }, { ...first, redelivered: true }), NOW + 2000);
    expect(good(driver)).toHaveLength(7);
    expect(driver.counts.get('quality', 'redelivered')).toBe(2);
    // Without an identifier the content has to do.
    pipe(driver, reading('d', NOW, { a: 1 }, { fingerprint: '0000000000aa0000', redelivered: true }), NOW + 2000);
    expect(driver.counts.get('quality', 'redelivered')).toBe(3);
  });

  it('remembers the last messages of a device, and all of the last ones of the partition', () => {
    const driver = start({ remember: 2, redeliveryWindow: 10 });
    const print = (n: number) => ({ fingerprint: `${String(n).padStart(12, '0')}0001` });
    const send = (device: string, n: number) => pipe(driver, reading(device, NOW, { n }, print(n)));
    const repeated = (device: string, n: number) => {
      const before = driver.counts.get('quality', 'redelivered') ?? 0;
      pipe(driver, reading(device, NOW, { n }, { ...print(n), redelivered: true }));
      return (driver.counts.get('quality', 'redelivered') ?? 0) > before;
    };
    for (let n = 0; n < 8; n++) send('d', n);
    expect([0, 1, 7].map((n) => repeated('d', n))).toEqual([true, true, true]);
    for (let n = 100; n < 120; n++) send('e', n);
    for (let n = 8; n < 10; n++) send('d', n);
    expect([8, 9, 3].map((n) => repeated('d', n))).toEqual([true, true, false]);
  });

  it('makes one of each message, whatever was repeated', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ device: fc.integer({ max: 3, min: 0 }), say: fc.integer({ max: 2, min: 0 }) }), {
          maxLength: 60,
        }),
        fc.array(fc.record({ at: fc.nat(60), back: fc.nat(12), restart: fc.boolean() }), { maxLength: 6 }),
        async (messages, crashes) => {
          const driver = start({ remember: 1, redeliveryWindow: 4 * 12 });
          const send = (i: number, redelivered: boolean) => {
            const { device, say } = messages[i]!;
            const fingerprint = `${String(say).padStart(12, '0')}${String((i % 50) + 1).padStart(4, '0')}`;
            pipe(driver, reading(`d${device}`, NOW, { say, i }, { fingerprint, redelivered }));
          };
          for (let i = 0; i < messages.length; i++) {
            send(i, false);
            for (const { back, restart } of crashes.filter(({ at }) => at === i)) {
              // What was in flight comes again, in its order.
              for (let again = Math.max(0, i - back); again <= i; again++) send(again, true);
              if (restart) await driver.restart();
            }
          }
          for (const device of [0, 1, 2, 3]) {
            const expected = messages.flatMap((each, i) => (each.device === device ? [i] : []));
            const got = good(driver).filter((each) => each.device === `d${device}`);
            expect(got.map(({ values }) => values['i'])).toEqual(expected);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('takes retained messages once, or not at all', () => {
    const retained = { fingerprint: '0000000000aa0000', retained: true };
    const driver = start();
    pipe(driver, reading('d', NOW, { a: 1 }, retained));
    pipe(driver, reading('d', NOW, { a: 1 }, retained), NOW + 1);
    expect(good(driver)).toHaveLength(1);
    const strict = start({ retained: 'drop' });
    pipe(strict, reading('d', NOW, { a: 1 }, retained));
    expect(good(strict)).toHaveLength(0);
    expect(strict.counts.get('quality', 'retained')).toBe(1);
  });
});
