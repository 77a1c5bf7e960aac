import { type InputLayout, inputLayout, type OtherWindow, writeInputRow } from '../inputs/row.ts';
import { readInputs } from '../inputs/spec.ts';
import type { Random } from '../random.ts';
import { standardise } from '../standardise.ts';
import type { TrainingSet, WindowIndex, WindowInputs } from '../trainer.ts';

/** Windows drawn from a training set: standardised inputs, labels and whether each label counts. */
export interface DrawnWindows {
  count: number;
  /** `[capacity, lookback]` */
  readonly values: Float32Array;
  /** `[capacity, horizon]` */
  readonly labels: Float32Array;
  /** 1 for a measured label, 0 for a filled one, `[capacity, horizon]`. */
  readonly weights: Float32Array;
  /** Rows of inputs `[capacity, layout.size]`; empty for a set without. */
  readonly inputs: Float32Array;
  readonly layout: InputLayout | undefined;
}

export function windowBuffer(set: TrainingSet, capacity: number): DrawnWindows {
  const { lookback, horizon } = set.shape;
  const inputs = readInputs(set.inputs?.text ?? '');
  const layout = inputs === undefined ? undefined : inputLayout(inputs, set.shape);
  return {
    layout,
    inputs: new Float32Array(capacity * (layout?.size ?? 0)),
    count: 0,
    values: new Float32Array(capacity * lookback),
    labels: new Float32Array(capacity * horizon),
    weights: new Float32Array(capacity * horizon),
  };
}

/** Share of the other quantities' windows that training hides, so that a model can do without any of them. */
const HIDDEN = 0.1;

/**
 * Fills the buffer with the windows `order[from] … order[to − 1]`, or with windows from … to − 1 without an order.
 * @param hide draws which windows of other quantities are left out; none without it
 */
export function drawWindows(
  set: TrainingSet,
  index: WindowIndex,
  from: number,
  to: number,
  out: DrawnWindows,
  order?: Int32Array,
  hide?: Random,
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
    if (out.layout !== undefined) drawInputs(set, index.inputs!, window, out.layout, out.inputs, row, hide);
  }
  out.count = to - from;
}

function drawInputs(
  set: TrainingSet,
  { origins, targets, devices, starts, means, deviations }: WindowInputs,
  window: number,
  layout: InputLayout,
  out: Float32Array,
  row: number,
  hide: Random | undefined,
): void {
  const { interval, statics } = set.inputs!;
  const { quantities, statics: names } = layout.inputs;
  const other = (quantity: number): OtherWindow | undefined => {
    const at = window * quantities.length + quantity;
    const from = starts[at]!;
    // Drawn for every window of another quantity, there or not: what follows does not depend on gaps.
    const hidden = hide !== undefined && hide.uniform() < HIDDEN;
    return from < 0 || hidden ? undefined : { values: set.values, from, mean: means[at]!, deviation: deviations[at]! };
  };
  const source = {
    origin: origins[window]!,
    interval,
    target: targets[window]!,
    other,
    static: (i: number) => statics[devices[window]! * names.length + i]!,
  };
  writeInputRow(layout, source, out, row * layout.size);
}

/** The windows of these numbers, in their order. */
export function chosen(index: WindowIndex, numbers: ArrayLike<number>): WindowIndex {
  const { length } = numbers;
  const whole = (array: Int32Array, each = 1) =>
    Int32Array.from({ length: length * each }, (_, i) => array[numbers[Math.floor(i / each)]! * each + (i % each)]!);
  const real = (array: Float64Array, each = 1) =>
    Float64Array.from({ length: length * each }, (_, i) => array[numbers[Math.floor(i / each)]! * each + (i % each)]!);
  const { inputs } = index;
  const common = { starts: whole(index.starts), means: real(index.means), deviations: real(index.deviations) };
  if (inputs === undefined) return common;
  const each = inputs.starts.length / Math.max(1, index.starts.length);
  return {
    ...common,
    inputs: {
      origins: real(inputs.origins),
      targets: whole(inputs.targets),
      devices: whole(inputs.devices),
      starts: whole(inputs.starts, each),
      means: real(inputs.means, each),
      deviations: real(inputs.deviations, each),
    },
  };
}
