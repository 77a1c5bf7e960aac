import { expect } from 'vitest';
import { Arena } from '../../src/models/kernel/kernel.ts';
import { createKernel } from '../../src/models/kernel/load.ts';
import { measureNetwork, type Network, type NetworkFactory } from '../../src/models/kernel/network.ts';
import type { Tensor } from '../../src/models/model.ts';
import { packTensors, unpackTensors } from '../../src/models/parameters.ts';
import { Random } from '../../src/models/random.ts';

/** A network in training form with random inputs, and half the squared error against random labels as its loss. */
export interface GradientBench {
  readonly network: Network;
  readonly heap: Float32Array;
  readonly weights: number;
  readonly inputs: Float32Array;
  readonly labels: Float64Array;
  loss(): number;
  /** Gradients of the loss by every tensor, computed by the network. */
  gradients(): Tensor[];
}

export function gradientBench(
  factory: NetworkFactory,
  initial: readonly Tensor[],
  rows: number,
  inputSize: number,
  withDropout = false,
): GradientBench {
  const measured = measureNetwork(factory, rows, true);
  const arena = new Arena();
  const weights = arena.take(measured.network.layout.size);
  const gradients = arena.take(measured.network.gradientSize);
  const factors = withDropout ? arena.take(measured.network.dropoutPerRow * rows) : -1;
  const kernel = createKernel(arena.used + measured.floats);
  const { heap } = kernel;
  const network = factory(rows, { kernel, arena, weights, training: true });
  packTensors(network.layout, initial, heap.subarray(weights, weights + network.layout.size));
  const random = new Random(9);
  const inputs = Float32Array.from({ length: rows * inputSize }, () => random.normal());
  const further = Float32Array.from({ length: rows * (network.inputs?.size ?? 0) }, () => random.normal());
  if (withDropout) {
    for (let i = 0; i < network.dropoutPerRow * rows; i++) heap[factors + i] = random.uniform() < 0.3 ? 0 : 1 / 0.7;
  }
  const outputs = rows * network.outputStride;
  const labels = Float64Array.from({ length: outputs }, () => random.normal());
  const loss = () => {
    heap.set(inputs, network.input);
    if (network.inputRows !== undefined) heap.set(further, network.inputRows);
    network.prepare();
    network.forward(rows, factors);
    let sum = 0;
    for (let i = 0; i < outputs; i++) sum += 0.5 * (heap[network.output + i]! - labels[i]!) ** 2;
    return sum;
  };
  return {
    network,
    heap,
    weights,
    inputs,
    labels,
    loss,
    gradients() {
      loss();
      for (let i = 0; i < outputs; i++) heap[network.output + i] = heap[network.output + i]! - labels[i]!;
      heap.fill(0, gradients, gradients + network.gradientSize);
      network.backward(rows, gradients, factors);
      network.finishGradients(gradients);
      return unpackTensors(network.layout, heap.slice(gradients, gradients + network.layout.size));
    },
  };
}

/** Compares a network's gradients with central differences of its own loss. */
export function checkAgainstDifferences(bench: GradientBench): void {
  const { network, heap, weights } = bench;
  const analytic = bench.gradients();
  network.layout.specs.forEach((spec, tensor) => {
    for (let i = 0; i < spec.count; i += Math.max(1, spec.count >> 4)) {
      const at = weights + spec.offset + i;
      const kept = heap[at]!;
      const step = 2e-3;
      heap[at] = kept + step;
      const above = bench.loss();
      heap[at] = kept - step;
      const below = bench.loss();
      heap[at] = kept;
      const numeric = (above - below) / (2 * step);
      const tolerance = 5e-3 * Math.max(1, Math.abs(numeric));
      expect(Math.abs(numeric - analytic[tensor]!.data[i]!), `${spec.name}[${i}]`).toBeLessThan(tolerance);
    }
  });
}
