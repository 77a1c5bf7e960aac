import { readFileSync } from 'node:fs';
import type { WindowShape } from '../../src/models/model.ts';
import { Random } from '../../src/models/random.ts';
import type { TrainingSet, WindowIndex } from '../../src/models/trainer.ts';

/** Series as columns, and how rows are split: windows whose labels lie in [from, to) belong to a part. */
export interface SplitSeries {
  readonly series: readonly Float64Array[];
  readonly trainEnd: number;
  readonly validationEnd: number;
  readonly testEnd: number;
}

export interface SplitSet extends TrainingSet {
  readonly test: WindowIndex;
}

/**
 * The ETT protocol: every column standardised with mean and deviation of its training rows; windows of validation and
 * test may look back across their border; stride 1.
 */
export function protocolSet(data: SplitSeries, shape: WindowShape): SplitSet {
  const rows = data.testEnd;
  const values = new Float64Array(data.series.length * rows);
  const means: number[] = [];
  const deviations: number[] = [];
  data.series.forEach((series, column) => {
    values.set(series.subarray(0, rows), column * rows);
    const train = series.subarray(0, data.trainEnd);
    const mean = train.reduce((sum, v) => sum + v, 0) / train.length;
    means.push(mean);
    deviations.push(Math.sqrt(train.reduce((sum, v) => sum + (v - mean) ** 2, 0) / train.length));
  });
  const { lookback, horizon } = shape;
  const index = (from: number, to: number): WindowIndex => {
    const starts: number[] = [];
    const windowMeans: number[] = [];
    const windowDeviations: number[] = [];
    for (let s = Math.max(0, from - lookback); s + lookback + horizon <= to; s++) {
      for (let column = 0; column < data.series.length; column++) {
        starts.push(column * rows + s);
        windowMeans.push(means[column]!);
        windowDeviations.push(deviations[column]!);
      }
    }
    return {
      starts: Int32Array.from(starts),
      means: Float64Array.from(windowMeans),
      deviations: Float64Array.from(windowDeviations),
    };
  };
  return {
    shape,
    values,
    measured: new Uint8Array(values.length).fill(1),
    train: index(lookback, data.trainEnd),
    validation: index(data.trainEnd, data.validationEnd),
    test: index(data.validationEnd, data.testEnd),
  };
}

/** ETTh1 with the borders of its protocol. */
export function etth1(file: string): SplitSeries {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n').slice(1, 14_401);
  const series = Array.from({ length: 7 }, () => new Float64Array(lines.length));
  lines.forEach((line, row) => {
    line.split(',').forEach((cell, column) => {
      if (column > 0) series[column - 1]![row] = Number(cell);
    });
  });
  return { series, trainEnd: 8640, validationEnd: 11_520, testEnd: 14_400 };
}

/** Hourly series with a daily cycle whose height and phase differ, a slow drift, and noise. */
export function simulatedSeries(count: number, rows: number, seed: number): SplitSeries {
  const random = new Random(seed);
  const series = Array.from({ length: count }, () => {
    const height = 1 + random.uniform() * 3;
    const phase = random.uniform() * 24;
    let drift = 0;
    return Float64Array.from({ length: rows }, (_, t) => {
      drift = 0.98 * drift + 0.15 * random.normal();
      return 20 + height * Math.sin(((t + phase) * Math.PI) / 12) + drift + 0.1 * random.normal();
    });
  });
  return { series, trainEnd: Math.floor(rows * 0.7), validationEnd: Math.floor(rows * 0.85), testEnd: rows };
}
