import { setImmediate as breath } from 'node:timers/promises';
import { decode, encodeRecord } from '../events/codec.ts';
import type { HistorySegment } from '../events/records.ts';
import type { WindowIndex, WindowInputs } from '../models/trainer.ts';
import type { DataSet } from './data-set.ts';
import { eachMeasured } from './history-grid.ts';
import type { HistorySeries } from './history-reader.ts';

/** How a data set is made from a history. */
export type MakeSet<History> = (history: History) => DataSet;

/**
 * Whether anything that was to be known at `at` depends on what came later: the set is made a second time from a history
 * whose buckets from `at` on hold other values ({@link withOtherFuture}, {@link segmentsWithOtherFuture}). Of every window
 * with its origin at or before `at`, the inputs, the further inputs, the scale, and the labels before `at` must then be
 * the same bits.
 * @returns the first difference in words, or undefined
 */
export function lookAhead<History>(
  history: History,
  forged: History,
  at: number,
  interval: number,
  make: MakeSet<History>,
): string | undefined {
  const set = make(history);
  const other = make(forged);
  for (const part of ['train', 'validation', 'test'] as const) {
    const found = firstDifference(set, other, set[part], other[part], at, interval);
    if (found !== undefined) return `${part}: ${found}`;
  }
  return undefined;
}

/** The series with other values from `at` on. */
export function withOtherFuture(history: readonly HistorySeries[], at: number): HistorySeries[] {
  return history.map((one) => {
    const values = one.values.slice();
    eachMeasured(one, (value, place, index) => {
      values[index] = forge(value, one.start + place * one.interval, at, place);
    });
    return { ...one, values };
  });
}

/** The same for segments as they lie on the log, which is where a training begins. Lets others have the thread. */
export async function segmentsWithOtherFuture(values: readonly Uint8Array[], at: number): Promise<Uint8Array[]> {
  const forged: Uint8Array[] = [];
  for (const [n, value] of values.entries()) {
    const segment = decode<HistorySegment>('HistorySegment', value);
    const { start, interval } = segment;
    const end = start + segment.values.length * interval;
    const others = segment.values.map((each, i) => forge(each, start + i * interval, at, i));
    forged.push(end <= at ? value : encodeRecord({ ...segment, type: 'HistorySegment', values: others }));
    if (n % 500 === 499) await breath();
  }
  return forged;
}

function forge(value: number, start: number, at: number, i: number): number {
  return start < at || Number.isNaN(value) ? value : 1e6 - 3 * value + i;
}

function firstDifference(
  set: DataSet,
  other: DataSet,
  index: WindowIndex,
  again: WindowIndex,
  at: number,
  interval: number,
): string | undefined {
  const { lookback, horizon } = set.shape;
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
    for (let i = start + lookback; i < start + lookback + horizon; i++) {
      if (time + (i - from) * interval >= at) break;
      const same = Object.is(set.values[i], other.values[i]) && set.measured[i] === other.measured[i];
      if (!same) return `a label of ${name}`;
    }
    const further = inputDifference(set, other, index.inputs, again.inputs, window);
    if (further !== undefined) return `${further} of ${name}`;
  }
  return undefined;
}

/** The windows of other quantities that a window has beside its own. */
function inputDifference(
  set: DataSet,
  other: DataSet,
  inputs: WindowInputs | undefined,
  again: WindowInputs | undefined,
  window: number,
): string | undefined {
  if (inputs === undefined || again === undefined) return inputs === again ? undefined : 'the further inputs';
  const { lookback } = set.shape;
  const quantities = inputs.starts.length / inputs.origins.length;
  for (let i = window * quantities; i < (window + 1) * quantities; i++) {
    const start = inputs.starts[i]!;
    if (again.starts[i] !== start) return 'the place of a further input';
    if (!Object.is(inputs.means[i], again.means[i])) return 'the mean of a further input';
    if (!Object.is(inputs.deviations[i], again.deviations[i])) return 'the deviation of a further input';
    if (start < 0) continue;
    for (let k = start; k < start + lookback; k++) {
      if (!Object.is(set.values[k], other.values[k])) return 'a further input';
    }
  }
  return undefined;
}
