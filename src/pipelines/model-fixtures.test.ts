import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildArtefact } from '../models/artefact.ts';
import { writeInputs } from '../models/inputs/spec.ts';
import { loadVerifiedModel } from '../models/load.ts';
import type { ModelArtefact, Tensor } from '../models/model.ts';
import { Random } from '../models/random.ts';
import { architectureOf, initialWeights } from '../models/training/families.ts';
import { decodeModel, encodeModel, modelId } from './model-codec.ts';

/**
 * Artefacts as earlier versions wrote them stay loadable, with the same id and the same forecasts bit for bit. The files
 * are never written again: a change of the format gets new ones beside them.
 */
const folder = new URL('../../test/fixtures/models/', import.meta.url);
const shape = { lookback: 24, horizon: 9, season: 6 };
const INPUTS = writeInputs({
  quantities: ['humidity'],
  targets: ['temperature'],
  calendar: ['hour', 'weekday'],
  statics: [{ name: 'floor', mean: 2, deviation: 1 }],
});
const fixtures = [
  { name: 'format-2-segment-lstm', family: 'segment-lstm', inputs: INPUTS },
  { name: 'format-1-segment-lstm', family: 'segment-lstm' },
  { name: 'format-1-lstm', family: 'lstm' },
  { name: 'format-1-ridge', family: 'ridge' },
] as const;

function artefactOf(family: (typeof fixtures)[number]['family'], inputs = ''): ModelArtefact {
  const sizes = { family: 'segment-lstm', width: 8, layers: 2, decoding: 'autoregressive', seed: 3, inputs } as const;
  const random = new Random(8);
  const kernel = Float32Array.from({ length: shape.lookback * shape.horizon }, () => 0.1 * random.normal());
  const ridge: Tensor = { name: 'ridge/kernel', shape: [shape.lookback, shape.horizon], data: kernel };
  return buildArtefact({
    family,
    name: 'default',
    shape,
    interval: 3_600_000,
    architecture: family === 'ridge' ? {} : architectureOf({ ...sizes, family }),
    weights: family === 'ridge' ? [ridge] : initialWeights(shape, { ...sizes, family }),
    scaler: { kind: 'rolling', length: 168, series: new Map([['pump/temperature', { mean: 20.5, deviation: 3 }]]) },
    calibration: { level: 0.9, quantiles: Array.from({ length: shape.horizon }, (_, i) => 0.5 + i / 8) },
    training: {
      ranges: [{ topic: 'history', partition: 0, from: 0, to: 480 }],
      trainEnd: 1_700_000_000_000,
      validationEnd: 1_710_000_000_000,
      seed: 3,
      trainer: 'untrained',
      settings: { loss: 'mae', batch: 128 },
      windows: 0,
    },
    metrics: { 'test.mse': 0.25 },
    parent: '',
    createdAt: 1_720_000_000_000,
    note: 'fixture',
    licence: 'Apache-2.0',
  });
}

describe('artefacts of earlier versions', () => {
  for (const { name, family, ...more } of fixtures) {
    it(`${name} loads and forecasts as it did`, async () => {
      const { inputs = '' } = more as { inputs?: string };
      const file = new URL(`${name}.avro`, folder);
      if (!existsSync(file) && process.env['FLEETCAST_WRITE_FIXTURES'] === '1') {
        mkdirSync(folder, { recursive: true });
        writeFileSync(file, encodeModel(artefactOf(family, inputs)).bytes);
      }
      const bytes = readFileSync(file);
      const artefact = decodeModel(bytes);
      expect(artefact).toEqual(artefactOf(family, inputs));
      const model = await loadVerifiedModel(artefact, modelId(bytes));
      const random = new Random(1);
      const values = Float32Array.from({ length: 4 * shape.lookback }, () => random.normal());
      const out = new Float32Array(4 * shape.horizon);
      const rows = Float32Array.from({ length: 4 * (model.inputs?.size ?? 0) }, () => random.normal());
      model.forecast({ count: 4, values, inputs: rows }, out);
      expect({ id: model.id, forecasts: modelId(new Uint8Array(out.buffer)) }).toMatchSnapshot();
    });
  }
});
