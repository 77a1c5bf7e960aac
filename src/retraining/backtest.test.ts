import { describe, expect, it } from 'vitest';
import { HOUR } from '../../test/readings.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { Random } from '../models/random.ts';
import { pipelineConfig } from '../pipelines/pipeline-config.ts';
import { topicSpecs } from '../pipelines/topics.ts';
import { type BacktestPeriod, backtest, backtestTable } from './backtest.ts';
import { type ImportedBucket, importHistory } from './history-import.ts';
import { readHistory } from './history-reader.ts';
import { lookAhead, type MakeSet } from './look-ahead.ts';
import { requestedSet } from './training-job.ts';

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
  const one = { device: 'd', quantity: 'q', start, interval: HOUR, values, counts, segments: 1, revision: 0 };
  const at = start + 300 * HOUR;
  const split = { trainEnd: at, validationEnd: at, testEnd: start + 400 * HOUR };
  const honest: MakeSet = (history) => requestedSet(history, windows, { scaler: 'fixed', split });

  it('is not found in the sets of a backtest', () => {
    expect(lookAhead([one], at, HOUR, honest)).toBeUndefined();
    const rolling: MakeSet = (history) => requestedSet(history, windows, { scaler: 'rolling', split });
    expect(lookAhead([one], at + 50 * HOUR, HOUR, rolling)).toBeUndefined();
  });

  it('is caught where it is planted: in the scaler, in the inputs', () => {
    // The scale fitted on all rows, as where the whole table is standardised before it is divided.
    const scaler: MakeSet = (history) =>
      requestedSet(history, windows, { scaler: 'fixed', split: { ...split, trainEnd: split.testEnd } });
    expect(lookAhead([one], at, HOUR, scaler)).toMatch(/the mean of the window of d\/q/);
    // Values smoothed over the bucket before and after.
    const smooth: MakeSet = (history) =>
      honest(
        history.map((each) => ({
          ...each,
          values: each.values.map((value, i, all) => ((all[i - 1] ?? value) + value + (all[i + 1] ?? value)) / 3),
        })),
      );
    expect(lookAhead([one], at - HOUR, HOUR, smooth)).toMatch(/of the window of d\/q with origin/);
  });
});
