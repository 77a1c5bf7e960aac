import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dataFile } from '../../test/data-folder.ts';
import { HOUR } from '../../test/readings.ts';
import { Random } from '../models/random.ts';
import type { Bucket, SeriesWindow } from '../operators/items.ts';
import { Normalise } from '../operators/normalise.ts';
import { TopologyBuilder } from '../topology/builder.ts';
import { TopologyTestDriver } from '../topology/test-driver.ts';
import { buildDataSet, type DataSetOptions } from './data-set.ts';
import { bestNaive, evaluate, evaluationTable } from './evaluate.ts';
import type { HistorySeries } from './history-reader.ts';

const T0 = Date.UTC(2026, 0, 1);
const options: DataSetOptions = {
  shape: { lookback: 6, horizon: 3, season: 3 },
  interval: HOUR,
  scaleLength: 10,
  minMeasured: 0.5,
  scaler: 'rolling',
  split: { train: 0.6, validation: 0.2 },
};

function series(values: number[], quantity = 'q', start = T0): HistorySeries {
  const counts = new Int32Array(values.length).fill(1);
  return {
    device: 'd',
    quantity,
    start,
    interval: HOUR,
    values: Float64Array.from(values),
    counts,
    gaps: [],
    leftOut: 0,
    segments: 1,
    revision: 0,
  };
}

describe('data set', () => {
  it('has windows exactly as the stream has them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 4, arbitrary: fc.integer({ min: -9, max: 9 }) }, fc.constant(Number.NaN)), {
          minLength: 40,
          maxLength: 90,
        }),
        fc.integer({ min: 0, max: 14 }),
        (values, gap) => {
          values.splice(20, 0, ...new Array<number>(gap).fill(Number.NaN));
          values[0] = 1;
          values[values.length - 1] = 1;
          const split = { trainEnd: T0 + 1e12, validationEnd: T0 + 1e12, testEnd: T0 + 1e12 };
          let set: ReturnType<typeof buildDataSet>;
          try {
            set = buildDataSet([series(values)], { ...options, split });
          } catch {
            return;
          }
          const builder = new TopologyBuilder('t');
          builder
            .source<Bucket>('buckets', { topic: 'b', codec: { decode: () => ({ kind: 'skip', reason: '' }) } })
            .process('normalise', () => new Normalise({ interval: HOUR, lookback: 6, scaleLength: 10 }))
            .sink('windows', { topic: 'w', encode: () => ({ key: null, value: null }) });
          const driver = new TopologyTestDriver(builder.build());
          values.forEach((value, i) => {
            if (Number.isNaN(value)) return;
            const start = T0 + i * HOUR;
            driver.pipe('buckets', 'd', { kind: 'closed', quantity: 'q', start, value, count: 1 }, start, start);
          });
          const served = new Map(
            driver
              .values<SeriesWindow>('windows')
              .filter((window) => window.values.length === 6 && window.measured >= 3)
              .map((window) => [window.origin, window]),
          );
          expect(set.train.starts.length).toBeGreaterThan(0);
          set.train.starts.forEach((start, i) => {
            const run = set.runs.find(({ from, to }) => from <= start && start < to)!;
            const origin = run.start + (start - run.from + 6) * HOUR;
            const window = served.get(origin)!;
            expect(Array.from(set.values.subarray(start, start + 6))).toEqual(Array.from(window.values));
            expect([set.train.means[i], set.train.deviations[i]]).toEqual([window.mean, window.deviation]);
            expect(start + 6 + 3).toBeLessThanOrEqual(run.to);
          });
        },
      ),
      { numRuns: 60 },
    );
  });

  it('lets no label of one part reach into another', () => {
    const random = new Random(1);
    const set = buildDataSet(
      [
        series(Array.from({ length: 100 }, () => random.normal())),
        series(
          Array.from({ length: 60 }, () => 1),
          'late',
          T0 + 40 * HOUR,
        ),
      ],
      options,
    );
    const { trainEnd, validationEnd, testEnd } = set.borders;
    const spans = (part: 'train' | 'validation' | 'test') =>
      Array.from(set[part].starts, (start) => {
        const run = set.runs.find(({ from, to }) => from <= start && start < to)!;
        return run.start + (start - run.from + 6) * HOUR;
      });
    expect(Math.max(...spans('train')) + 3 * HOUR).toBeLessThanOrEqual(trainEnd);
    expect(Math.min(...spans('validation'))).toBeGreaterThanOrEqual(trainEnd);
    expect(Math.max(...spans('validation')) + 3 * HOUR).toBeLessThanOrEqual(validationEnd);
    expect(Math.min(...spans('test'))).toBeGreaterThanOrEqual(validationEnd);
    expect(Math.max(...spans('test')) + 3 * HOUR).toBeLessThanOrEqual(testEnd);
  });

  it('fits a fixed scaler on training rows alone, and leaves constant and new series to the rolling one', () => {
    const rising = Array.from({ length: 100 }, (_, i) => (i < 50 ? i % 5 : 1000));
    const split = { trainEnd: T0 + 50 * HOUR, validationEnd: T0 + 70 * HOUR, testEnd: T0 + 100 * HOUR };
    const set = buildDataSet(
      [series(rising), series(new Array<number>(100).fill(3), 'stuck'), series([1, 2, 3], 'new', T0 + 60 * HOUR)],
      { ...options, scaler: 'fixed', split },
    );
    expect([...set.scaler.series]).toEqual([['d/q', { mean: 2, deviation: Math.sqrt(2) }]]);
    expect(new Set(set.test.means)).toEqual(new Set([2, 3]));
  });

  it('says when there is too little', () => {
    expect(() => buildDataSet([series([1, 2, 3, 4, 5, 6, 7, 8])], options)).toThrow(
      expect.objectContaining({ code: 'TRAINING_TOO_LITTLE_DATA' }),
    );
  });

  it('needs nothing to train on for a model that exists, such as one from Keras', () => {
    const split = { trainEnd: 0, validationEnd: 0, testEnd: T0 + 100 * HOUR };
    const all = [series(Array.from({ length: 100 }, (_, i) => i % 7))];
    const set = buildDataSet(all, { ...options, split, fixedScales: new Map() });
    expect([set.train.starts.length, set.test.starts.length > 0]).toEqual([0, true]);
    const none = { ...split, testEnd: 0 };
    expect(() => buildDataSet(all, { ...options, split: none, fixedScales: new Map() })).toThrow('no window of');
  });

  const etth1 = dataFile('ett/ETTh1.csv');
  it.skipIf(etth1 === undefined)('gives the published errors of the naive forecasts on ETTh1', () => {
    const [head, ...lines] = readFileSync(etth1!, 'utf8').trim().split('\n');
    const columns = head!.trim().split(',').slice(1);
    const all = columns.map((quantity, c) =>
      series(
        lines.map((line) => Number(line.split(',')[c + 1])),
        quantity,
      ),
    );
    const day = 24 * HOUR;
    const set = buildDataSet(all, {
      ...options,
      shape: { lookback: 96, horizon: 24, season: 24 },
      scaleLength: 168,
      scaler: 'fixed',
      split: { trainEnd: T0 + 360 * day, validationEnd: T0 + 480 * day, testEnd: T0 + 600 * day },
    });
    const evaluation = evaluate(set, 'test');
    expect(evaluation.windows).toBe(7 * (2880 - 23));
    expect(evaluation.rows.map(({ name, mse, mae }) => [name, mse.toFixed(3), mae.toFixed(3)])).toEqual([
      ['last-value', '1.222', '0.671'],
      ['seasonal-naive', '0.424', '0.389'],
    ]);
    expect(bestNaive(evaluation).name).toBe('seasonal-naive');
    expect(evaluationTable(evaluation).split('\n')[2]).toBe('seasonal-naive  0.4244  0.3892');
  });
});
