import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOUR } from '../../test/readings.ts';
import type { HistoryFlush, HistorySegment } from '../events/records.ts';
import { TopologyBuilder } from '../topology/builder.ts';
import { TopologyTestDriver } from '../topology/test-driver.ts';
import { ByteWriter } from './binary.ts';
import { History, type HistoryConfig, historyCodec } from './history.ts';
import type { Bucket } from './items.ts';

const T0 = Date.UTC(2026, 0, 1);
const config: HistoryConfig = { interval: HOUR, segment: 4, correctFor: 6 * HOUR, flushEvery: 60_000 };

function start(): TopologyTestDriver {
  const builder = new TopologyBuilder('t');
  builder
    .source<Bucket>('buckets', { topic: 'buckets', codec: { decode: () => ({ kind: 'skip', reason: 'unused' }) } })
    .process('history', () => new History(config))
    .sink('segments', { topic: 'segments', encode: () => ({ key: null, value: null }) });
  return new TopologyTestDriver(builder.build());
}

function pipe(driver: TopologyTestDriver, hour: number, value: number, kind: Bucket['kind'] = 'closed', at = T0): void {
  driver.pipe('buckets', 'd', { kind, quantity: 'q', start: T0 + hour * HOUR, value, count: 1 }, T0 + hour * HOUR, at);
}

const written = (driver: TopologyTestDriver) =>
  driver
    .values<HistorySegment>('segments')
    .map(({ start: from, values, revision, complete }) => [(from - T0) / HOUR, values, revision, complete]);

describe('history', () => {
  it('writes a segment when its last bucket has passed', () => {
    const driver = start();
    for (const hour of [0, 1, 3]) pipe(driver, hour, hour);
    expect(written(driver)).toEqual([[0, [0, 1, Number.NaN, 3], 0, true]]);
    expect(driver.values<HistorySegment>('segments')[0]).toMatchObject({
      device: 'd',
      quantity: 'q',
      counts: [1, 1, 0, 1],
    });
  });

  it('writes what has changed after a while, in the time of ticks, and then is quiet', () => {
    const driver = start();
    pipe(driver, 0, 5);
    driver.tick(T0 + 59_999);
    expect(written(driver)).toEqual([]);
    driver.tick(T0 + 60_000);
    expect(written(driver)).toEqual([[0, [5, Number.NaN, Number.NaN, Number.NaN], 0, false]]);
    driver.tick(T0 + 1e7);
    expect(written(driver)).toHaveLength(1);
    pipe(driver, 1, 6, 'closed', T0 + 1e7);
    driver.tick(T0 + 2e7);
    expect(written(driver).at(-1)).toEqual([0, [5, 6, Number.NaN, Number.NaN], 1, false]);
  });

  it('writes all that has changed when a flush is asked for, and says so after it', () => {
    const driver = start();
    for (const device of ['b', 'a', 'c']) {
      driver.pipe('buckets', device, { kind: 'closed', quantity: 'q', start: T0, value: 1, count: 1 }, T0, T0);
    }
    const flush = (id: string) => driver.broadcast({ type: 'HistoryFlush', id, time: T0 });
    flush('one');
    const said = () =>
      driver.values<HistorySegment | HistoryFlush>('segments').map((each) => ('id' in each ? each.id : each.device));
    expect(said()).toEqual(['a', 'b', 'c', 'one']);
    flush('two');
    expect(said().slice(4)).toEqual(['two']);
    driver.tick(T0 + 1e7);
    expect(said()).toHaveLength(5);
  });

  it('corrects older segments with a higher revision, also before the first', () => {
    const driver = start();
    for (let hour = 0; hour < 5; hour++) pipe(driver, hour, hour);
    pipe(driver, 2, 20, 'corrected');
    pipe(driver, -1, 9, 'corrected');
    driver.tick(T0 + 60_000);
    expect(written(driver).slice(1)).toEqual([
      [-4, [Number.NaN, Number.NaN, Number.NaN, 9], 0, false],
      [0, [0, 1, 20, 3], 1, true],
      [4, [4, Number.NaN, Number.NaN, Number.NaN], 0, false],
    ]);
    pipe(driver, 30, 1);
    pipe(driver, 0, 1, 'corrected');
    expect(driver.counts.get('history', 'history-too-old')).toBe(1);
  });

  it('leaves the newest revision as the truth, whatever came when', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat({ max: 3 }), fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 60 }),
        async (steps) => {
          const driver = start();
          const truth = new Map<number, number>();
          let hour = 0;
          let now = T0;
          for (const [n, [step, correct, restart]] of steps.entries()) {
            now += 20_000;
            const target = correct && hour > 3 ? hour - 1 - step : hour + step;
            if (target >= hour) hour = target + 1;
            pipe(driver, target, n, target >= hour - 1 ? 'closed' : 'corrected', now);
            truth.set(target, n);
            driver.tick(now);
            if (restart && n % 10 === 0) await driver.restart();
          }
          driver.tick(now + 1e6);
          const newest = new Map<number, HistorySegment>();
          for (const segment of driver.values<HistorySegment>('segments')) {
            expect(segment.revision).toBe((newest.get(segment.start)?.revision ?? -1) + 1);
            newest.set(segment.start, segment);
          }
          const held = new Map<number, number>();
          for (const { start: from, values } of newest.values()) {
            values.forEach((value, i) => {
              if (!Number.isNaN(value)) held.set((from - T0) / HOUR + i, value);
            });
          }
          expect(new Map([...held].sort())).toEqual(new Map([...truth].sort()));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('takes state over that did not remember corrections: what was written last is still exact', () => {
    const writer = new ByteWriter().count(1).text('q').number(T0).count(3);
    for (const [revision, dirty] of [
      [3, 0],
      [3, 1],
      [0, 1],
    ] as const) {
      writer.number(T0).numbers([1]).numbers([1]).count(revision).count(dirty);
    }
    const [series] = historyCodec(HOUR).migrate!(writer.done(), 1);
    expect(series!.segments.map(({ exactFrom, dirty }) => [exactFrom, dirty])).toEqual([
      [2, false],
      [3, true],
      [0, true],
    ]);
  });
});
