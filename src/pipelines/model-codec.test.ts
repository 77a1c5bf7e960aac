import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFleetcastError } from '../errors.ts';
import { buildArtefact } from '../models/artefact.ts';
import { modelFromArtefact } from '../models/load.ts';
import type { ModelArtefact } from '../models/model.ts';
import { initSegmentLstm, segmentLstmSizes } from '../models/segment-lstm/parameters.ts';
import { decodeModel, encodeModel, modelId } from './model-codec.ts';

const shape = { lookback: 12, horizon: 6, season: 4 };

function artefact(change: Partial<ModelArtefact> = {}): ModelArtefact {
  return buildArtefact({
    family: 'segment-lstm',
    name: 'default',
    shape,
    interval: 3_600_000,
    architecture: { width: 8 },
    weights: initSegmentLstm(segmentLstmSizes(shape, { width: 8 }), 7),
    scaler: { kind: 'rolling', length: 168, series: new Map([['b/y', { mean: 1, deviation: 2 }]]) },
    calibration: { level: 0.9, quantiles: [1, 2, 3, 4, 5, 6] },
    training: {
      ranges: [{ topic: 'history', partition: 0, from: 3, to: 99 }],
      trainEnd: 1000,
      validationEnd: 2000,
      seed: 7,
      trainer: 'test',
      settings: { width: 8, loss: 'mae' },
      windows: 100,
    },
    metrics: { 'test.mse': 0.3, 'test.mae': 0.4 },
    parent: '',
    createdAt: 5,
    note: '',
    licence: 'Apache-2.0',
    ...change,
  });
}

describe('model codec', () => {
  it('round-trips an artefact, and the decoded model forecasts the same bits', () => {
    const before = artefact();
    const { id, bytes } = encodeModel(before);
    const after = decodeModel(bytes);
    expect(after).toEqual(before);
    const values = Float32Array.from({ length: 12 }, (_, i) => Math.fround(i / 10));
    const [a, b] = [new Float32Array(6), new Float32Array(6)];
    modelFromArtefact(before, id).forecast({ count: 1, values }, a);
    modelFromArtefact(after, id).forecast({ count: 1, values }, b);
    expect(b).toEqual(a);
  });

  it('gives the same id whatever the order of the maps', () => {
    const { id } = encodeModel(artefact());
    const other = encodeModel(artefact({ metrics: { 'test.mae': 0.4, 'test.mse': 0.3 } }));
    expect(other.id).toBe(id);
    expect(modelId(other.bytes)).toBe(id);
    expect(encodeModel(artefact({ note: 'x' })).id).not.toBe(id);
  });

  it('answers damaged bytes with an error of the table, never another one', () => {
    const { bytes } = encodeModel(artefact());
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(bytes.length),
        (changes, length) => {
          const damaged = Buffer.from(bytes.subarray(0, length % 2 === 0 ? bytes.length : length));
          for (const [at, value] of changes) if (at < damaged.length) damaged[at] = value;
          try {
            modelFromArtefact(decodeModel(damaged), 'x');
          } catch (error) {
            expect(isFleetcastError(error), String(error)).toBe(true);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('refuses a newer format and inconsistent sizes', () => {
    const refused = (change: Partial<ModelArtefact>) => {
      expect(() => encodeModel({ ...artefact(), ...change })).toThrowError(
        expect.objectContaining({ code: 'MODEL_INVALID' }),
      );
    };
    refused({ formatVersion: 3 });
    refused({ shape: { ...shape, horizon: 7 } });
    refused({ shape: { ...shape, lookback: 1e9 } });
    refused({ calibration: { level: 0.9, quantiles: [1, 2, 3, 4, 5, Number.NaN] } });
    refused({ weights: [{ name: 'x', shape: [2 ** 20, 2 ** 20], data: new Float32Array(4) }] });
    expect(() => modelFromArtefact({ ...artefact(), architecture: { width: 9 } }, 'x')).toThrowError(
      expect.objectContaining({ code: 'MODEL_INVALID' }),
    );
  });
});
