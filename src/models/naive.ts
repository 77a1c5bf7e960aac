import type { WindowBatch, WindowShape } from './model.ts';

/** The forecasts that every model has to beat. Both copy values, so they work on raw and on standardised windows. */

/** Repeats the last value of each window. */
export function lastValue(shape: WindowShape, batch: WindowBatch, out: Float32Array): void {
  const { lookback, horizon } = shape;
  for (let r = 0; r < batch.count; r++) {
    out.fill(batch.values[(r + 1) * lookback - 1]!, r * horizon, (r + 1) * horizon);
  }
}

/** Repeats the last season of each window; the last value where a window is shorter than a season. */
export function seasonalNaive(shape: WindowShape, batch: WindowBatch, out: Float32Array): void {
  const { lookback, horizon, season } = shape;
  if (lookback < season) {
    lastValue(shape, batch, out);
    return;
  }
  for (let r = 0; r < batch.count; r++) {
    const from = (r + 1) * lookback - season;
    for (let i = 0; i < horizon; i++) out[r * horizon + i] = batch.values[from + (i % season)]!;
  }
}
