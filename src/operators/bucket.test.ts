import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRecord } from '../events/codec.ts';
import type { DeadLetter, Reading } from '../events/records.ts';
import { TopologyBuilder } from '../topology/builder.ts';
import { TopologyTestDriver } from '../topology/test-driver.ts';
import { type BucketConfig, Bucketing } from './bucket.ts';
import type { Bucket } from './items.ts';

const MINUTE = 60_000;
const T0 = Date.UTC(2026, 0, 1);
const defaults: BucketConfig = {
  origin: 'readings',
  interval: 10 * MINUTE,
  grace: 5 * MINUTE,
  idle: 30 * MINUTE,
  aggregate: 'mean',
  aggregates: {},
  late: 'correct',
  correctFor: 60 * MINUTE,
  maxReadings: 1000,
  lettersPerHour: 1_000_000,
};

function start(change: Partial<BucketConfig> = {}, cut?: () => boolean): TopologyTestDriver {
  const builder = new TopologyBuilder('t');
  const readings = builder.source<Reading>('readings', {
    topic: 'readings',
    codec: { decode: () => ({ kind: 'skip', reason: 'unused' }) },
  });
  const buckets = readings.process('bucket', () => new Bucketing({ ...defaults, ...change }));
  const encode = () => ({ key: null, value: null });
  buckets.sink('buckets', { topic: 'buckets', encode });
  buckets.output<DeadLetter>('late').sink('late', { topic: 'late', encode });
  return new TopologyTestDriver(builder.build(), cut === undefined ? {} : { cut });
}

function reading(time: number, values: Record<string, number>): Reading {
  return { type: 'Reading', device: 'd', time, values, retained: false, redelivered: false, fingerprint: '' };
}

/** Event time in minutes after T0; ingest time an hour and a half later, as it comes. */
function pipe(driver: TopologyTestDriver, minutes: number, value: number, device = 'd', ingest?: number): void {
  driver.pipe('readings', device, reading(T0 + minutes * MINUTE, { q: value }), T0 + minutes * MINUTE, ingest);
}

function closed(driver: TopologyTestDriver): [number, number, number][] {
  return driver.values<Bucket>('buckets').map(({ start: at, value, count }) => [(at - T0) / MINUTE, value, count]);
}

describe('bucket', () => {
  it('closes a bucket when the watermark has passed its end by the grace', () => {
    const driver = start();
    pipe(driver, 1, 10);
    pipe(driver, 9, 20);
    pipe(driver, 14, 30);
    expect(closed(driver)).toEqual([]);
    pipe(driver, 15, 30);
    expect(closed(driver)).toEqual([[0, 15, 2]]);
  });

  it('leaves empty buckets out, however many, and counts them', () => {
    const driver = start();
    pipe(driver, 0, 1);
    pipe(driver, 600_000, 2);
    pipe(driver, 600_030, 2);
    expect(closed(driver).map(([at]) => at)).toEqual([0, 600_000]);
    expect(driver.counts.get('bucket', 'gap-buckets')).toBe(59_999);
  });

  it('closes the buckets of an idle device by ingest time, never by event time', () => {
    const driver = start();
    const now = T0 + 1e9;
    pipe(driver, 1, 10, 'd', now);
    // A backfill of last year: event time runs far ahead of the ticks and means nothing to them.
    pipe(driver, 3, 20, 'd', now + 1000);
    driver.tick(now + 30 * MINUTE);
    expect(closed(driver)).toEqual([]);
    driver.tick(now + 1000 + 30 * MINUTE);
    expect(closed(driver)).toEqual([[0, 15, 2]]);
    expect(driver.counts.get('bucket', 'closed-idle')).toBe(1);
    driver.tick(now + 1e8);
    expect(closed(driver)).toHaveLength(1);
  });

  it('corrects a closed bucket exactly, and tells duplicates in it', () => {
    const driver = start();
    for (const minute of [1, 9, 15]) pipe(driver, minute, minute);
    pipe(driver, 5, 5);
    pipe(driver, 5, 5);
    pipe(driver, 9, 9);
    expect(driver.values<Bucket>('buckets').map(({ kind, value, count }) => [kind, value, count])).toEqual([
      ['closed', 5, 2],
      ['corrected', 5, 3],
    ]);
    expect(driver.counts.get('bucket', 'duplicate')).toBe(2);
    expect(driver.counts.get('bucket', 'late-corrected')).toBe(1);
  });

  it('refuses what is too late, by policy', () => {
    for (const [late, reason, letters] of [
      ['correct', 'late', 1],
      ['dead-letter', 'late', 1],
      ['drop', 'late-dropped', 0],
    ] as const) {
      const driver = start({ late });
      for (const minute of [1, 200, 300]) pipe(driver, minute, 1);
      pipe(driver, 2, 5);
      expect(driver.counts.get('bucket', reason)).toBe(1);
      expect(driver.values<DeadLetter>('late').map(({ reason: r, device }) => [r, device])).toEqual(
        letters ? [['late', 'd']] : [],
      );
      expect(closed(driver).filter(([at]) => at === 0)).toHaveLength(1);
    }
  });

  it('writes one letter for a late reading of several quantities', () => {
    const driver = start({ late: 'dead-letter' });
    const late = reading(T0 + MINUTE, { a: 1, b: 2, c: 3 });
    driver.pipe('readings', 'd', late, late.time);
    for (const minute of [200, 300]) {
      const next = reading(T0 + minute * MINUTE, { a: 1, b: 1, c: 1 });
      driver.pipe('readings', 'd', next, next.time);
    }
    driver.pipe('readings', 'd', late, late.time);
    // What was late has gone into its own letter: none comes of the next reading.
    const good = reading(T0 + 301 * MINUTE, { a: 1, b: 1, c: 1 });
    driver.pipe('readings', 'd', good, good.time);
    const [letter, ...more] = driver.values<DeadLetter>('late');
    expect(more).toEqual([]);
    expect(letter!.message).toMatch(/^bucket \S+ of a, b, c had closed$/);
    expect(decodeRecord(letter!.payload)).toMatchObject({ values: { a: 1, b: 2, c: 3 } });
    expect(driver.counts.get('bucket', 'late')).toBe(3);
  });

  it('keeps the clock of one device from hurting another', () => {
    const driver = start();
    pipe(driver, 1, 1, 'slow');
    pipe(driver, 10_000, 1, 'fast');
    pipe(driver, 2, 3, 'slow');
    pipe(driver, 15, 5, 'slow');
    const slow = driver.records<Bucket>('buckets').filter(({ key }) => key === 'slow');
    expect(slow.map(({ value }) => [value.value, value.count])).toEqual([[2, 2]]);
  });

  it('goes on after a clock that went back, and after one that ran an hour ahead', () => {
    const driver = start();
    for (const minute of [0, 10, 20, 75, 30, 40, 50]) pipe(driver, minute, minute);
    driver.tick(T0 + 1e9);
    // What came after 75 was not late: its buckets had not been sent.
    const byStart = new Map(closed(driver).map(([at, value]) => [at, value]));
    expect([...byStart.keys()].sort((a, b) => a - b)).toEqual([0, 10, 20, 30, 40, 50, 70]);
    expect(driver.values('late')).toEqual([]);
  });

  it('bounds the readings of a series', () => {
    const driver = start({ maxReadings: 10 });
    for (let i = 0; i < 20; i++) pipe(driver, i / 100, i);
    expect(driver.counts.get('bucket', 'bucket-full')).toBe(10);
    expect(closed(driver)).toEqual([]);
    // Room is made by giving up corrections of what has closed.
    pipe(driver, 40, 1);
    expect(closed(driver)).toEqual([[0, 4.5, 10]]);
    driver.tick(T0 + 1e9);
    expect(closed(driver)).toHaveLength(2);
    pipe(driver, 1, 1);
    expect(driver.counts.get('bucket', 'late')).toBe(1);
  });

  it.each([
    ['mean', 2.75],
    ['min', 1],
    ['max', 5],
    ['sum', 11],
    ['last', 3],
    ['median', 2.5],
    ['count', 4],
  ] as const)('knows the aggregate %s', (aggregate, expected) => {
    const driver = start({ aggregate: 'mean', aggregates: { q: aggregate } });
    for (const [minute, value] of [
      [1, 1],
      [3, 5],
      [2, 2],
      [9, 3],
      [20, 0],
    ] as const) {
      pipe(driver, minute, value);
    }
    expect(closed(driver)[0]![1]).toBe(expected);
  });

  it('does not let an overflow through', () => {
    const driver = start({ aggregate: 'sum' });
    pipe(driver, 1, Number.MAX_VALUE);
    pipe(driver, 2, Number.MAX_VALUE);
    pipe(driver, 20, 1);
    pipe(driver, 40, 1);
    expect(closed(driver)).toEqual([[20, 1, 1]]);
    expect(driver.counts.get('bucket', 'overflow')).toBe(1);
  });
});

describe('bucket, for any order of arrival', () => {
  const series = fc
    .array(fc.tuple(fc.integer({ min: 0, max: 119 }), fc.double({ min: -1e6, max: 1e6, noNaN: true })), {
      minLength: 1,
      maxLength: 60,
    })
    // One value for each event time: a second reading of one time is a duplicate.
    .map((pairs) => [...new Map(pairs)].sort(([a], [b]) => a - b));

  it('gives the same buckets within the grace, whatever comes twice, wherever batches are cut and tasks restart', async () => {
    await fc.assert(
      fc.asyncProperty(
        series,
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 60, maxLength: 60 }),
        fc.array(fc.nat({ max: 59 }), { maxLength: 10 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }),
        fc.nat({ max: 60 }),
        async (readings, jitter, twice, cuts, crash) => {
          const expected = await play(readings, []);
          const shuffled = readings
            .map((one, i) => ({ one, at: one[0] + jitter[i]! * 5 }))
            .sort((a, b) => a.at - b.at)
            .map(({ one }) => one);
          for (const i of twice) {
            const again = readings[i % readings.length]!;
            const first = shuffled.indexOf(again);
            shuffled.splice(first + 1, 0, again);
          }
          expect(await play(shuffled, cuts, crash)).toEqual(expected);
        },
      ),
      { numRuns: 60 },
    );
  });

  async function play(readings: readonly (readonly [number, number])[], cuts: boolean[], crash = -1) {
    let i = 0;
    const driver = cuts.length > 0 ? start({}, () => cuts[i++ % cuts.length]!) : start();
    for (const [n, [minute, value]] of readings.entries()) {
      if (n === crash) await driver.restart();
      pipe(driver, minute, value);
    }
    driver.tick(T0 + 1e9);
    expect(driver.values<Bucket>('buckets').every(({ kind }) => kind === 'closed')).toBe(true);
    return closed(driver);
  }
});
