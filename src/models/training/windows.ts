import type { TrainingSet, WindowIndex } from '../trainer.ts';

/** `(value − mean) / deviation`; a series without deviation has only zeros. Training and serving both call this. */
export function standardise(value: number, mean: number, deviation: number): number {
  return deviation > 0 ? (value - mean) / deviation : value - mean;
}

/** Windows drawn from a training set: standardised inputs, labels and whether each label counts. */
export interface DrawnWindows {
  count: number;
  /** `[capacity, lookback]` */
  readonly values: Float32Array;
  /** `[capacity, horizon]` */
  readonly labels: Float32Array;
  /** 1 for a measured label, 0 for a filled one, `[capacity, horizon]`. */
  readonly weights: Float32Array;
}

export function windowBuffer(set: TrainingSet, capacity: number): DrawnWindows {
  const { lookback, horizon } = set.shape;
  return {
    count: 0,
    values: new Float32Array(capacity * lookback),
    labels: new Float32Array(capacity * horizon),
    weights: new Float32Array(capacity * horizon),
  };
}

/** Fills the buffer with the windows `order[from] … order[to − 1]`, or with windows from … to − 1 without an order. */
export function drawWindows(
  set: TrainingSet,
  index: WindowIndex,
  from: number,
  to: number,
  out: DrawnWindows,
  order?: Int32Array,
): void {
  const { lookback, horizon } = set.shape;
  for (let i = from; i < to; i++) {
    const window = order === undefined ? i : order[i]!;
    const start = index.starts[window]!;
    const mean = index.means[window]!;
    const deviation = index.deviations[window]!;
    const row = i - from;
    for (let k = 0; k < lookback; k++) {
      out.values[row * lookback + k] = standardise(set.values[start + k]!, mean, deviation);
    }
    for (let k = 0; k < horizon; k++) {
      const at = start + lookback + k;
      out.labels[row * horizon + k] = standardise(set.values[at]!, mean, deviation);
      out.weights[row * horizon + k] = set.measured[at]!;
    }
  }
  out.count = to - from;
}
