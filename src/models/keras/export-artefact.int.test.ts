import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kerasModels, pythonWithKeras } from '../../../test/keras/python.ts';
import { buildArtefact } from '../artefact.ts';
import { modelFromArtefact } from '../load.ts';
import { initLstm } from '../lstm/parameters.ts';
import type { ModelArtefact, Tensor, WindowShape } from '../model.ts';
import { Random } from '../random.ts';
import { initSegmentLstm, segmentLstmSizes } from '../segment-lstm/parameters.ts';
import { parseSequential } from '../sequential/configuration.ts';
import { initialWeights } from '../sequential/initial.ts';
import { sequentialArchitecture } from '../sequential/model.ts';
import { planSequential } from '../sequential/plan.ts';
import { exportArtefact } from './export-artefact.ts';

const python = pythonWithKeras(3);

const sequential = parseSequential({
  input_shape: [10, 1],
  layers: [
    { type: 'GRU', units: 4 },
    { type: 'Dense', units: 3 },
  ],
});

function artefacts(): Record<string, ModelArtefact> {
  const segment = (lookback: number, horizon: number, season: number, width: number) => {
    const shape = { lookback, horizon, season };
    return artefact('segment-lstm', shape, { width }, initSegmentLstm(segmentLstmSizes(shape, { width }), 3));
  };
  const lstm = (layers: number, decoding: 'direct' | 'autoregressive', horizon: number) => {
    const shape = { lookback: 12, horizon, season: 12 };
    const weights = initLstm({ shape, width: 5, layers, decoding, features: 1 }, 4);
    return artefact('lstm', shape, { width: 5, layers, decoding }, weights);
  };
  const random = new Random(5);
  const ridge = { name: 'ridge/kernel', shape: [8, 5], data: Float32Array.from({ length: 40 }, () => random.normal()) };
  return {
    'segment-default': segment(96, 24, 24, 64),
    'segment-long': segment(96, 96, 24, 16),
    'segment-odd': segment(50, 31, 7, 5),
    'lstm-direct': lstm(1, 'direct', 6),
    'lstm-deep': lstm(3, 'direct', 4),
    'lstm-fed-back': lstm(1, 'autoregressive', 5),
    'lstm-deep-fed-back': lstm(2, 'autoregressive', 7),
    ridge: artefact('ridge', { lookback: 8, horizon: 5, season: 8 }, {}, [ridge]),
    sequential: artefact(
      'sequential',
      { lookback: 10, horizon: 3, season: 10 },
      sequentialArchitecture(sequential),
      initialWeights(planSequential(sequential), 3),
    ),
  };
}

describe.skipIf(python === undefined)('models written for real Keras 3 (FLEETCAST_TEST_PYTHON)', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fleetcast-export-'));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('are loaded and predict the same, every family', async () => {
    const all = artefacts();
    for (const [name, written] of Object.entries(all)) {
      const { lookback, horizon } = written.shape;
      const random = new Random(6);
      const count = 4;
      const values = Float32Array.from({ length: count * lookback }, () => 2 + random.normal());
      const y = new Float32Array(count * horizon);
      modelFromArtefact(written, 'id').forecast({ count, values }, y);
      const shape = written.family === 'sequential' ? [count, lookback, 1] : [count, lookback];
      await writeFile(join(folder, `${name}.keras`), await exportArtefact(written, 0));
      await writeFile(join(folder, `${name}.json`), JSON.stringify({ shape, x: [...values], y: [...y] }));
    }
    const { results } = JSON.parse(await kerasModels(python!, 'check', folder)) as {
      results: Record<string, { error: number; shape: number[] }>;
    };
    expect(Object.keys(results).sort()).toEqual(Object.keys(all).sort());
    for (const [name, { error, shape }] of Object.entries(results)) {
      expect(error, name).toBeLessThan(1e-5);
      expect(shape, name).toEqual([4, all[name]!.shape.horizon]);
    }
  }, 300_000);
});

function artefact(
  family: ModelArtefact['family'],
  shape: WindowShape,
  architecture: ModelArtefact['architecture'],
  weights: readonly Tensor[],
): ModelArtefact {
  return buildArtefact({
    family,
    name: 'default',
    shape,
    interval: 3_600_000,
    architecture,
    weights,
    scaler: { kind: 'rolling', length: 168, series: new Map() },
    calibration: { level: 0.9, quantiles: new Array<number>(shape.horizon).fill(1) },
    training: { ranges: [], trainEnd: 0, validationEnd: 0, seed: 7, trainer: 'test', settings: {}, windows: 0 },
    metrics: {},
    parent: '',
    createdAt: 0,
    note: '',
    licence: '',
  });
}
