import { buildArtefact } from '../../src/models/artefact.ts';
import type { WindowShape } from '../../src/models/model.ts';
import { initSegmentLstm, segmentLstmSizes } from '../../src/models/segment-lstm/parameters.ts';
import { HOUR } from '../readings.ts';

/** A segment LSTM as it is before its training; with `scale` so large that its sums overflow, nothing can be compared. */
export function segmentArtefact(shape: WindowShape, scale = 1) {
  const weights = initSegmentLstm(segmentLstmSizes(shape, { width: 4 }), 1);
  return buildArtefact({
    family: 'segment-lstm',
    name: 'default',
    shape,
    interval: HOUR,
    architecture: { width: 4 },
    weights: weights.map((tensor) => ({ ...tensor, data: tensor.data.map((value) => value * scale) })),
    scaler: { kind: 'rolling', length: 12, series: new Map() },
    calibration: { level: 0.9, quantiles: Array.from({ length: shape.horizon }, () => 1) },
    training: { ranges: [], trainEnd: 0, validationEnd: 0, seed: 1, trainer: 'test', settings: {}, windows: 0 },
    metrics: {},
    parent: '',
    createdAt: 0,
    note: '',
    licence: '',
  });
}
