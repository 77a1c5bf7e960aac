import { FleetcastError } from '../errors.ts';
import { splitSeriesKey } from '../events/records.ts';
import { LAST_VALUE, SEASONAL_NAIVE } from '../operators/baselines.ts';
import { scoredSteps } from '../operators/interval.ts';
import type { ServedModel } from '../operators/served-model.ts';
import type { Borders } from './data-set.ts';
import { bestNaive, type ErrorRow, evaluate } from './evaluate.ts';
import { judgeHoldOut } from './gate.ts';
import { MOST_BUCKETS } from './history-bound.ts';
import { gridLength } from './history-grid.ts';
import { leftOutOf, leftOutText } from './history-reader.ts';
import { lookAhead, segmentsWithOtherFuture, withOtherFuture } from './look-ahead.ts';
import type { Desk } from './publisher.ts';
import { textTable } from './text-table.ts';
import { newRequest, type RequestOptions, requestedSegments, trainRequest } from './train.ts';
import { jobHistory, requestedSet, type TrainingHooks, type WindowSettings } from './training-job.ts';

export interface BacktestOptions extends Omit<Desk, 'publish'>, TrainingHooks {
  readonly windows: WindowSettings;
  /** What each training is asked for with; its split is the backtest's. */
  readonly request?: Omit<RequestOptions, 'split' | 'from' | 'to'>;
  /** Event time of the first training: what is before it is all that it knows. */
  readonly start: number;
  /** Event time at which it ends; at the latest where the history does. */
  readonly end: number;
  /** Buckets between trainings. */
  readonly every: number;
  /** Buckets before each training that are held out to judge it, as the learner would. */
  readonly holdOut: number;
  readonly onPeriod?: (period: BacktestPeriod) => void;
}

export interface BacktestPeriod {
  readonly from: number;
  readonly to: number;
  readonly windows: number;
  /**
   * `loop` (retrained, and taken only where the learner's first gate lets it through; naive forecasts before that), `once`
   * (the first model), the naive forecasts.
   */
  readonly rows: readonly ErrorRow[];
  /** Whether the loop took the model that was trained before this period. */
  readonly replaced: boolean;
}

export interface Backtest {
  readonly periods: readonly BacktestPeriod[];
  /** Over all periods, weighted by labels. */
  readonly total: readonly ErrorRow[];
  /** Measured buckets that are too old for it to hold, see `LONGEST_GRID`. */
  readonly leftOut: number;
}

export const LOOP = 'loop';
export const ONCE = 'once';

/**
 * Rolling-origin evaluation with retraining as it would have happened live: at every step a model is trained on what had
 * closed by then, judged by the learner's first gate on the newest part of it, and what serves is scored on the period
 * that follows. What the learner does on the stream after that (trials in shadow, roll-backs) is left out, and so is the
 * guard that forecasts naively where a model does worse. Nothing of a period, and nothing after it, is known to the models that forecast it: each period checks that
 * training windows and inputs stay the same where the future is another one.
 * @throws BACKTEST_LEAK, TRAINING_TOO_LITTLE_DATA where the first training is impossible
 */
export async function backtest(options: BacktestOptions): Promise<Backtest> {
  const { windows, start, every } = options;
  const { interval } = windows;
  const request = await newRequest(options, {
    ...options.request,
    // Each period needs what was old by the end of them all.
    bound: { buckets: options.request?.bound?.buckets ?? MOST_BUCKETS, least: Number.POSITIVE_INFINITY },
    reason: 'backtest',
  });
  const segments = await requestedSegments(options, request, options.signal);
  const history = jobHistory({ history: segments, request }).series;
  const last = history.reduce((newest, one) => Math.max(newest, one.start + gridLength(one) * interval), 0);
  const end = Math.min(options.end, last);
  if (start >= end) throw nothingBehind(start, end, last);
  const periods: BacktestPeriod[] = [];
  let once: ServedModel | undefined;
  let loop: ServedModel | undefined;
  for (let at = start; at < end; at += every * interval) {
    options.signal?.throwIfAborted();
    const split: Borders = {
      trainEnd: at - 2 * options.holdOut * interval,
      validationEnd: at - options.holdOut * interval,
      testEnd: at,
    };
    // `to` keeps everything from `at` on out of the training's reach, whatever the split says.
    const known = { ...request, split, to: at };
    const trained = await trainRequest(options, windows, known, options, { champion: loop, ridgeBeside: true });
    once ??= trained;
    const replaced = judgeHoldOut(trained.evaluation).accept;
    if (replaced) loop = trained;
    const naive = bestNaive(trained.evaluation).name;

    const to = Math.min(end, at + every * interval);
    const live = {
      scaler: 'rolling',
      split: { trainEnd: at, validationEnd: at, testEnd: to },
      settings: request.settings,
    } as const;
    const judge = (name: string, served: ServedModel) => {
      const forecast = served.model.forecast.bind(served.model);
      const set = requestedSet(history, windows, live, served);
      return evaluate(set, 'test', new Map([[name, forecast]]), { bySeries: true });
    };
    const forged = { ...segments, values: await segmentsWithOtherFuture(segments.values, at) };
    const later = at + Math.floor((to - at) / interval / 2) * interval;
    const leak =
      lookAhead(segments, forged, at, interval, (all) =>
        requestedSet(jobHistory({ history: all, request: known }).series, windows, known),
      ) ??
      lookAhead(history, withOtherFuture(history, later), later, interval, (all) =>
        requestedSet(all, windows, live, loop ?? once),
      );
    if (leak !== undefined) throw new FleetcastError('BACKTEST_LEAK', leak);
    const first = judge(ONCE, once);
    const { windows: count, rows } = loop === undefined ? first : judge(LOOP, loop);
    // Without a model that was good enough, what was the better naive forecast by then serves.
    const served = loop === undefined ? { ...rows.find(({ name }) => name === naive)!, name: LOOP } : rows[0]!;
    const period = {
      from: at,
      to,
      windows: count,
      rows: [served, first.rows[0]!, ...rows.slice(1)],
      replaced,
    };
    periods.push(period);
    options.onPeriod?.(period);
  }
  return { periods, total: totals(periods), leftOut: leftOutOf(history) };
}

function nothingBehind(start: number, end: number, last: number): FleetcastError {
  const text = (time: number): string => new Date(time).toISOString();
  const why = last === 0 ? 'there is no history' : `the history ends at ${text(last)}`;
  const until = end < last ? `, and the end is set to ${text(end)}` : '';
  return new FleetcastError('TRAINING_TOO_LITTLE_DATA', `nothing to forecast from ${text(start)} on: ${why}${until}`);
}

/** As lines of text: mean absolute error over all periods by horizon step (the scored ones) and by device. */
export function backtestDetails({ total }: Backtest): string {
  const names = [LOOP, ONCE, LAST_VALUE, SEASONAL_NAIVE];
  const number = (value: number | undefined): string => (value ?? Number.NaN).toFixed(4);
  const rows = names.map((name) => total.find((row) => row.name === name));
  const horizon = rows[0]?.maeByStep.length ?? 0;
  const steps = scoredSteps(horizon).map((step) => [
    String(step),
    ...rows.map((row) => number(row?.maeByStep[step - 1])),
  ]);
  const devices = devicesOf(total).map((device) => [
    device,
    ...rows.map((row) => number(row && deviceError(row, device))),
  ]);
  return `${textTable(['step', ...names], steps)}\n\n${textTable(['device', ...names], devices)}`;
}

export function devicesOf(rows: readonly ErrorRow[]): string[] {
  const keys = Object.keys(rows[0]?.maeBySeries ?? {});
  return [...new Set(keys.map((key) => splitSeriesKey(key).device))].sort();
}

/** Mean over the series of a device. */
export function deviceError({ maeBySeries = {} }: ErrorRow, device: string): number {
  const own = Object.entries(maeBySeries).filter(([key]) => splitSeriesKey(key).device === device);
  return own.reduce((sum, [, error]) => sum + error, 0) / own.length;
}

/** As lines of text: mean absolute error by period. */
export function backtestTable({ periods, total, leftOut }: Backtest): string {
  const names = [LOOP, ONCE, LAST_VALUE, SEASONAL_NAIVE];
  const cells = (label: string, rows: readonly ErrorRow[], note: string): string =>
    [label.padEnd(10), ...names.map((name) => find(rows, name).toFixed(4).padStart(15)), note].join(' ').trimEnd();
  return [
    ['from'.padEnd(10), ...names.map((name) => name.padStart(15))].join(' '),
    ...periods.map(({ from, rows, replaced }) =>
      cells(new Date(from).toISOString().slice(0, 10), rows, replaced ? '' : 'kept the old model'),
    ),
    cells('all', total, ''),
    'mean absolute error by period, in deviations of each series over the rows before the period',
    'a new model serves as soon as the gate on the hold-out lets it; live it would first stand a trial in shadow, could be rolled back, and the guard would forecast naively where it does worse: none of that is part of these numbers',
    ...(leftOut === 0 ? [] : [leftOutText(leftOut)]),
  ].join('\n');
}

function find(rows: readonly ErrorRow[], name: string): number {
  return rows.find((row) => row.name === name)?.mae ?? Number.NaN;
}

function totals(periods: readonly BacktestPeriod[]): ErrorRow[] {
  const names = periods[0]?.rows.map(({ name }) => name) ?? [];
  return names.map((name) => {
    const rows = periods.flatMap((period) => period.rows.filter((row) => row.name === name && row.labels > 0));
    const labels = rows.reduce((sum, row) => sum + row.labels, 0);
    const mean = (value: (row: ErrorRow) => number): number =>
      rows.reduce((sum, row) => sum + value(row) * row.labels, 0) / labels;
    const steps = rows[0]?.maeByStep.length ?? 0;
    return {
      name,
      labels,
      mse: mean((row) => row.mse),
      mae: mean((row) => row.mae),
      maeByStep: Array.from({ length: steps }, (_, h) => mean((row) => row.maeByStep[h]!)),
      maeBySeries: Object.fromEntries(
        Object.keys(rows[0]?.maeBySeries ?? {}).map((key) => [key, mean((row) => row.maeBySeries?.[key] ?? 0)]),
      ),
    };
  });
}
