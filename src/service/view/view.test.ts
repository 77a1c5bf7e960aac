import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Rate } from '../../bridges/rate.ts';
import { encodeRecord } from '../../events/codec.ts';
import type { FleetRecord, Forecast, Score } from '../../events/records.ts';
import { MemoryLog } from '../../log/memory/memory-log.ts';
import { FleetView } from './fleet-view.ts';
import { ViewFollower } from './follower.ts';
import { devicePage, seriesDetail } from './queries.ts';
import { PointRing } from './ring.ts';

const HOUR = 3_600_000;
const NOW = 1_000_000;

function forecast(device: string, quantity: string, model: string): Forecast {
  return {
    type: 'Forecast',
    device,
    quantity,
    origin: 10 * HOUR,
    interval: HOUR,
    values: [1, 2],
    lower: [0, Number.NaN],
    upper: [2, 3],
    level: 0.9,
    model,
    inputOffset: 7,
    arithmetic: 1,
  };
}

function score(device: string, hour: number, champion: number, naive: number): Score {
  const entry = (model: string, role: 'champion' | 'baseline', value: number) =>
    ({ model, role, step: 1, value, lower: value - 1, upper: value + 1 }) as const;
  return {
    type: 'Score',
    device,
    quantity: 'q',
    time: hour * HOUR,
    actual: 10,
    deviation: 2,
    entries: [entry('abc', 'champion', champion), entry('last-value', 'baseline', naive)],
    inputOffset: hour,
  };
}

describe('the view', () => {
  it('compares models over the same buckets', () => {
    const view = new FleetView(() => NOW);
    for (let hour = 0; hour < 50; hour++) view.onScore(score('a', hour, 10.5, 14));
    view.onScore({ ...score('a', 50, 0, 0), deviation: 0 });
    const [first, second] = view.modelErrors();
    expect(first).toMatchObject({ model: 'abc', role: 'champion', coverage: 1, scored: 50 });
    expect(first?.error).toBeCloseTo(0.25);
    expect(second).toMatchObject({ model: 'last-value', coverage: 0 });
    expect(second?.error).toBeCloseTo(2);
  });

  it('gives points, the last forecast and pages', () => {
    const view = new FleetView(() => NOW);
    for (let i = 0; i < 60; i++) {
      view.onReading(`device-${String(i).padStart(2, '0')}`, i < 50 ? NOW : 1);
      view.onForecast(forecast(`device-${String(i).padStart(2, '0')}`, 'q', 'last-value'));
    }
    view.onScore(score('device-01', 3, 11, 12));
    expect(seriesDetail(view, 'device-01', 'q', 100)).toMatchObject({
      points: [[3 * HOUR, 10, 11, 10, 12]],
      forecast: { model: 'last-value', values: [1, 2], lower: [0, null] },
    });
    expect(seriesDetail(view, 'device-01', 'x', 100)).toBeUndefined();
    const query = { search: '', status: '', sort: 'name', page: 3, size: 25 } as const;
    const page = devicePage(view, query, NOW + 30_000);
    expect(page).toMatchObject({ total: 60, pages: 3, counts: { live: 50, quiet: 0 + 10, waiting: 0 } });
    expect(page.devices.map(({ device }) => device)[0]).toBe('device-50');
    expect(devicePage(view, { ...query, search: 'DEVICE-0', page: 9 }, NOW)).toMatchObject({ total: 10, page: 1 });
    expect(devicePage(view, { ...query, status: 'quiet' }, NOW + 90_000).total).toBe(60);
  });

  it('is bounded', () => {
    const view = new FleetView(() => NOW, { devices: 3, series: 4, recent: 2 });
    for (let i = 0; i < 10; i++) view.onForecast(forecast(`d${i}`, 'q', 'm'));
    for (let i = 0; i < 10; i++) view.onForecast(forecast('d0', `q${i}`, 'm'));
    expect(view.devices.size).toBe(3);
    expect(view.seriesCount).toBe(4);
    expect(view.overflow).toBe(16);
  });

  it('follows the topics of the log', async () => {
    const log = new MemoryLog();
    const topics = {
      readings: 'readings',
      deadLetters: 'dead-letters',
      forecasts: 'forecasts',
      scores: 'scores',
      alerts: 'alerts',
      modelEvents: 'model-events',
    };
    await log.ensureTopics(Object.values(topics).map((name) => ({ name, partitions: 2, cleanup: 'delete' })));
    const append = (topic: string, record: FleetRecord, key = 'a') =>
      log.append([{ topic, partition: 1, timestamp: NOW, key: Buffer.from(key), value: encodeRecord(record) }]);
    await append('scores', score('a', 1, 1, 2));
    const letter = { message: 'm', time: 1, origin: 'mqtt', mqttTopic: 't', partition: 0, offset: -1, device: 'b' };
    await append('dead-letters', { type: 'DeadLetter', reason: 'future', ...letter, payload: Buffer.alloc(1) });
    const view = new FleetView(() => NOW);
    const follower = new ViewFollower({ log, topics, view });
    await follower.start();
    await append('readings', { type: 'Tick', time: 1 });
    await append('readings', {
      type: 'Reading',
      device: 'a',
      time: 5,
      values: { q: 1 },
      retained: false,
      redelivered: false,
      fingerprint: '',
    });
    await log.append([
      { topic: 'forecasts', partition: 0, timestamp: 1, key: null, value: Buffer.from('not ours') },
      { topic: 'forecasts', partition: 0, timestamp: 1, key: null, value: encodeRecord(forecast('a', 'q', 'm')) },
    ]);
    const own = { ...letter, device: 'a', payload: Buffer.alloc(9_000) };
    await append('dead-letters', { type: 'DeadLetter', reason: 'not-json', ...own });
    await expect.poll(() => [view.readings.total, view.forecasts.total, view.deadLetters.length]).toEqual([1, 1, 2]);
    // The whole log's by reason; in the total only what came since.
    expect([...view.deadLetterReasons]).toEqual([
      ['future', 1],
      ['not-json', 1],
    ]);
    expect(view.deadLetterCount).toBe(1);
    expect(view.deadLetters[1]?.payload).toHaveLength(512);
    expect(view.points('a', 'q')).toHaveLength(1);
    expect(view.devices.get('a')).toMatchObject({ lastSeen: NOW, readings: 1, deadLetters: 1 });
    await follower.stop();
    await log.close();
  });
});

describe('the ring of points', () => {
  it('keeps the last points in order, the last value of each time', () => {
    const point = (time: number, actual: number) => ({ time, actual, expected: 0, lower: 0, upper: 0 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.array(fc.nat(30)), (capacity, times) => {
        const ring = new PointRing(capacity);
        let model: { time: number; actual: number }[] = [];
        times.forEach((time, i) => {
          ring.put(point(time, i));
          const same = model.find((each) => each.time === time);
          if (same !== undefined) same.actual = i;
          else if (model.length === 0 || time > model.at(-1)!.time) model.push({ time, actual: i });
          model = model.slice(-capacity);
        });
        expect(ring.points().map(({ time, actual }) => ({ time, actual }))).toEqual(model);
        expect(ring.points(2)).toEqual(ring.points().slice(-2));
      }),
    );
  });
});

it('counts a rate over whole seconds', () => {
  let now = 10_000;
  const rate = new Rate(() => now);
  for (let i = 0; i < 50; i++) {
    rate.add(10);
    now += 100;
  }
  expect(rate.perSecond()).toBeCloseTo(100);
  now += 60_000;
  expect(rate.perSecond()).toBe(0);
  expect(rate.total).toBe(500);
});
