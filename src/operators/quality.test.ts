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
    expect(letters(driver).map(({ reason, message }) => [reason, message.split(' ')[0]])).toEqual([
      ['out-of-range', 'temperature'],
      ['out-of-range', 'humidity'],
      ['not-finite', 'wind'],
      ['not-finite', 'x'],
    ]);
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
    const first = { fingerprint: '00000000000000aa' };
    // Two readings of one message share its ingest time.
    pipe(driver, reading('d', NOW, { a: 1 }, first));
    pipe(driver, reading('d', NOW + 1, { a: 2 }, first));
    // The same payload again, published anew: a sensor that has not moved.
    pipe(driver, reading('d', NOW, { a: 1 }, first), NOW + 1000);
    expect(good(driver)).toHaveLength(3);
    await driver.restart();
    pipe(driver, reading('d', NOW, { a: 1 }, { ...first, redelivered: true }), NOW + 2000);
    // Redelivered, but never seen: the first delivery had not come through.
    pipe(driver, reading('d', NOW, { a: 1 }, { fingerprint: 'ff', redelivered: true }), NOW + 2000);
    pipe(driver, reading('d', NOW, { a: 1 }, { fingerprint: '00000000000000bb', redelivered: true }), NOW + 2000);
    pipe(driver, reading('e', NOW, { a: 1 }, { ...first, redelivered: true }), NOW + 2000);
    expect(good(driver)).toHaveLength(6);
    expect(driver.counts.get('quality', 'redelivered')).toBe(1);
  });

  it('remembers so many messages of a device', () => {
    const driver = start({ remember: 2 });
    const print = (n: number) => ({ fingerprint: `000000000000000${n}` });
    for (const n of [1, 2, 3]) pipe(driver, reading('d', NOW, { a: n }, print(n)));
    for (const n of [3, 1]) pipe(driver, reading('d', NOW, { a: n }, { ...print(n), redelivered: true }), NOW + 1);
    // 1 had been forgotten.
    expect(driver.counts.get('quality', 'redelivered')).toBe(1);
  });

  it('takes retained messages once, or not at all', () => {
    const retained = { fingerprint: '00000000000000aa', retained: true };
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
