import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seriesKey } from '../events/records.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { pipelineConfig } from '../pipelines/pipeline-config.ts';
import { topicSpecs } from '../pipelines/topics.ts';
import { boundedPart, historyBound } from './history-bound.ts';
import { type ImportedBucket, importHistory } from './history-import.ts';
import type { Span } from './history-watch.ts';
import { rebuild } from './rebuild.ts';
import { newRequest, requestedHistory, trainOnHistory } from './train.ts';

const HOUR = 3_600_000;
const all = { series: [], from: null, to: null };

const spansOf = (list: readonly { device: number; quantity: number; start: number; buckets: number }[]) =>
  new Map<string, Span>(
    list.map(({ device, quantity, start, buckets }) => [
      seriesKey(`d/${device}`, `q${quantity}`),
      { start: start * HOUR, end: (start + buckets) * HOUR, interval: HOUR },
    ]),
  );

describe('the bound of a history', () => {
  it('is never passed, but by the first device alone; what fits stays whole', () => {
    const series = fc.record({
      device: fc.nat(12),
      quantity: fc.nat(2),
      start: fc.nat(300),
      buckets: fc.integer({ min: 1, max: 300 }),
    });
    fc.assert(
      fc.property(
        fc.array(series, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 3000 }),
        fc.constantFrom(1, 20, 200, Number.POSITIVE_INFINITY),
        (list, buckets, least) => {
          const spans = spansOf(list);
          const part = boundedPart(spans, { buckets, least }, all);
          const since = part.since ?? Number.NEGATIVE_INFINITY;
          const kept = [...spans].filter(([key]) => part.series.length === 0 || part.series.includes(key));
          const sizes = kept.map(([, { start, end }]) => Math.max(0, (end - Math.max(start, since)) / HOUR));
          const total = sizes.reduce((sum, size) => sum + size, 0);
          const whole = [...spans.values()].reduce((sum, { start, end }) => sum + (end - start) / HOUR, 0);
          expect(total).toBeGreaterThan(0);
          if (whole <= buckets) expect(part).toEqual({ series: [], since: null });
          const devices = new Set(kept.map(([key]) => key.slice(0, key.indexOf('/'))));
          if (devices.size > 1) expect(total).toBeLessThanOrEqual(buckets);
          if (least === Number.POSITIVE_INFINITY) expect(part.since).toBeNull();
        },
      ),
    );
  });

  it('takes the newest of all series first, then whole devices', () => {
    const spans = spansOf(
      Array.from({ length: 20 }, (_, i) => ({ device: i >> 1, quantity: i & 1, start: 0, buckets: 100 })),
    );
    expect(boundedPart(spans, { buckets: 1000, least: 50 }, all)).toEqual({ series: [], since: 50 * HOUR });
    const some = boundedPart(spans, { buckets: 400, least: 50 }, all);
    expect(some.since).toBe(50 * HOUR);
    expect(some.series).toHaveLength(8);
    expect(new Set(some.series.map((key) => key.split('/')[0])).size).toBe(4);
    const named = [...spans.keys()].slice(0, 4);
    expect(boundedPart(spans, { buckets: 400, least: 50 }, { ...all, series: named })).toEqual({
      series: named,
      since: null,
    });
  });

  it('is what a training reads; the model can be built again', async () => {
    const log = new MemoryLog();
    const config = pipelineConfig({ shape: { lookback: 12, horizon: 3, season: 6 }, scaleLength: 24, segment: 16 });
    const { topics } = config;
    await log.ensureTopics(topicSpecs(topics, { partitions: 2 }));
    const desk = { log, topics, now: () => 5000 * HOUR };
    const buckets = Array.from({ length: 6 * 400 }, (_, i): ImportedBucket => {
      const [device, at] = [Math.floor(i / 400), i % 400];
      return { device: `d${device}`, quantity: 'q', time: at * HOUR, value: Math.sin(at + device) + ((i * 7) % 5) / 9 };
    });
    await importHistory({ ...desk, interval: HOUR, segment: config.segment }, buckets);

    const bound = historyBound(400, config);
    const request = await newRequest(desk, { bound });
    expect(request.since).toBe((400 - bound.least) * HOUR);
    expect(request.series.length).toBe(Math.floor(400 / bound.least));
    const history = await requestedHistory(desk, request);
    expect(history.map(({ device, quantity }) => seriesKey(device, quantity))).toEqual(request.series);
    // Whole segments: up to one more than asked for.
    for (const { start, values } of history) {
      expect(start).toBeGreaterThan((400 - bound.least - 16) * HOUR);
      expect(values.length).toBeLessThan(bound.least + 16);
    }

    const settings = { width: 8, epochs: 1, batch: 16 };
    const trained = await trainOnHistory({ ...desk, windows: config, bound, settings });
    expect(trained.artefact.training.windows).toBeLessThan(400);
    const models = { load: () => Promise.reject(new Error('no parent')) };
    expect(await rebuild(desk, trained, models)).toMatchObject({ identical: true });
  }, 60_000);
});
