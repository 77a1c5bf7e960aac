import type { WindowIndex } from '../models/trainer.ts';
import type { DataSet } from './data-set.ts';
import type { HistorySeries } from './history-reader.ts';

/** How a data set is made from a history. */
export type MakeSet = (history: readonly HistorySeries[]) => DataSet;

/**
 * Whether anything that was to be known at `at` depends on what came later: the set is made a second time from a history
 * whose buckets from `at` on hold other values. Labels before `at`, and of every window with its origin at or before `at`
 * the inputs and the scale, must then be the same bits.
 * @returns the first difference in words, or undefined
 */
export function lookAhead(
  history: readonly HistorySeries[],
  at: number,
  interval: number,
  make: MakeSet,
): string | undefined {
  const set = make(history);
  const other = make(history.map((one) => withOtherFuture(one, at)));
  for (const part of ['train', 'validation', 'test'] as const) {
    const found = firstDifference(set, other, set[part], other[part], at, interval);
    if (found !== undefined) return `${part}: ${found}`;
  }
  return undefined;
}

function withOtherFuture(one: HistorySeries, at: number): HistorySeries {
  const from = Math.max(0, Math.ceil((at - one.start) / one.interval));
  return {
    ...one,
    values: one.values.map((value, i) => (i < from || Number.isNaN(value) ? value : 1e6 - 3 * value + i)),
  };
}

function firstDifference(
  set: DataSet,
  other: DataSet,
  index: WindowIndex,
  again: WindowIndex,
  at: number,
  interval: number,
): string | undefined {
  const { lookback } = set.shape;
  let run = 0;
  for (let window = 0; window < index.starts.length; window++) {
    const start = index.starts[window]!;
    while (start >= set.runs[run]!.to) run++;
    const { from, start: time, series } = set.runs[run]!;
    const origin = time + (start - from + lookback) * interval;
    if (origin > at) continue;
    const name = `the window of ${series} with origin ${new Date(origin).toISOString()}`;
    if (again.starts[window] !== start) return `${name} lies elsewhere`;
    if (!Object.is(index.means[window], again.means[window])) return `the mean of ${name}`;
    if (!Object.is(index.deviations[window], again.deviations[window])) return `the deviation of ${name}`;
    for (let i = start; i < start + lookback; i++) {
      if (!Object.is(set.values[i], other.values[i])) return `an input of ${name}`;
    }
  }
  return undefined;
}
