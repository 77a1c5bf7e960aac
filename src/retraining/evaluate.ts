import { eachForecast, type Forecaster } from '../models/metrics.ts';
import { lastValue, seasonalNaive } from '../models/naive.ts';
import type { WindowIndex } from '../models/trainer.ts';
import { LAST_VALUE, SEASONAL_NAIVE } from '../operators/baselines.ts';
import { scaleOf } from '../operators/items.ts';
import type { DataSet } from './data-set.ts';

/** Errors of one forecaster, on values standardised with each series' deviation over its training rows. */
export interface ErrorRow {
  readonly name: string;
  readonly mse: number;
  readonly mae: number;
  /** Mean absolute error over the newer half of each series' windows; not there in evaluations of older versions. */
  readonly recentMae?: number;
  /** By horizon step; NaN where nothing was measured. */
  readonly maeByStep: readonly number[];
  /** Labels that counted. */
  readonly labels: number;
  /** By series key, where asked for. */
  readonly maeBySeries?: Readonly<Record<string, number>>;
}

export interface Evaluation {
  readonly windows: number;
  /** The models first, then last value and seasonal naive. */
  readonly rows: readonly ErrorRow[];
}

export type Part = 'train' | 'validation' | 'test';

/**
 * Errors of models and naive forecasts over all windows of a part. Whatever a model's own scaler is, errors are in
 * deviations of the training rows: tables of different models and the published ones can be compared.
 */
export function evaluate(
  set: DataSet,
  part: Part,
  models: ReadonlyMap<string, Forecaster> = new Map(),
  { bySeries = false } = {},
): Evaluation {
  const index = set[part];
  const rows = [...models].map(([name, forecast]) => errorRow(name, set, index, forecast, bySeries));
  rows.push(errorRow(LAST_VALUE, set, index, (batch, out) => lastValue(set.shape, batch, out), bySeries));
  rows.push(errorRow(SEASONAL_NAIVE, set, index, (batch, out) => seasonalNaive(set.shape, batch, out), bySeries));
  return { windows: index.starts.length, rows };
}

export function isNaive({ name }: ErrorRow): boolean {
  return name === LAST_VALUE || name === SEASONAL_NAIVE;
}

/** The better of the naive forecasts, by mean absolute error. */
export function bestNaive({ rows }: Evaluation): ErrorRow {
  return rows.filter(isNaive).reduce((best, row) => (row.mae < best.mae ? row : best));
}

/** As lines of text with aligned columns. */
export function evaluationTable({ windows, rows }: Evaluation): string {
  const cells = [['forecast', 'MSE', 'MAE'], ...rows.map((row) => [row.name, row.mse.toFixed(4), row.mae.toFixed(4)])];
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map(([name, ...numbers]) =>
    [name!.padEnd(widths[0]!), ...numbers.map((text, i) => text.padStart(widths[i + 1]!))].join('  '),
  );
  return [...lines, `${windows} windows, standardised by each series' deviation over the training rows`].join('\n');
}

function errorRow(name: string, set: DataSet, index: WindowIndex, forecast: Forecaster, bySeries: boolean): ErrorRow {
  const series = bySeries ? seriesOf(set, index) : [];
  const sums = new Map<string, { error: number; count: number }>();
  const { horizon } = set.shape;
  const units = unitsOf(set, index);
  const squares = new Float64Array(horizon);
  const absolutes = new Float64Array(horizon);
  const counts = new Float64Array(horizon);
  const newer = newerHalf(set, index);
  let [recent, recentLabels] = [0, 0];
  eachForecast(set, index, forecast, (window, step, error) => {
    const scaled = error * units[window]!;
    squares[step]! += scaled * scaled;
    absolutes[step]! += Math.abs(scaled);
    counts[step]! += 1;
    if (newer[window] === 1) {
      recent += Math.abs(scaled);
      recentLabels++;
    }
    if (!bySeries) return;
    const held = sums.get(series[window]!) ?? { error: 0, count: 0 };
    held.error += Math.abs(scaled);
    held.count++;
    sums.set(series[window]!, held);
  });
  const total = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);
  const labels = total(counts);
  return {
    name,
    mse: total(squares) / labels,
    mae: total(absolutes) / labels,
    ...(recentLabels === 0 ? {} : { recentMae: recent / recentLabels }),
    maeByStep: Array.from(absolutes, (sum, i) => sum / counts[i]!),
    labels,
    ...(bySeries
      ? { maeBySeries: Object.fromEntries([...sums].map(([key, { error, count }]) => [key, error / count])) }
      : {}),
  };
}

/** 1 for the windows of the newer half of each series. */
function newerHalf(set: DataSet, { starts }: WindowIndex): Uint8Array {
  const newer = new Uint8Array(starts.length);
  for (let from = 0, run = 0; from < starts.length; ) {
    while (starts[from]! >= set.runs[run]!.to) run++;
    let to = from;
    while (to < starts.length && starts[to]! < set.runs[run]!.to) to++;
    newer.fill(1, from + ((to - from) >> 1), to);
    from = to;
  }
  return newer;
}

/** By window: its own deviation in deviations of its series' training rows. */
function unitsOf(set: DataSet, index: WindowIndex): Float64Array {
  let run = 0;
  return Float64Array.from(index.starts, (start, window) => {
    while (start >= set.runs[run]!.to) run++;
    const { deviation } = set.units.get(set.runs[run]!.series)!;
    return scaleOf(index.deviations[window]!) / scaleOf(deviation);
  });
}

/** By window: the key of its series. */
function seriesOf(set: DataSet, index: WindowIndex): string[] {
  let run = 0;
  return Array.from(index.starts, (start) => {
    while (start >= set.runs[run]!.to) run++;
    return set.runs[run]!.series;
  });
}
