import type { Model, WindowShape } from './model.ts';
import { lastValue, seasonalNaive } from './naive.ts';
import type { TrainingSet, WindowIndex } from './trainer.ts';
import { drawWindows, windowBuffer } from './training/windows.ts';

/** Errors on standardised values over all windows, horizon steps and measured labels. */
export interface ForecastErrors {
  readonly mse: number;
  readonly mae: number;
  /** The same by horizon step; NaN where no label was measured. */
  readonly mseByStep: Float64Array;
  readonly maeByStep: Float64Array;
  /** Labels that counted. */
  readonly labels: number;
}

/** Anything that forecasts windows: `Model['forecast']`, or a naive forecast. */
export type Forecaster = Model['forecast'];

const ROWS = 256;

/** Forecasts every window of the index and compares. Sums run in window order, so the result is reproducible. */
export function forecastErrors(set: TrainingSet, index: WindowIndex, forecast: Forecaster): ForecastErrors {
  const { horizon } = set.shape;
  const squares = new Float64Array(horizon);
  const absolutes = new Float64Array(horizon);
  const counts = new Float64Array(horizon);
  eachForecast(set, index, forecast, (_window, step, error) => {
    squares[step] = squares[step]! + error * error;
    absolutes[step] = absolutes[step]! + Math.abs(error);
    counts[step] = counts[step]! + 1;
  });
  const labels = sum(counts);
  return {
    mse: sum(squares) / labels,
    mae: sum(absolutes) / labels,
    mseByStep: squares.map((total, i) => total / counts[i]!),
    maeByStep: absolutes.map((total, i) => total / counts[i]!),
    labels,
  };
}

export function naiveErrors(
  set: TrainingSet,
  index: WindowIndex,
): { readonly lastValue: ForecastErrors; readonly seasonalNaive: ForecastErrors } {
  const with_ = (naive: (shape: WindowShape, ...rest: Parameters<Forecaster>) => void) =>
    forecastErrors(set, index, (batch, out) => naive(set.shape, batch, out));
  return { lastValue: with_(lastValue), seasonalNaive: with_(seasonalNaive) };
}

/**
 * Quantiles of the absolute residuals by horizon step: what an artefact is calibrated with. Conformal: with n residuals
 * the ⌈(n + 1) · level⌉-th smallest. A step without a label takes the quantile of the step before it (0 at first).
 */
export function calibrate(set: TrainingSet, index: WindowIndex, forecast: Forecaster, level: number): number[] {
  const { horizon } = set.shape;
  const residuals: number[][] = Array.from({ length: horizon }, () => []);
  eachForecast(set, index, forecast, (_window, step, error) => residuals[step]!.push(Math.abs(error)));
  let before = 0;
  return residuals.map((ofStep) => {
    if (ofStep.length > 0) {
      const sorted = Float64Array.from(ofStep).sort();
      before = sorted[Math.min(sorted.length, Math.ceil((sorted.length + 1) * level)) - 1]!;
    }
    return before;
  });
}

/** Calls back with forecast − label for every measured label, window after window. */
export function eachForecast(
  set: TrainingSet,
  index: WindowIndex,
  forecast: Forecaster,
  visit: (window: number, step: number, error: number) => void,
): void {
  const { horizon, lookback } = set.shape;
  const drawn = windowBuffer(set, Math.min(ROWS, index.starts.length));
  const out = new Float32Array(drawn.labels.length);
  for (let from = 0; from < index.starts.length; from += ROWS) {
    const to = Math.min(from + ROWS, index.starts.length);
    drawWindows(set, index, from, to, drawn);
    const values = drawn.values.subarray(0, drawn.count * lookback);
    const inputs = drawn.layout && { inputs: drawn.inputs.subarray(0, drawn.count * drawn.layout.size) };
    forecast({ count: drawn.count, values, ...inputs }, out);
    for (let r = 0; r < drawn.count; r++) {
      for (let step = 0; step < horizon; step++) {
        const at = r * horizon + step;
        if (drawn.weights[at] !== 0) visit(from + r, step, out[at]! - drawn.labels[at]!);
      }
    }
  }
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
