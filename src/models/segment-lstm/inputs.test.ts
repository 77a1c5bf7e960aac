import { describe, expect, it } from 'vitest';
import { checkAgainstDifferences, gradientBench } from '../../../test/models/gradient-check.ts';
import { inputNames, isPresent, maskInput } from '../inputs/mask.ts';
import { inputLayout, writeInputRow } from '../inputs/row.ts';
import { type ModelInputs, readInputs, writeInputs } from '../inputs/spec.ts';
import { Random } from '../random.ts';
import { verifySegmentLstm } from '../tensorflow/verify.ts';
import { segmentLstmFactory, segmentLstmModel } from './model.ts';
import { initSegmentLstm, segmentLstmSizes } from './parameters.ts';

const shape = { lookback: 13, horizon: 7, season: 4 };
const inputs: ModelInputs = {
  quantities: ['humidity', 'power'],
  targets: [],
  calendar: ['hour', 'weekday'],
  statics: [{ name: 'floor', mean: 2, deviation: 1 }],
};
const kinds: readonly ModelInputs[] = [
  inputs,
  { ...inputs, quantities: [] },
  { ...inputs, calendar: [], statics: [] },
  { ...inputs, quantities: [], statics: [], calendar: ['hour'] },
];
const architectureOf = (kind: ModelInputs) => ({ width: 6, inputs: writeInputs(kind) });
const modelOf = (kind: ModelInputs) => {
  const architecture = architectureOf(kind);
  const weights = initSegmentLstm(segmentLstmSizes(shape, architecture), 3);
  return { architecture, weights, model: segmentLstmModel('id', shape, architecture, weights) };
};

describe('segment LSTM with inputs', () => {
  it('agrees with TensorFlow.js in its forecasts', async () => {
    for (const kind of kinds) {
      const { model, architecture, weights } = modelOf(kind);
      expect(await verifySegmentLstm(model, architecture, weights)).toBeLessThan(1e-5);
    }
  });

  it('has gradients that agree with central differences', () => {
    for (const kind of kinds) {
      const { weights, architecture } = modelOf(kind);
      const factory = segmentLstmFactory(segmentLstmSizes(shape, architecture));
      checkAgainstDifferences(gradientBench(factory, weights, 5, shape.lookback, true));
    }
  });

  it('gives the same bits however windows are batched', () => {
    const { model } = modelOf(inputs);
    const random = new Random(4);
    const { size } = model.inputs!;
    const values = Float32Array.from({ length: 70 * shape.lookback }, () => random.normal());
    const rows = Float32Array.from({ length: 70 * size }, () => random.normal());
    const whole = new Float32Array(70 * shape.horizon);
    model.forecast({ count: 70, values, inputs: rows }, whole);
    const one = new Float32Array(shape.horizon);
    for (let r = 0; r < 70; r += 3) {
      const window = values.slice(r * shape.lookback, (r + 1) * shape.lookback);
      model.forecast({ count: 1, values: window, inputs: rows.slice(r * size, (r + 1) * size) }, one);
      expect(one).toEqual(whole.subarray(r * shape.horizon, (r + 1) * shape.horizon));
    }
  });

  it('listens to every input, and to none that is masked', () => {
    const { model } = modelOf(inputs);
    const layout = model.inputs!;
    const random = new Random(5);
    const values = Float32Array.from({ length: shape.lookback }, () => random.normal());
    const row = new Float32Array(layout.size);
    const other = Float64Array.from({ length: shape.lookback }, () => random.normal());
    const source = {
      origin: Date.UTC(2026, 0, 7, 15),
      interval: 3_600_000,
      target: -1,
      other: () => ({ values: other, from: 0, mean: 0, deviation: 1 }),
      static: () => 4,
    };
    writeInputRow(layout, source, row, 0);
    const forecast = (inputs: Float32Array) => {
      const out = new Float32Array(shape.horizon);
      model.forecast({ count: 1, values, inputs }, out);
      return [...out];
    };
    inputNames(layout).forEach((name, i) => {
      const masked = row.slice();
      maskInput(layout, i, masked, 0);
      expect(forecast(masked), name).not.toEqual(forecast(row));
      if (i >= 2) return;
      expect([isPresent(layout, i, row), isPresent(layout, i, masked)]).toEqual([true, false]);
    });
    // A device that lacks everything is forecast from its own series: the same as masking all by hand.
    const bare = new Float32Array(layout.size);
    writeInputRow(layout, { ...source, other: () => undefined, static: () => Number.NaN }, bare, 0);
    for (const i of [0, 1, 4]) maskInput(layout, i, row, 0);
    expect(bare).toEqual(row);
  });
});

describe('inputs', () => {
  it('are written and read as text', () => {
    for (const kind of kinds) expect(readInputs(writeInputs(kind))).toEqual(kind);
    expect(writeInputs({ quantities: [], targets: [], calendar: [], statics: [] })).toBe('');
    expect(readInputs('')).toBeUndefined();
  });

  it('are refused where they are damaged', () => {
    const good = JSON.parse(writeInputs(inputs)) as Record<string, unknown>;
    for (const bad of [
      'x',
      '3',
      'null',
      '[]',
      ...[
        { quantities: ['a', 'a'] },
        { quantities: Array.from({ length: 33 }, (_, i) => `q${i}`) },
        { quantities: [''] },
        { calendar: ['minute'] },
        { targets: 'a' },
        { statics: [{ name: 'a', mean: 'b', deviation: 1 }] },
        { statics: [null] },
        { statics: [{ name: 'a', mean: 1, deviation: -1 }] },
      ].map((change) => JSON.stringify({ ...good, ...change })),
    ]) {
      expect(() => readInputs(bad), bad).toThrowError(expect.objectContaining({ code: 'MODEL_INVALID' }));
    }
  });

  it('tell the time in waves that have the same value a period later and differ within it', () => {
    const layout = inputLayout({ ...inputs, quantities: [], statics: [] }, shape);
    const at = (time: number) => {
      const row = new Float32Array(layout.size);
      const source = { interval: 3_600_000, target: -1, other: () => undefined, static: () => Number.NaN };
      writeInputRow(layout, { ...source, origin: time }, row, 0);
      return row;
    };
    const hour = 3_600_000;
    const monday = Date.UTC(2026, 0, 5);
    expect(at(monday + 7 * 24 * hour)).toEqual(at(monday));
    const seen = new Set(Array.from({ length: 7 * 24 }, (_, i) => at(monday + i * hour).join()));
    expect(seen.size).toBe(7 * 24);
    for (const value of at(monday + 5 * hour)) expect(Math.abs(value)).toBeLessThanOrEqual(1);
    // The first segment that is forecast begins at the origin: Monday, midnight.
    const first = at(monday).subarray(layout.vectors + layout.encoded * layout.covariates);
    expect([...first.subarray(0, 4)].map((x) => Math.round(x * 1e6) / 1e6 + 0)).toEqual([1, 0, 1, 0]);
  });
});
