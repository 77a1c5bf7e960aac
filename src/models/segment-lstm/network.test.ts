import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Arena } from '../kernel/kernel.ts';
import { portableKernel } from '../kernel/portable.ts';
import { packTensors, unpackTensors } from '../parameters.ts';
import { Random } from '../random.ts';
import { segmentLstmModel } from './model.ts';
import { SegmentLstmNetwork } from './network.ts';
import { initSegmentLstm, segmentLstmSizes } from './parameters.ts';

const shape = { lookback: 13, horizon: 7, season: 4 };
const width = 6;
const sizes = segmentLstmSizes(shape, width);

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
  const model = segmentLstmModel('id', shape, width, initSegmentLstm(sizes, 3));

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

  it('has gradients that agree with central differences', () => {
    const rows = 5;
    const arena = new Arena();
    const heapOf = (kernel: ReturnType<typeof portableKernel>, a: Arena) => {
      const weights = a.take(500_000);
      return { network: new SegmentLstmNetwork(sizes, rows, { kernel, arena: a, weights, training: true }), weights };
    };
    heapOf(portableKernel(0), arena);
    const gradients = arena.take(500_000);
    const dropout = arena.take(sizes.decoded * rows * width);
    const kernel = portableKernel(arena.used);
    const { network, weights } = heapOf(kernel, new Arena());
    const { heap } = kernel;
    packTensors(network.layout, initSegmentLstm(sizes, 3), heap.subarray(weights, weights + network.layout.size));
    const random = new Random(9);
    for (let i = 0; i < rows * shape.lookback; i++) heap[network.input + i] = random.normal();
    for (let i = 0; i < sizes.decoded * rows * width; i++) heap[dropout + i] = random.uniform() < 0.3 ? 0 : 1 / 0.7;
    const outputs = rows * sizes.decoded * sizes.segment;
    const labels = Float64Array.from({ length: outputs }, () => random.normal());
    // Half the squared error: its gradient by the output is output − label.
    const loss = () => {
      network.prepare();
      network.forward(rows, dropout);
      let sum = 0;
      for (let i = 0; i < outputs; i++) sum += 0.5 * (heap[network.output + i]! - labels[i]!) ** 2;
      return sum;
    };
    loss();
    for (let i = 0; i < outputs; i++) heap[network.output + i] = heap[network.output + i]! - labels[i]!;
    heap.fill(0, gradients, gradients + network.gradientSize);
    network.backward(rows, gradients, dropout);
    network.finishGradients(gradients);
    const gradientOf = unpackTensors(network.layout, heap.slice(gradients, gradients + network.layout.size));
    for (const spec of network.layout.specs) {
      const analytic = gradientOf.find((t) => t.name === spec.name)!.data;
      for (let i = 0; i < spec.count; i += Math.max(1, spec.count >> 4)) {
        const at = weights + spec.offset + i;
        const kept = heap[at]!;
        const step = 2e-3;
        heap[at] = kept + step;
        const above = loss();
        heap[at] = kept - step;
        const below = loss();
        heap[at] = kept;
        const numeric = (above - below) / (2 * step);
        expect(Math.abs(numeric - analytic[i]!), `${spec.name}[${i}]`).toBeLessThan(
          5e-3 * Math.max(1, Math.abs(numeric)),
        );
      }
    }
  });

  it('refuses weights of other sizes', () => {
    expect(() => segmentLstmModel('id', shape, 7, initSegmentLstm(sizes, 3))).toThrowError(
      expect.objectContaining({ code: 'MODEL_INVALID' }),
    );
  });
});
