import { activate, pointwise } from './activations.ts';
import type { BidirectionalLayer, GruLayer, Layer, LstmLayer, RecurrentLayer } from './layers.ts';
import { gatesOf } from './plan.ts';
import type { Place, Step, StepContext } from './step.ts';

const f = Math.fround;

/** Runs one direction over the sequence; leaves all hidden states in `all` or the last ones in `h`. */
interface Direction {
  /** Place of the hidden states after the last step, dense `[rows, units]`. */
  readonly h: number;
  run(rows: number, mask: Uint8Array | undefined): void;
}

/** Where a direction puts its hidden states: `all` with one row of `ld` floats for each step, from column `at`. */
interface Target {
  readonly at: number;
  readonly ld: number;
  /** Index of the output step for the t-th step that is read. */
  stepOf(t: number): number;
}

/** @returns undefined for a layer of another kind */
export function recurrentStep(
  layer: Layer,
  input: Place,
  outputShape: readonly number[],
  context: StepContext,
): Step | undefined {
  if (layer.type === 'Bidirectional') return bidirectional(layer, input, outputShape, context);
  if (layer.type !== 'LSTM' && layer.type !== 'GRU' && layer.type !== 'SimpleRNN') return undefined;
  const { units, returnSequences } = layer;
  const steps = input.shape[0]!;
  const at = returnSequences ? context.arena.take(context.rows * steps * units) : -1;
  const target = returnSequences ? { at, ld: units, stepOf: (t: number) => t } : undefined;
  const run = direction(layer, layer.name, layer.goBackwards, input, target, context);
  return {
    output: { at: returnSequences ? at : run.h, shape: outputShape },
    run(rows, mask) {
      run.run(rows, mask);
      // Not reversed where the layer reads backwards: neither does Keras.
      return returnSequences ? mask : undefined;
    },
  };
}

function bidirectional(
  layer: BidirectionalLayer,
  input: Place,
  outputShape: readonly number[],
  context: StepContext,
): Step {
  const { mergeMode, layer: inner } = layer;
  const { units, returnSequences } = inner;
  const { kernel, rows: capacity, arena } = context;
  const steps = input.shape[0]!;
  const slots = returnSequences ? steps : 1;
  const forwardAll = arena.take(capacity * slots * units);
  const backwardAll = arena.take(capacity * slots * units);
  const target = (at: number, back: boolean): Target | undefined =>
    returnSequences ? { at, ld: units, stepOf: (t) => (back ? steps - 1 - t : t) } : undefined;
  // Keras turns zero outputs on where sequences are merged.
  const one: RecurrentLayer = { ...inner, zeroOutputForMask: returnSequences };
  const forward = direction(one, `${layer.name}/forward`, false, input, target(forwardAll, false), context);
  const backward = direction(one, `${layer.name}/backward`, true, input, target(backwardAll, true), context);
  const a = returnSequences ? forwardAll : forward.h;
  const b = returnSequences ? backwardAll : backward.h;
  const width = mergeMode === 'concat' ? 2 * units : units;
  const out = arena.take(capacity * slots * width);
  return {
    output: { at: out, shape: outputShape },
    run(rows, mask) {
      forward.run(rows, mask);
      backward.run(rows, mask);
      const { heap } = kernel;
      for (let r = 0; r < rows * slots; r++) {
        for (let u = 0; u < units; u++) {
          const x = heap[a + r * units + u]!;
          const y = heap[b + r * units + u]!;
          if (mergeMode === 'concat') {
            heap[out + r * width + u] = x;
            heap[out + r * width + units + u] = y;
          } else {
            heap[out + r * width + u] = mergeMode === 'mul' ? x * y : mergeMode === 'sum' ? x + y : f(x + y) / 2;
          }
        }
      }
      return returnSequences ? mask : undefined;
    },
  };
}

/** One pass over the sequence: sums of the gates by the kernel, then the cell; masked steps keep the state. */
function direction(
  layer: RecurrentLayer,
  name: string,
  backwards: boolean,
  input: Place,
  target: Target | undefined,
  context: StepContext,
): Direction {
  const { kernel, arena, rows: capacity, weight } = context;
  const [steps, features] = input.shape as [number, number];
  const { units } = layer;
  const columns = gatesOf(layer) * units;
  const after = layer.type === 'GRU' && layer.resetAfter;
  const w = weight(`${name}/kernel`);
  const u = weight(`${name}/recurrent_kernel`);
  // Without a bias a row of zeros stands in for it.
  const biases = layer.useBias ? weight(`${name}/bias`) : arena.take(2 * columns);
  const h = arena.take(capacity * units);
  const output = arena.take(capacity * units);
  const fresh = arena.take(capacity * units);
  const z = arena.take(capacity * columns);
  const recurrent = arena.take(capacity * columns);
  const cell = cellOf(layer, context, { h, fresh, z, recurrent, u, columns });
  return {
    h: output,
    run(rows, mask) {
      const { heap } = kernel;
      heap.fill(0, h, h + rows * units);
      heap.fill(0, output, output + rows * units);
      cell.reset(rows);
      for (let t = 0; t < steps; t++) {
        const step = backwards ? steps - 1 - t : t;
        kernel.fillRows(rows, columns, biases, z, columns);
        kernel.multiply(rows, features, columns, input.at + step * features, steps * features, w, z, columns);
        if (after) kernel.fillRows(rows, columns, biases + columns, recurrent, columns);
        cell.run(rows, mask === undefined ? undefined : (r) => mask[r * steps + step] !== 0);
        for (let r = 0; r < rows; r++) {
          const counts = mask === undefined || mask[r * steps + step] !== 0;
          const row = r * units;
          // A masked step changes neither the state nor the output: the output of the step before is repeated.
          if (!counts && layer.zeroOutputForMask) heap.fill(0, output + row, output + row + units);
          if (counts) {
            heap.copyWithin(h + row, fresh + row, fresh + row + units);
            heap.copyWithin(output + row, fresh + row, fresh + row + units);
          }
          if (target !== undefined) {
            const place = target.at + (r * steps + target.stepOf(t)) * target.ld;
            heap.copyWithin(place, output + row, output + row + units);
          }
        }
      }
    },
  };
}

interface CellPlaces {
  readonly h: number;
  readonly fresh: number;
  /** `[rows, columns]`: bias + input product when the cell runs. */
  readonly z: number;
  readonly recurrent: number;
  readonly u: number;
  readonly columns: number;
}

interface Cell {
  reset(rows: number): void;
  /** From h to fresh. `counts` tells for a row whether the cell's own state may change. */
  run(rows: number, counts: ((row: number) => boolean) | undefined): void;
}

function cellOf(layer: RecurrentLayer, context: StepContext, places: CellPlaces): Cell {
  switch (layer.type) {
    case 'LSTM':
      return lstmCell(layer, context, places);
    case 'GRU':
      return gruCell(layer, context, places);
    case 'SimpleRNN': {
      const { kernel } = context;
      const { units, activation } = layer;
      return {
        reset() {},
        run(rows) {
          kernel.multiply(rows, units, units, places.h, units, places.u, places.z, units);
          kernel.heap.copyWithin(places.fresh, places.z, places.z + rows * units);
          activate(activation, kernel.heap, places.fresh, rows, units);
        },
      };
    }
  }
}

function lstmCell(layer: LstmLayer, { kernel, arena, rows: capacity }: StepContext, places: CellPlaces): Cell {
  const { units } = layer;
  const { h, fresh, z, u, columns } = places;
  const c = arena.take(capacity * units);
  const next = arena.take(capacity * units);
  const squashed = arena.take(capacity * units);
  const standard = layer.activation === 'tanh' && layer.recurrentActivation === 'sigmoid';
  const gate = pointwise(layer.recurrentActivation);
  const squash = pointwise(layer.activation);
  return {
    reset(rows) {
      kernel.heap.fill(0, c, c + rows * units);
    },
    run(rows, counts) {
      const { heap } = kernel;
      kernel.multiply(rows, units, columns, h, units, u, z, columns);
      if (standard) {
        kernel.cell(rows, units, z, c, next, squashed, fresh);
      } else {
        for (let r = 0; r < rows; r++) {
          for (let i = 0; i < units; i++) {
            const at = z + r * columns + i;
            const own = r * units + i;
            const kept = f(gate(heap[at + units]!) * heap[c + own]!);
            const state = f(kept + f(gate(heap[at]!) * squash(heap[at + 2 * units]!)));
            heap[next + own] = state;
            heap[fresh + own] = gate(heap[at + 3 * units]!) * squash(state);
          }
        }
      }
      if (counts === undefined) heap.copyWithin(c, next, next + rows * units);
      else {
        for (let r = 0; r < rows; r++) {
          if (counts(r)) heap.copyWithin(c + r * units, next + r * units, next + (r + 1) * units);
        }
      }
    },
  };
}

/** Gates in Keras's order: update z, reset r, candidate. */
function gruCell(layer: GruLayer, { kernel, arena, rows: capacity, weight: _ }: StepContext, places: CellPlaces): Cell {
  const { units, resetAfter } = layer;
  const { h, fresh, z, recurrent, u, columns } = places;
  const gate = pointwise(layer.recurrentActivation);
  const squash = pointwise(layer.activation);
  const combine = (heap: Float32Array, own: number, update: number, candidate: number) => {
    heap[fresh + own] = f(f(update * heap[h + own]!) + f(f(1 - update) * candidate));
  };
  if (resetAfter) {
    return {
      reset() {},
      run(rows) {
        const { heap } = kernel;
        kernel.multiply(rows, units, columns, h, units, u, recurrent, columns);
        for (let r = 0; r < rows; r++) {
          for (let i = 0; i < units; i++) {
            const at = r * columns + i;
            const update = gate(f(heap[z + at]! + heap[recurrent + at]!));
            const reset = gate(f(heap[z + at + units]! + heap[recurrent + at + units]!));
            const own = f(reset * heap[recurrent + at + 2 * units]!);
            combine(heap, r * units + i, update, squash(f(heap[z + at + 2 * units]! + own)));
          }
        }
      },
    };
  }
  // Before the product: the reset hidden state is multiplied with the candidate's columns of the recurrent kernel,
  // which are copied to a dense block of their own once.
  const gates = arena.take(units * 2 * units);
  const candidate = arena.take(units * units);
  const scaled = arena.take(capacity * units);
  const sums = arena.take(capacity * 2 * units);
  const third = arena.take(capacity * units);
  let prepared = false;
  return {
    reset() {
      if (prepared) return;
      prepared = true;
      for (let k = 0; k < units; k++) {
        const row = u + k * columns;
        kernel.heap.copyWithin(gates + k * 2 * units, row, row + 2 * units);
        kernel.heap.copyWithin(candidate + k * units, row + 2 * units, row + 3 * units);
      }
    },
    run(rows) {
      const { heap } = kernel;
      for (let r = 0; r < rows; r++) {
        heap.copyWithin(sums + r * 2 * units, z + r * columns, z + r * columns + 2 * units);
        heap.copyWithin(third + r * units, z + r * columns + 2 * units, z + (r + 1) * columns);
      }
      kernel.multiply(rows, units, 2 * units, h, units, gates, sums, 2 * units);
      for (let r = 0; r < rows; r++) {
        for (let i = 0; i < units; i++) {
          const reset = gate(heap[sums + r * 2 * units + units + i]!);
          heap[scaled + r * units + i] = reset * heap[h + r * units + i]!;
        }
      }
      kernel.multiply(rows, units, units, scaled, units, candidate, third, units);
      for (let r = 0; r < rows; r++) {
        for (let i = 0; i < units; i++) {
          const own = r * units + i;
          combine(heap, own, gate(heap[sums + r * 2 * units + i]!), squash(heap[third + own]!));
        }
      }
    },
  };
}
