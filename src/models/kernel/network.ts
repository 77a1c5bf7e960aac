import type { InputLayout } from '../inputs/row.ts';
import type { WindowBatch, WindowShape } from '../model.ts';
import type { ParameterLayout } from '../parameters.ts';
import { Arena, type Kernel } from './kernel.ts';
import { createKernel } from './load.ts';
import { loadWindows, storeForecasts } from './windows.ts';

/** A family's forward and backward pass on a kernel, for up to `rows` windows at a time. */
export interface Network {
  readonly layout: ParameterLayout;
  readonly rows: number;
  /** Place of the windows less their last value, `[rows, lookback]`. */
  readonly input: number;
  /** Place of the forecasts less the last value, rows of `outputStride` floats, the horizon first. */
  readonly output: number;
  readonly outputStride: number;
  /** The layout of {@link inputRows}; undefined for a network that sees its own series alone. */
  readonly inputs?: InputLayout | undefined;
  /** Place of the rows of inputs, `[rows, inputs.size]`. */
  readonly inputRows?: number;
  /** Factors that `dropout` of {@link forward} has for each row; 0 where the family knows no dropout. */
  readonly dropoutPerRow: number;
  /**
   * Trained on whole sequences: `input` then holds lookback + horizon − 1 steps (the labels fed back), and `output` the
   * value after each of them.
   */
  readonly teacher: boolean;
  /** Floats that a gradient needs: the parameters, and what {@link finishGradients} carries on. */
  readonly gradientSize: number;
  /** Computes what follows from the weights alone; call it after they have changed. */
  prepare(): void;
  /** From `input` to `output`. @param dropout place of `dropoutPerRow × this.rows` factors, or −1 */
  forward(rows: number, dropout?: number): void;
  /**
   * Adds the gradients of the windows that went through {@link forward} last to the place `gradients`. `output` holds
   * the gradient of the loss by the output. Only for networks made for training.
   */
  backward(rows: number, gradients: number, dropout?: number): void;
  /** Once for all rows: the part of the gradient that does not depend on windows. */
  finishGradients(gradients: number): void;
}

/** Where a network lives. */
export interface NetworkHome {
  readonly kernel: Kernel;
  readonly arena: Arena;
  /** Place of the weights, `layout.size` floats. */
  readonly weights: number;
  /** Keep all activations, so that `backward` is possible. */
  readonly training: boolean;
}

export type NetworkFactory = (rows: number, home: NetworkHome) => Network;

/** Windows that go through a served network at a time: keeps the activations in the cache. No influence on results. */
const ROWS = 32;
const NO_KERNEL = { heap: new Float32Array(0) } as Kernel;

/** Floats that a network takes of an arena, and its layout. */
export function measureNetwork(
  factory: NetworkFactory,
  rows: number,
  training: boolean,
): { readonly floats: number; readonly network: Network } {
  const arena = new Arena();
  const network = factory(rows, { kernel: NO_KERNEL, arena, weights: 0, training });
  return { floats: arena.used, network };
}

/** Copies the rows of inputs of windows `from … from + rows`; a batch without any is served as if none were known. */
function loadInputs(heap: Float32Array, network: Network, { inputs }: WindowBatch, from: number, rows: number): void {
  if (network.inputs === undefined) return;
  const { size } = network.inputs;
  const place = network.inputRows!;
  if (inputs === undefined) heap.fill(0, place, place + rows * size);
  else heap.set(inputs.subarray(from * size, (from + rows) * size), place);
}

/** A network for serving on a kernel of its own. @param pack writes the weights, called once */
export function servedNetwork(
  factory: NetworkFactory,
  shape: WindowShape,
  pack: (weights: Float32Array) => void,
): (batch: WindowBatch, out: Float32Array) => void {
  const { floats, network: measured } = measureNetwork(factory, ROWS, false);
  const { size } = measured.layout;
  const kernel = createKernel(size + floats);
  pack(kernel.heap.subarray(0, size));
  const network = factory(ROWS, { kernel, arena: new Arena(size), weights: 0, training: false });
  network.prepare();
  return networkForecaster(kernel, network, shape);
}

/** `Model.forecast` on a network whose weights are prepared. */
export function networkForecaster(
  { heap }: Kernel,
  network: Network,
  shape: WindowShape,
): (batch: WindowBatch, out: Float32Array) => void {
  return (batch, out) => {
    for (let from = 0; from < batch.count; from += network.rows) {
      const rows = Math.min(network.rows, batch.count - from);
      loadWindows(heap, network.input, batch, from, rows, shape.lookback);
      loadInputs(heap, network, batch, from, rows);
      network.forward(rows);
      storeForecasts(heap, network.output, network.outputStride, shape, batch, from, rows, out);
    }
  };
}
