import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkAgainstDifferences, gradientBench } from '../../../test/models/gradient-check.ts';
import { Random } from '../random.ts';
import { segmentLstmFactory, segmentLstmModel } from './model.ts';
import { initSegmentLstm, segmentLstmSizes } from './parameters.ts';

const shape = { lookback: 13, horizon: 7, season: 4 };
const width = 6;
const sizes = segmentLstmSizes(shape, { width });

/** The equations of the model, written once more in double precision and the plainest way. */
function reference(window: Float32Array): number[] {
  const [E, bE, Wx, Wh, b, pos, O, bO] = initSegmentLstm(sizes, 3).map((t) => t.data);
  const d = width;
  const w = sizes.segment;
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  const cell = (e: number[], h: number[], c: number[]) => {
    const z = Array.from({ length: 4 * d }, (_, j) => {
      let sum = b![j]!;
      for (let k = 0; k < d; k++) sum += e[k]! * Wx![k * 4 * d + j]! + h[k]! * Wh![k * 4 * d + j]!;
      return sum;
    });
    const next = c.map((c0, u) => sigmoid(z[d + u]!) * c0 + sigmoid(z[u]!) * Math.tanh(z[2 * d + u]!));
    return { h: next.map((c1, u) => sigmoid(z[3 * d + u]!) * Math.tanh(c1)), c: next };
  };
  const last = window[shape.lookback - 1]!;
  const values = [...window].map((x) => x - last).slice(shape.lookback - sizes.encoded * w);
  let state = { h: new Array<number>(d).fill(0), c: new Array<number>(d).fill(0) };
  for (let t = 0; t < sizes.encoded; t++) {
    const e = Array.from({ length: d }, (_, j) => {
      let sum = bE![j]!;
      for (let k = 0; k < w; k++) sum += values[t * w + k]! * E![k * d + j]!;
      return Math.max(0, sum);
    });
    state = cell(e, state.h, state.c);
  }
  const out: number[] = [];
  for (let j = 0; j < sizes.decoded; j++) {
    const { h } = cell([...pos!.slice(j * d, (j + 1) * d)], state.h, state.c);
    for (let i = 0; i < w; i++) out.push(last + bO![i]! + h.reduce((sum, x, k) => sum + x * O![k * w + i]!, 0));
  }
  return out.slice(0, shape.horizon);
}

function windows(count: number, seed: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count * shape.lookback }, () => random.normal());
}

describe('segment LSTM', () => {
  const model = segmentLstmModel('id', shape, { width }, initSegmentLstm(sizes, 3));

  it('computes its equations', () => {
    const values = windows(40, 1);
    const out = new Float32Array(40 * shape.horizon);
    model.forecast({ count: 40, values }, out);
    for (let r = 0; r < 40; r++) {
      const expected = reference(values.subarray(r * shape.lookback, (r + 1) * shape.lookback));
      expected.forEach((y, i) => {
        expect(Math.abs(out[r * shape.horizon + i]! - y)).toBeLessThan(1e-5);
      });
    }
  });

  it('gives the same bits however windows are batched', () => {
    const values = windows(80, 2);
    const whole = new Float32Array(80 * shape.horizon);
    model.forecast({ count: 80, values }, whole);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }), (cuts) => {
        for (let from = 0, i = 0; from < 80; i++) {
          const count = Math.min(cuts[i % cuts.length]!, 80 - from);
          const part = new Float32Array(count * shape.horizon);
          const batch = { count, values: values.slice(from * shape.lookback, (from + count) * shape.lookback) };
          model.forecast(batch, part);
          expect(part).toEqual(whole.subarray(from * shape.horizon, (from + count) * shape.horizon));
          from += count;
        }
      }),
      { numRuns: 20 },
    );
  });

  it('has gradients that agree with central differences, with dropout and without', () => {
    for (const dropout of [true, false]) {
      const initial = initSegmentLstm(sizes, 3);
      checkAgainstDifferences(gradientBench(segmentLstmFactory(sizes), initial, 5, shape.lookback, dropout));
    }
  });

  it('refuses weights of other sizes', () => {
    expect(() => segmentLstmModel('id', shape, { width: 7 }, initSegmentLstm(sizes, 3))).toThrowError(
      expect.objectContaining({ code: 'MODEL_INVALID' }),
    );
  });
});
