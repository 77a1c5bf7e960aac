import type { WindowBatch, WindowShape } from '../model.ts';

/** Writes windows `from … from + rows` less their last value to `place`, `[rows, lookback]`. */
export function loadWindows(
  heap: Float32Array,
  place: number,
  batch: WindowBatch,
  from: number,
  rows: number,
  lookback: number,
): void {
  for (let r = 0; r < rows; r++) {
    const start = (from + r) * lookback;
    const last = batch.values[start + lookback - 1]!;
    for (let i = 0; i < lookback; i++) {
      heap[place + r * lookback + i] = Math.fround(batch.values[start + i]! - last);
    }
  }
}

/** Adds the last value again and cuts to the horizon: from rows of `ld` floats at `place` into `out`. */
export function storeForecasts(
  heap: Float32Array,
  place: number,
  ld: number,
  { lookback, horizon }: WindowShape,
  batch: WindowBatch,
  from: number,
  rows: number,
  out: Float32Array,
): void {
  for (let r = 0; r < rows; r++) {
    const last = batch.values[(from + r + 1) * lookback - 1]!;
    for (let i = 0; i < horizon; i++) {
      out[(from + r) * horizon + i] = Math.fround(heap[place + r * ld + i]! + last);
    }
  }
}
