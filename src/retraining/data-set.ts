import { FleetcastError } from '../errors.ts';
import { seriesKey } from '../events/records.ts';
import { readInputs } from '../models/inputs/spec.ts';
import type { Scaler, WindowShape } from '../models/model.ts';
import type { TrainingSet, WindowIndex } from '../models/trainer.ts';
import { ANY_SERIES } from '../operators/forecast.ts';
import type { Statics } from '../operators/input-rows.ts';
import { SeriesBlocks } from '../operators/series-blocks.ts';
import { ringLayout, type Scale, WindowRing } from '../operators/window-ring.ts';
import { eachMeasured, indexOf } from './history-grid.ts';
import type { HistorySeries } from './history-reader.ts';
import { InputFinder } from './input-finder.ts';

/**
 * Event times, milliseconds. Training labels lie before `trainEnd`, validation labels from there to `validationEnd`, test
 * labels after it and before `testEnd`. Windows may look back across a border, labels never reach over one: the windows
 * between are left out, a gap of the horizon.
 */
export interface Borders {
  readonly trainEnd: number;
  readonly validationEnd: number;
  readonly testEnd: number;
}

export interface DataSetOptions {
  readonly shape: WindowShape;
  readonly interval: number;
  readonly scaleLength: number;
  readonly minMeasured: number;
  readonly scaler: Scaler['kind'];
  /** Scales of a model that exists, instead of fitting them. */
  readonly fixedScales?: ReadonlyMap<string, Scale>;
  /** What the model sees beside its own series, see `writeInputs`; statics without a scale get that of these devices. */
  readonly inputs?: string;
  /** Statics by device and name. */
  readonly statics?: Statics;
  /** Borders, or the shares of all buckets in time order that go to training and validation. */
  readonly split: Borders | { readonly train: number; readonly validation: number };
}

/** A stretch of one series in `values`. */
export interface SeriesRun {
  /** Series key. */
  readonly series: string;
  /** First index in `values`, and the index after the last. */
  readonly from: number;
  readonly to: number;
  /** Start of the first bucket. */
  readonly start: number;
}

export interface DataSet extends TrainingSet {
  readonly test: WindowIndex;
  readonly runs: readonly SeriesRun[];
  readonly borders: Borders;
  readonly scaler: Scaler;
  /** What errors are reported in: the scale of each series' training rows, or of all its rows where it has none there. */
  readonly units: ReadonlyMap<string, Scale>;
}

/**
 * Makes windows from history with the ring that serves the stream: the same fill of gaps, the same mean and deviation as
 * of each origin, the same condition on what was measured. Chronological split; nothing of a window depends on what came
 * after its origin, but for the `fixed` scaler, which is fitted on the training rows alone.
 * @throws TRAINING_TOO_LITTLE_DATA where there is no window to train on, or, of a model that exists, none at all
 */
export function buildDataSet(series: readonly HistorySeries[], options: DataSetOptions): DataSet {
  const { shape, interval } = options;
  const usable = series.filter((one) => one.interval === interval);
  const borders = 'trainEnd' in options.split ? options.split : shares(usable, options.split);
  const fixed = new Map<string, Scale>();
  const units = new Map<string, Scale>();
  const runs: SeriesRun[] = [];
  const window = { interval, lookback: shape.lookback, scaleLength: options.scaleLength };
  const layout = ringLayout(window);
  const ring = new WindowRing(window, layout);
  // What is missing is filled only where it is shorter than the ring.
  const filled = (one: HistorySeries) => one.gaps.reduce((sum, { empty }) => sum + Math.min(empty, layout.capacity), 0);
  const length = usable.reduce((sum, one) => sum + one.values.length + filled(one), 0);
  const values = new Float64Array(length);
  const measured = new Uint8Array(length);
  const inputs = readInputs(options.inputs ?? '');
  const parts = {
    train: new IndexDraft(inputs !== undefined),
    validation: new IndexDraft(inputs !== undefined),
    test: new IndexDraft(inputs !== undefined),
  };
  const targets = new Set(inputs?.targets ?? []);
  const finder = inputs === undefined ? undefined : new InputFinder(inputs, usable, options.statics ?? {});

  let end = 0;
  for (const one of usable) {
    const key = seriesKey(one.device, one.quantity);
    const fitted = options.scaler === 'fixed' ? fixedScale(one, borders.trainEnd, options.fixedScales) : undefined;
    if (fitted !== undefined) fixed.set(key, fitted);
    units.set(key, rowsScale(one, borders.trainEnd) ?? moments(one.values) ?? { mean: 0, deviation: 0 });
    const blocks = new SeriesBlocks(layout.bytes);
    blocks.add(one.quantity);
    const candidates: Candidate[] = [];
    let run: { from: number; start: number } | undefined;
    const finish = (): void => {
      if (run === undefined) return;
      runs.push({ series: key, from: run.from, to: end, start: run.start });
      const found = candidates.splice(0);
      const { from, start } = run;
      finder?.learn(one, found, (last) => start + (last - from) * interval, shape.lookback);
      if (targets.size > 0 && !targets.has(one.quantity)) return;
      place(found, run, end, shape, interval, borders, parts, one);
    };
    eachMeasured(one, (value, at) => {
      const start = one.start + at * interval;
      const missing = ring.push(blocks, 0, start, value);
      if (run === undefined || missing >= layout.capacity) {
        finish();
        run = { from: end, start };
      } else {
        values.fill(values[end - 1]!, end, end + missing);
        end += missing;
      }
      values[end] = value;
      measured[end] = 1;
      end++;
      if (ring.countOf(blocks, 0) < shape.lookback) return;
      if (ring.measured(blocks, 0, shape.lookback) < options.minMeasured * shape.lookback) return;
      candidates.push({ end, ...(fitted ?? ring.scale(blocks, 0)) });
    });
    finish();
  }
  const train = parts.train.done();
  const validation = parts.validation.done();
  const test = parts.test.done();
  // A model that exists may have been trained on something else altogether.
  const enough = options.fixedScales === undefined ? [train] : [train, validation, test];
  if (enough.every(({ starts }) => starts.length === 0)) {
    throw new FleetcastError(
      'TRAINING_TOO_LITTLE_DATA',
      `${usable.length} series with ${end} buckets give no window of ${shape.lookback} + ${shape.horizon} buckets`,
    );
  }
  const withInputs = (index: WindowIndex, draft: IndexDraft): WindowIndex =>
    finder === undefined ? index : { ...index, inputs: finder.find(draft.origins, draft.series) };
  return {
    shape,
    values: values.slice(0, end),
    measured: measured.slice(0, end),
    train: withInputs(train, parts.train),
    validation: withInputs(validation, parts.validation),
    test: withInputs(test, parts.test),
    ...(finder === undefined ? {} : { inputs: { text: finder.text, interval, statics: finder.statics } }),
    runs,
    borders,
    units,
    scaler: { kind: options.scaler, length: options.scaleLength, series: fixed },
  };
}

/** A window that ends before index `end`. */
interface Candidate {
  readonly end: number;
  readonly mean: number;
  readonly deviation: number;
}

/** Grows in typed arrays: an array of numbers takes several times as much, and there are millions of windows. */
class IndexDraft {
  #count = 0;
  #starts = new Int32Array(1024);
  #means = new Float64Array(1024);
  #deviations = new Float64Array(1024);
  /** Of each window, where inputs are asked for. */
  readonly origins: number[] = [];
  readonly series: HistorySeries[] = [];
  readonly #withInputs: boolean;

  constructor(withInputs: boolean) {
    this.#withInputs = withInputs;
  }

  add(start: number, mean: number, deviation: number, origin: number, series: HistorySeries): void {
    if (this.#withInputs) {
      this.origins.push(origin);
      this.series.push(series);
    }
    const at = this.#count++;
    if (at === this.#starts.length) {
      this.#starts = doubled(this.#starts, new Int32Array(2 * at));
      this.#means = doubled(this.#means, new Float64Array(2 * at));
      this.#deviations = doubled(this.#deviations, new Float64Array(2 * at));
    }
    this.#starts[at] = start;
    this.#means[at] = mean;
    this.#deviations[at] = deviation;
  }

  done(): WindowIndex {
    return {
      starts: this.#starts.slice(0, this.#count),
      means: this.#means.slice(0, this.#count),
      deviations: this.#deviations.slice(0, this.#count),
    };
  }
}

function doubled<A extends Int32Array | Float64Array>(old: A, larger: A): A {
  larger.set(old);
  return larger;
}

function place(
  candidates: readonly Candidate[],
  run: { readonly from: number; readonly start: number },
  end: number,
  shape: WindowShape,
  interval: number,
  borders: Borders,
  parts: { readonly train: IndexDraft; readonly validation: IndexDraft; readonly test: IndexDraft },
  series: HistorySeries,
): void {
  for (const candidate of candidates) {
    if (candidate.end + shape.horizon > end) return;
    const origin = run.start + (candidate.end - run.from) * interval;
    const labelEnd = origin + shape.horizon * interval;
    const start = candidate.end - shape.lookback;
    let part: IndexDraft;
    if (labelEnd <= borders.trainEnd) part = parts.train;
    else if (origin >= borders.trainEnd && labelEnd <= borders.validationEnd) part = parts.validation;
    else if (origin >= borders.validationEnd && labelEnd <= borders.testEnd) part = parts.test;
    else continue;
    part.add(start, candidate.mean, candidate.deviation, origin, series);
  }
}

/** Borders such that the given shares of all measured buckets lie before them. */
function shares(
  series: readonly HistorySeries[],
  { train, validation }: { readonly train: number; readonly validation: number },
): Borders {
  const counts = new Map<number, number>();
  let total = 0;
  let testEnd = 0;
  for (const one of series) {
    eachMeasured(one, (_value, at) => {
      const end = one.start + (at + 1) * one.interval;
      counts.set(end, (counts.get(end) ?? 0) + 1);
      testEnd = Math.max(testEnd, end);
      total++;
    });
  }
  let trainEnd = testEnd;
  let validationEnd = testEnd;
  let before = 0;
  for (const [end, count] of [...counts].sort(([a], [b]) => a - b)) {
    before += count;
    if (trainEnd === testEnd && before >= train * total) trainEnd = end;
    if (before >= (train + validation) * total) {
      validationEnd = end;
      break;
    }
  }
  return { trainEnd, validationEnd, testEnd };
}

/** Undefined for a series that was constant while it was measured: should it move, its rolling deviation tells more. */
function fixedScale(one: HistorySeries, trainEnd: number, given: DataSetOptions['fixedScales']): Scale | undefined {
  const scale =
    given === undefined
      ? rowsScale(one, trainEnd)
      : (given.get(seriesKey(one.device, one.quantity)) ?? given.get(ANY_SERIES));
  return scale !== undefined && scale.deviation > 0 ? scale : undefined;
}

/** Scale of the rows before `trainEnd`; undefined where there is none. */
function rowsScale(one: HistorySeries, trainEnd: number): Scale | undefined {
  const rows = indexOf(one, Math.floor((trainEnd - one.start) / one.interval));
  return moments(one.values.subarray(0, rows));
}

/** Population mean and deviation of what is not NaN. */
function moments(values: Float64Array): Scale | undefined {
  let count = 0;
  let sum = 0;
  const pivot = values.find((value) => !Number.isNaN(value));
  if (pivot === undefined) return undefined;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    count++;
    sum += value - pivot;
  }
  let squares = 0;
  for (const value of values) if (!Number.isNaN(value)) squares += (value - pivot - sum / count) ** 2;
  return { mean: pivot + sum / count, deviation: Math.sqrt(squares / count) };
}
