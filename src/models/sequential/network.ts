import { FleetcastError } from '../../errors.ts';
import { Arena, type Kernel } from '../kernel/kernel.ts';
import { createKernel } from '../kernel/load.ts';
import type { Tensor } from '../model.ts';
import { isForeign, type SequentialSpec } from './layers.ts';
import { checkWeights, type PlannedLayer, planSequential } from './plan.ts';
import { recurrentStep } from './recurrent.ts';
import { simpleStep } from './simple.ts';
import type { Place, Step, StepContext } from './step.ts';

const ROWS = 32;
const MAX_HEAP_FLOATS = 192 * 1024 * 1024;
/** Networks are kept for so many different numbers of steps. */
const KEPT = 8;

/**
 * A Sequential model in the project's own arithmetic: same weights and rows, same bits, however rows are batched.
 */
export class SequentialNetwork {
  readonly spec: SequentialSpec;
  readonly #weights: readonly Tensor[];
  readonly #compiled = new Map<string, Compiled>();

  /** @throws MODEL_INVALID when layers or weights do not fit */
  constructor(spec: SequentialSpec, weights: readonly Tensor[]) {
    this.spec = spec;
    this.#weights = weights;
    checkWeights(planSequential(spec), weights);
  }

  /**
   * Predictions for rows of shape `inputShape`, an open number of steps being `steps`.
   * @param values `[count, …inputShape]`; codes where the first layer is an embedding. A row with a code that the
   *   embedding does not know gives NaN.
   * @returns `[count, …outputShape]`
   * @throws MODEL_INVALID when the length fits no number of steps
   */
  predict(values: Float32Array, count: number, steps?: number): Float32Array {
    const shape = this.rowShape(values, count, steps);
    const size = shape.reduce((product, n) => product * n, 1);
    const network = this.#network(shape);
    const { input, output, kernel, rows } = network;
    const width = output.shape.reduce((product, n) => product * n, 1);
    const out = new Float32Array(count * width);
    for (let from = 0; from < count; from += rows) {
      const block = Math.min(rows, count - from);
      kernel.heap.set(values.subarray(from * size, (from + block) * size), input.at);
      let mask: Uint8Array | undefined;
      for (const step of network.steps) mask = step.run(block, mask);
      out.set(kernel.heap.subarray(output.at, output.at + block * width), from * width);
    }
    return out;
  }

  /** Sizes of one of so many rows. @throws MODEL_INVALID when the length fits no number of steps */
  rowShape(values: Float32Array, count: number, steps?: number): number[] {
    const shape = this.spec.inputShape.map((n) => n ?? steps ?? this.#stepsOf(values, count));
    if (values.length !== count * shape.reduce((product, n) => product * n, 1)) {
      throw new FleetcastError('MODEL_INVALID', `${values.length} values for ${count} rows of [${shape}]`);
    }
    return shape;
  }

  /** Sizes of one row of predictions for rows of so many steps. */
  outputShape(steps?: number): readonly number[] {
    const inputShape = this.spec.inputShape.map((n) => n ?? steps ?? 1);
    return planSequential({ ...this.spec, inputShape }).at(-1)!.output as number[];
  }

  #stepsOf(values: Float32Array, count: number): number {
    const fixed = this.spec.inputShape.reduce<number>((product, n) => product * (n ?? 1), 1);
    const steps = values.length / (count * fixed);
    if (!Number.isInteger(steps) || steps < 1) {
      throw new FleetcastError('MODEL_INVALID', `${values.length} values are no ${count} rows of one length`);
    }
    return steps;
  }

  #network(shape: readonly number[]): Compiled {
    const key = shape.join();
    let network = this.#compiled.get(key);
    if (network === undefined) {
      network = compile({ ...this.spec, inputShape: shape }, this.#weights);
      if (this.#compiled.size >= KEPT) this.#compiled.delete(this.#compiled.keys().next().value!);
      this.#compiled.set(key, network);
    }
    return network;
  }
}

interface Compiled {
  readonly kernel: Kernel;
  readonly rows: number;
  readonly input: Place;
  readonly output: Place;
  readonly steps: readonly Step[];
}

function compile(spec: SequentialSpec, weights: readonly Tensor[]): Compiled {
  const foreign = spec.layers.find(isForeign);
  if (foreign !== undefined) {
    throw new FleetcastError('MODEL_INVALID', `layer ${foreign.name} (${foreign.type}) is not in our own arithmetic`);
  }
  const plan = planSequential(spec);
  for (let rows = ROWS; ; rows >>= 1) {
    // The first pass only measures how much heap there has to be.
    const measure = new Arena();
    lay(plan, spec, weights, UNUSED, measure, rows);
    if (measure.used <= MAX_HEAP_FLOATS) {
      const kernel = createKernel(measure.used);
      return lay(plan, spec, weights, kernel, new Arena(), rows);
    }
    if (rows === 1) {
      throw new FleetcastError('MODEL_INVALID', `model ${spec.name} needs ${measure.used * 4} bytes for one row`);
    }
  }
}

function lay(
  plan: readonly PlannedLayer[],
  spec: SequentialSpec,
  weights: readonly Tensor[],
  kernel: Kernel,
  arena: Arena,
  rows: number,
): Compiled {
  const places = new Map<string, number>();
  for (const { name, data } of weights) {
    const at = arena.take(data.length);
    places.set(name, at);
    if (kernel !== UNUSED) kernel.heap.set(data, at);
  }
  const context: StepContext = { kernel, arena, rows, weight: (name) => places.get(name)! };
  const shape = spec.inputShape as number[];
  const input: Place = { at: arena.take(rows * shape.reduce((product, n) => product * n, 1)), shape };
  let from = input;
  const steps = plan.map((planned) => {
    const output = planned.output as number[];
    const step =
      recurrentStep(planned.layer, from, output, context) ?? simpleStep(planned.layer, from, output, context);
    from = step.output;
    return step;
  });
  return { kernel, rows, input, output: from, steps };
}

const UNUSED = { heap: new Float32Array(0) } as unknown as Kernel;
