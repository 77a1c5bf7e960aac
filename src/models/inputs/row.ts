import { standardise } from '../standardise.ts';
import type { WindowShape } from '../window-shape.ts';
import { calendarSize, writeCalendar } from './calendar.ts';
import type { ModelInputs } from './spec.ts';

/**
 * How the inputs of one window lie in a row of floats: the windows of the other quantities `[quantity, lookback]`, then
 * for each segment read and each segment forecast a vector of covariates `[segment, covariates]`.
 *
 * A vector holds the waves of the calendar at the segment's start, the statics, for each quantity 1 where its window is
 * there, and for each quantity 1 where it is the one that is forecast (its own place among the windows stays empty).
 */
export interface InputLayout {
  readonly inputs: ModelInputs;
  readonly shape: WindowShape;
  /** Buckets in a segment, segments read and segments forecast. */
  readonly segment: number;
  readonly encoded: number;
  readonly decoded: number;
  /** Numbers of a vector. */
  readonly covariates: number;
  /** First float of the vectors. */
  readonly vectors: number;
  /** Floats of a row. */
  readonly size: number;
}

export function inputLayout(inputs: ModelInputs, shape: WindowShape): InputLayout {
  const segment = Math.min(shape.season, shape.lookback);
  const encoded = Math.floor(shape.lookback / segment);
  const decoded = Math.ceil(shape.horizon / segment);
  const calendar = inputs.calendar.reduce((sum, one) => sum + calendarSize(one), 0);
  const covariates = calendar + inputs.statics.length + 2 * inputs.quantities.length;
  const vectors = inputs.quantities.length * shape.lookback;
  const size = vectors + (encoded + decoded) * covariates;
  return { inputs, shape, segment, encoded, decoded, covariates, vectors, size };
}

/** The window of another quantity of the device, from the same origin. */
export interface OtherWindow {
  /** The window's values begin at `from`. */
  readonly values: ArrayLike<number>;
  readonly from: number;
  readonly mean: number;
  readonly deviation: number;
}

/** What the inputs of a window are made from. */
export interface InputRow {
  /** End of the window's newest bucket, milliseconds since the epoch. */
  readonly origin: number;
  /** Length of a bucket, milliseconds. */
  readonly interval: number;
  /** Number of the quantity that is forecast among `inputs.quantities`, −1 where it is none of them. */
  readonly target: number;
  /** The window of a quantity, undefined where the device has none from this origin. */
  other(quantity: number): OtherWindow | undefined;
  /** Value of a static, NaN where the device has none. */
  static(number: number): number;
}

/** Writes the inputs of one window at `out[at …]`. What is not there is zero: the mean of what is standardised. */
export function writeInputRow(layout: InputLayout, row: InputRow, out: Float32Array, at: number): void {
  const { inputs, shape, segment, encoded, decoded, covariates } = layout;
  const { lookback } = shape;
  const { quantities, calendar, statics } = inputs;
  out.fill(0, at, at + layout.size);
  const first = at + layout.vectors;
  const fixed = first + calendar.reduce((sum, one) => sum + calendarSize(one), 0);
  statics.forEach(({ mean, deviation }, i) => {
    const value = row.static(i);
    if (Number.isFinite(value)) out[fixed + i] = standardise(value, mean, deviation);
  });
  const present = fixed + statics.length;
  for (let q = 0; q < quantities.length; q++) {
    const other = q === row.target ? undefined : row.other(q);
    if (other === undefined) continue;
    const to = at + q * lookback;
    for (let i = 0; i < lookback; i++) {
      out[to + i] = standardise(other.values[other.from + i]!, other.mean, other.deviation);
    }
    out[present + q] = 1;
  }
  if (row.target >= 0) out[present + quantities.length + row.target] = 1;
  for (let s = 0; s < encoded + decoded; s++) {
    const vector = first + s * covariates;
    if (s > 0) out.copyWithin(vector, first, first + covariates);
    let place = vector;
    for (const one of calendar) {
      writeCalendar(one, row.origin + (s - encoded) * segment * row.interval, out, place);
      place += calendarSize(one);
    }
  }
}
