import { describe, expect, it } from 'vitest';
import { HOUR } from '../../test/readings.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { writeInputs } from '../models/inputs/spec.ts';
import { Random } from '../models/random.ts';
import { pipelineConfig } from '../pipelines/pipeline-config.ts';
import { topicSpecs } from '../pipelines/topics.ts';
import { type BacktestPeriod, backtest, backtestTable } from './backtest.ts';
import { type ImportedBucket, importHistory } from './history-import.ts';
import { type HistorySeries, readHistory } from './history-reader.ts';
import { lookAhead, type MakeSet, segmentsWithOtherFuture, withOtherFuture } from './look-ahead.ts';
import type { TrainingRequest } from './request.ts';
import { newRequest, requestedSegments } from './train.ts';
import { jobHistory, requestedSet } from './training-job.ts';

const T0 = Date.UTC(2026, 0, 1);
const config = pipelineConfig({ shape: { lookback: 24, horizon: 6, season: 12 } });
const { topics } = config;

/** Three series whose season changes from 12 to 18 buckets at `changesAt`. */
function buckets(length: number, changesAt: number): ImportedBucket[] {
  const random = new Random(1);
  const all: ImportedBucket[] = [];
  for (let hour = 0; hour < length; hour++) {
    for (const device of ['a', 'b/c', 'd']) {
      const season = hour < changesAt ? 12 : 18;
      const value = Math.sin((hour / season) * 2 * Math.PI) + 0.1 * random.normal();
      all.push({ device, quantity: 'q', time: T0 + hour * HOUR, value });
    }
  }
  return all;
}

async function logWith(imported: readonly ImportedBucket[]) {
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: 2 }));
  const desk = { log, topics, now: () => T0 };
  await importHistory({ ...desk, interval: HOUR, segment: config.segment }, imported);
  return desk;
}

const options = {
  windows: config,
  request: { family: 'ridge' as const },
  start: T0 + 300 * HOUR,
  end: T0 + 900 * HOUR,
  every: 150,
  holdOut: 60,
};

describe('backtest', () => {
  it('retrains as it would have happened, and wins where the season changes', async () => {
    const seen: BacktestPeriod[] = [];
    const desk = await logWith(buckets(900, 450));
    const result = await backtest({ ...desk, ...options, onPeriod: (period) => seen.push(period) });
    expect(result.periods).toEqual(seen);
    expect(result.periods.map(({ from, to }) => [(from - T0) / HOUR, (to - T0) / HOUR])).toEqual([
      [300, 450],
      [450, 600],
      [600, 750],
      [750, 900],
    ]);
    const mae = Object.fromEntries(result.total.map((row) => [row.name, row.mae]));
    expect(mae['loop']!).toBeLessThan(0.8 * mae['once']!);
    expect(mae['loop']!).toBeLessThan(mae['seasonal-naive']!);
    const first = result.periods[0]!.rows;
    expect(first[0]!.mae).toBe(first[1]!.mae);
    expect(backtestTable(result)).toMatch(/^from +loop +once +last-value +seasonal-naive\n2026-01-13 /);
  }, 300_000);

  it('looks at nothing that had not happened', async () => {
    const honest = buckets(900, 450);
    const random = new Random(9);
    // What comes after hour 600 is replaced: no period that ends before may change in any bit.
    const forged = honest.map((bucket) =>
      bucket.time < T0 + 600 * HOUR ? bucket : { ...bucket, value: 100 * random.normal() },
    );
    const shorter = { ...options, end: T0 + 750 * HOUR };
    const one = await backtest({ ...(await logWith(honest)), ...shorter });
    const other = await backtest({ ...(await logWith(forged)), ...shorter });
    expect(other.periods.slice(0, 2)).toEqual(one.periods.slice(0, 2));
    // The test is one: a model that was let to see what comes after is caught by the same comparison.
    expect(other.periods[2]).not.toEqual(one.periods[2]);
  }, 300_000);
});

it('says what is too old for a training to hold', async () => {
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: 2 }));
  const desk = { log, topics, now: () => T0 };
  const seconds = buckets(300, 300).map((one) => ({ ...one, time: T0 + (one.time - T0) / 3600 }));
  // A clock that once stood in the year 2000.
  const old = { device: 'a', quantity: 'q', time: Date.UTC(2000, 0, 1), value: 1 };
  await importHistory({ ...desk, interval: 1000, segment: config.segment }, [old, { ...old, device: 'd' }, ...seconds]);
  const stages: string[] = [];
  const result = await backtest({
    ...desk,
    ...options,
    windows: { ...config, interval: 1000 },
    request: { ...options.request, bound: { buckets: 2_000_000_000, least: 0 } },
    start: T0 + 240_000,
    end: T0 + 300_000,
    onStage: (stage, detail) => stages.push(`${stage}: ${detail}`),
  });
  const text = '2 measured buckets are left out: they lie 50000000 buckets or more before the last of their series';
  expect(stages.filter((each) => each.endsWith(text))).toHaveLength(1);
  expect(backtestTable(result)).toMatch(new RegExp(`\\n${text}$`));
}, 300_000);

describe('history import', () => {
  it('is what the reader gives back, and leaves alone what is there', async () => {
    const all = buckets(100, 50);
    const desk = await logWith(all);
    const { series } = await readHistory({ log: desk.log, topic: topics.history });
    expect(series.map(({ device, values }) => [device, values.length])).toEqual([
      ['a', 100],
      ['b/c', 100],
      ['d', 100],
    ]);
    const again = { ...desk, interval: HOUR, segment: config.segment };
    const more = [...all, { device: 'e', quantity: 'q', time: T0 - 24 * HOUR, value: 5, count: 3 }];
    expect(
      await importHistory(
        again,
        more.map((bucket) => ({ ...bucket, value: bucket.value + 1 })),
      ),
    ).toEqual({
      buckets: 1,
      segments: 1,
      kept: 15,
    });
    const read = await readHistory({ log: desk.log, topic: topics.history });
    expect(read.series.slice(0, 3)).toEqual(series);
    expect(read.series[3]).toMatchObject({ device: 'e', start: T0 - 24 * HOUR, values: Float64Array.of(6) });
    for (const wrong of [{ time: T0 + 1 }, { value: Number.NaN }, { time: 0.5 }]) {
      const bucket = { device: 'f', quantity: 'q', time: T0, value: 1, ...wrong };
      await expect(importHistory(again, [bucket])).rejects.toMatchObject({ code: 'USAGE' });
    }
  });
});

describe('look-ahead', () => {
  const windows = pipelineConfig({ shape: { lookback: 24, horizon: 6, season: 12 } });
  const start = Date.UTC(2026, 0, 1);
  const random = new Random(4);
  const values = Float64Array.from({ length: 400 }, (_, i) => Math.sin(i / 2) + 0.3 * random.normal());
  const counts = new Int32Array(400).fill(1);
  const name = { device: 'd', quantity: 'q', segments: 1, revision: 0, leftOut: 0 };
  const one = { ...name, start, interval: HOUR, values, counts, gaps: [] };
  const at = start + 300 * HOUR;
  const split = { trainEnd: at, validationEnd: at, testEnd: start + 400 * HOUR };
  const honest: MakeSet<readonly HistorySeries[]> = (history) =>
    requestedSet(history, windows, { scaler: 'fixed', split });

  const look = (time: number, make: typeof honest) => lookAhead([one], withOtherFuture([one], time), time, HOUR, make);

  it('is not found in the sets of a backtest', () => {
    expect(look(at, honest)).toBeUndefined();
    const rolling: typeof honest = (history) => requestedSet(history, windows, { scaler: 'rolling', split });
    expect(look(at + 50 * HOUR, rolling)).toBeUndefined();
  });

  it('has another future from its time on, behind a long gap too', () => {
    const [other] = withOtherFuture([{ ...one, gaps: [{ at: 100, empty: 2048 }] }], start + 2248 * HOUR);
    const changed = [...other!.values].map((value, i) => value !== values[i]);
    expect([changed.indexOf(true), changed.lastIndexOf(false)]).toEqual([200, 199]);
  });

  it('is caught where it is planted: in the scaler, in the inputs', () => {
    // The scale fitted on all rows, as where the whole table is standardised before it is divided.
    const scaler: typeof honest = (history) =>
      requestedSet(history, windows, { scaler: 'fixed', split: { ...split, trainEnd: split.testEnd } });
    expect(look(at, scaler)).toMatch(/the mean of the window of d\/q/);
    // Values smoothed over the bucket before and after.
    const smooth: typeof honest = (history) =>
      honest(
        history.map((each) => ({
          ...each,
          values: each.values.map((value, i, all) => ((all[i - 1] ?? value) + value + (all[i + 1] ?? value)) / 3),
        })),
      );
    expect(look(at - HOUR, smooth)).toMatch(/of the window of d\/q with origin/);
  });

  it('is caught on the way of a training, from the segments on', async () => {
    const desk = await logWith(buckets(400, 450));
    const request = await newRequest(desk, { family: 'ridge', split });
    const segments = await requestedSegments(desk, request);
    const forged = { ...segments, values: await segmentsWithOtherFuture(segments.values, at) };
    const check = (change: Partial<TrainingRequest>) =>
      lookAhead(segments, forged, at, HOUR, (history) => {
        const asked = { ...request, ...change };
        return requestedSet(jobHistory({ history, request: asked }).series, windows, asked);
      });
    const late = { ...split, trainEnd: start + 350 * HOUR, validationEnd: start + 350 * HOUR };
    expect(check({ to: at, split: late })).toBeUndefined();
    expect(check({ split: late })).toMatch(/the mean of the window of a\/q/);
    expect(check({ to: at + 24 * HOUR, split: late })).toMatch(/of the window of a\/q/);
  });

  it('is caught in labels, and in the windows of other quantities', () => {
    const two = ['p', 'q'].map((quantity) => ({ ...one, quantity }));
    const other = (time: number, change: (history: readonly HistorySeries[]) => readonly HistorySeries[]) => {
      const text = writeInputs({ quantities: ['p'], targets: ['q'], calendar: [], statics: [] });
      const inputs = { settings: { inputs: text }, family: 'segment-lstm' as const };
      return lookAhead(two, withOtherFuture(two, time), time, HOUR, (history) =>
        requestedSet(change(history), windows, { scaler: 'fixed', split: { ...split, trainEnd: at }, ...inputs }),
      );
    };
    expect(other(at, (history) => history)).toBeUndefined();
    const shifted = (history: readonly HistorySeries[]) =>
      history.map((each) => (each.quantity === 'q' ? each : { ...each, start: each.start - 3 * HOUR }));
    expect(other(at + 20 * HOUR, shifted)).toMatch(/further input of the window of d\/q/);
    // A set in which one label of a window is of later: its own inputs are honest.
    const index = { starts: Int32Array.of(0), means: Float64Array.of(0), deviations: Float64Array.of(1) };
    const label = (history: readonly HistorySeries[]) => {
      const set = honest(history);
      const forged = set.values.slice(0, 30);
      forged[26] = set.values[399]!;
      return {
        ...set,
        values: forged,
        measured: set.measured.slice(0, 30),
        train: index,
        validation: EMPTY,
        test: EMPTY,
      };
    };
    expect(look(start + 100 * HOUR, label)).toMatch(/^train: a label of the window of d\/q/);
  });
});

const EMPTY = { starts: new Int32Array(), means: new Float64Array(), deviations: new Float64Array() };
