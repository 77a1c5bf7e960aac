import { Arena, type Kernel } from '../kernel/kernel.ts';
import { measureNetwork, type Network, type NetworkFactory } from '../kernel/network.ts';
import { wasmKernel } from '../kernel/wasm.ts';
import { Random } from '../random.ts';
import type { TrainingSet, TrainSettings } from '../trainer.ts';
import { networkFactory } from './families.ts';
import { type Loss, pointGradient, pointLoss } from './loss.ts';
import { type DrawnWindows, drawWindows, windowBuffer } from './windows.ts';

/**
 * A step's batch is cut into chunks of a fixed number of windows. Each chunk sums its gradient for itself, and the sums
 * are added in the order of the chunks, so that the result is the same with any number of threads.
 */

/** Indices into `ChunkShare.control`. */
export const CONTROL = { generation: 0, next: 1, done: 2, chunks: 3, count: 4, measured: 5, step: 6 } as const;
export const MOST_CHUNKS = 255;

/** Everything that training threads share; every array lies on shared memory. */
export interface ChunkShare {
  readonly memory: WebAssembly.Memory;
  readonly threads: number;
  readonly set: TrainingSet;
  readonly settings: TrainSettings;
  readonly chunkRows: number;
  readonly places: ChunkPlaces;
  readonly control: Int32Array;
  /** Windows of the batch, indices into `set.train`. */
  readonly batch: Int32Array;
  /** Sum of the loss over the labels of each chunk. */
  readonly losses: Float64Array;
}

/** Places on the common heap. */
export interface ChunkPlaces {
  readonly weights: number;
  /** Gradient of each chunk, `gradientSize` floats each. */
  readonly gradients: number;
  readonly gradientSize: number;
  /** First float of each thread's own part. */
  readonly threads: readonly number[];
}

/** Floats that a thread needs for its network and the factors of dropout. */
export function threadFloats(factory: NetworkFactory, chunkRows: number): number {
  const { floats, network } = measureNetwork(factory, chunkRows, true);
  return floats + network.dropoutPerRow * chunkRows + 8;
}

/** Takes the next chunk of a generation, or −1 when there is none left or the generation is over. */
export function claim(control: Int32Array, generation: number): number {
  for (;;) {
    const next = Atomics.load(control, CONTROL.next);
    const chunk = next & 0xff;
    if (next >> 8 !== generation || chunk >= control[CONTROL.chunks]!) return -1;
    if (Atomics.compareExchange(control, CONTROL.next, next, next + 1) === next) return chunk;
  }
}

export function generationOf(control: Int32Array): number {
  return Atomics.load(control, CONTROL.generation);
}

/** Computes loss and gradient of chunks on one thread. */
export class ChunkRunner {
  readonly #share: ChunkShare;
  readonly #kernel: Kernel;
  readonly #network: Network;
  readonly #drawn: DrawnWindows;
  readonly #dropout: number;
  #prepared = 0;

  constructor(share: ChunkShare, thread: number) {
    const { settings, chunkRows, places, set } = share;
    this.#share = share;
    this.#kernel = wasmKernel(share.memory, thread, share.threads);
    const arena = new Arena(places.threads[thread]);
    const factory = networkFactory(set.shape, settings);
    const home = { kernel: this.#kernel, arena, weights: places.weights, training: true };
    this.#network = factory(chunkRows, home);
    const factors = this.#network.dropoutPerRow * chunkRows;
    this.#dropout = settings.dropout > 0 && factors > 0 ? arena.take(factors) : -1;
    this.#drawn = windowBuffer(set, chunkRows);
  }

  run(generation: number, chunk: number): void {
    const { control, places, set, settings, chunkRows, batch, losses } = this.#share;
    if (this.#prepared !== generation) {
      this.#network.prepare();
      this.#prepared = generation;
    }
    const { heap } = this.#kernel;
    const gradients = places.gradients + chunk * places.gradientSize;
    heap.fill(0, gradients, gradients + places.gradientSize);
    const from = chunk * chunkRows;
    const to = Math.min(from + chunkRows, control[CONTROL.count]!);
    const hide = this.#drawn.layout && new Random(settings.seed, 6, control[CONTROL.step]!, chunk);
    drawWindows(set, set.train, from, to, this.#drawn, batch, hide);
    this.#loadInput(to - from);
    if (this.#dropout >= 0) this.#drawFactors(control[CONTROL.step]!, chunk, settings);
    this.#network.forward(to - from, this.#dropout);
    losses[chunk] = this.#lossGradient(from, to - from, control[CONTROL.measured]!, settings);
    this.#network.backward(to - from, gradients, this.#dropout);
    Atomics.add(control, CONTROL.done, 1);
    Atomics.notify(control, CONTROL.done);
  }

  #loadInput(rows: number): void {
    const { lookback, horizon } = this.#share.set.shape;
    const { heap } = this.#kernel;
    const { input, teacher } = this.#network;
    const { values, labels } = this.#drawn;
    const fed = teacher ? horizon - 1 : 0;
    const { inputs } = this.#network;
    if (inputs !== undefined) heap.set(this.#drawn.inputs.subarray(0, rows * inputs.size), this.#network.inputRows!);
    for (let r = 0; r < rows; r++) {
      const start = r * lookback;
      const last = values[start + lookback - 1]!;
      const row = input + r * (lookback + fed);
      for (let i = 0; i < lookback; i++) heap[row + i] = Math.fround(values[start + i]! - last);
      for (let i = 0; i < fed; i++) heap[row + lookback + i] = Math.fround(labels[r * horizon + i]! - last);
    }
  }

  /** Drawn for each step and chunk anew, whichever thread runs it. */
  #drawFactors(step: number, chunk: number, { seed, dropout }: TrainSettings): void {
    const random = new Random(seed, 4, step, chunk);
    const kept = 1 / (1 - dropout);
    const { heap } = this.#kernel;
    const end = this.#dropout + this.#network.dropoutPerRow * this.#share.chunkRows;
    for (let i = this.#dropout; i < end; i++) heap[i] = random.uniform() < dropout ? 0 : kept;
  }

  /** Replaces the output by the gradient of the mean loss over all measured labels of the batch. */
  #lossGradient(from: number, rows: number, measured: number, loss: Loss): number {
    const { set, batch } = this.#share;
    const { lookback, horizon } = set.shape;
    const { heap } = this.#kernel;
    const { output, outputStride, teacher } = this.#network;
    const { values, labels, weights } = this.#drawn;
    // A network trained on whole sequences also gives the values of the window itself, all but the first.
    const ahead = teacher ? lookback - 1 : 0;
    let sum = 0;
    for (let r = 0; r < rows; r++) {
      const last = values[(r + 1) * lookback - 1]!;
      const row = output + r * outputStride;
      const start = set.train.starts[batch[from + r]!]! + 1;
      for (let i = 0; i < ahead; i++) {
        sum += this.#errorAt(row + i, values[r * lookback + 1 + i]! - last, set.measured[start + i]!, measured, loss);
      }
      for (let i = 0; i < horizon; i++) {
        const at = r * horizon + i;
        sum += this.#errorAt(row + ahead + i, labels[at]! - last, weights[at]!, measured, loss);
      }
      heap.fill(0, row + ahead + horizon, row + outputStride);
    }
    return sum;
  }

  /** Replaces an output by its share of the gradient. @returns its loss */
  #errorAt(place: number, label: number, counts: number, measured: number, loss: Loss): number {
    const { heap } = this.#kernel;
    if (counts === 0) {
      heap[place] = 0;
      return 0;
    }
    const error = heap[place]! - label;
    heap[place] = pointGradient(loss, error) / measured;
    return pointLoss(loss, error);
  }
}
