import type { Activation, Reading, Tick } from '../src/events/records.ts';
import { buildArtefact } from '../src/models/artefact.ts';
import { modelFromArtefact } from '../src/models/load.ts';
import type { ModelArtefact, WindowShape } from '../src/models/model.ts';
import { Random } from '../src/models/random.ts';
import type { ServedModel } from '../src/operators/served-model.ts';
import type { EncodedModel } from '../src/pipelines/model-codec.ts';
import { encodeModel } from '../src/pipelines/model-codec.ts';

export const HOUR = 3_600_000;

export function reading(device: string, time: number, values: Record<string, number>, more: Partial<Reading> = {}) {
  const made: Reading = {
    type: 'Reading',
    device,
    time,
    values,
    retained: false,
    redelivered: false,
    fingerprint: '',
    ...more,
  };
  return made;
}

export function tick(time: number): Tick {
  return { type: 'Tick', time };
}

export function activation(modelId: string, role: Activation['role'] = 'champion', name = 'default'): Activation {
  return { type: 'Activation', name, modelId, role, time: 0, reason: 'test' };
}

/** A valid ridge model with small random weights: forecasts that nothing else makes. */
export function ridgeArtefact(seed: number, shape: WindowShape, change: Partial<ModelArtefact> = {}): ModelArtefact {
  const random = new Random(seed);
  const size = shape.lookback * shape.horizon;
  const data = Float32Array.from({ length: size }, () => (random.uniform() - 0.5) * 0.2);
  return buildArtefact({
    family: 'ridge',
    name: 'default',
    shape,
    interval: HOUR,
    architecture: {},
    weights: [{ name: 'ridge/kernel', shape: [shape.lookback, shape.horizon], data }],
    scaler: { kind: 'rolling', length: shape.lookback, series: new Map() },
    calibration: { level: 0.9, quantiles: new Array<number>(shape.horizon).fill(0.8) },
    training: { ranges: [], trainEnd: 0, validationEnd: 0, seed, trainer: 'test', settings: {}, windows: 0 },
    metrics: {},
    parent: '',
    createdAt: 0,
    note: '',
    licence: '',
    ...change,
  });
}

export interface TestModel extends ServedModel {
  readonly encoded: EncodedModel;
}

export function testModel(artefact: ModelArtefact): TestModel {
  const encoded = encodeModel(artefact);
  return { artefact, encoded, model: modelFromArtefact(artefact, encoded.id) };
}
