import type { Arena, Kernel } from '../kernel/kernel.ts';
import type { Network, NetworkHome } from '../kernel/network.ts';
import { type ParameterLayout, place } from '../parameters.ts';
import { type LstmSizes, lstmLayout } from './parameters.ts';

/** A layer's places. Activations lie step after step, `[steps, rows of the call, …]`. */
interface Layer {
  readonly inputs: number;
  readonly kernel: number;
  readonly recurrent: number;
  readonly bias: number;
  readonly gates: number;
  readonly c: number;
  readonly tanhC: number;
  readonly h: number;
  /** Transposed weights and the gradient by the outputs of all steps; only for training. */
  readonly kernelT: number;
  readonly recurrentT: number;
  readonly dh: number;
}

/**
 * A plain LSTM over single steps on a kernel: one or more layers, the last hidden state decoded at once, or step by step.
 * For serving, steps share one place; for training, all activations are kept.
 */
export class LstmNetwork implements Network {
  readonly layout: ParameterLayout;
  readonly rows: number;
  readonly input: number;
  readonly output: number;
  readonly outputStride: number;
  readonly dropoutPerRow = 0;
  readonly gradientSize: number;
  readonly teacher: boolean;
  readonly #sizes: LstmSizes;
  readonly #kernel: Kernel;
  readonly #layers: readonly Layer[];
  readonly #training: boolean;
  /** Steps of a forward pass, and values that the head gives. */
  readonly #steps: number;
  readonly #outputs: number;
  readonly #head: { readonly kernel: number; readonly bias: number; readonly kernelT: number };
  readonly #zeros: number;
  readonly #dc: number;
  readonly #carried: number;

  constructor(sizes: LstmSizes, rows: number, { kernel, arena, weights, training }: NetworkHome) {
    const { shape, width: d, features, decoding } = sizes;
    this.#sizes = sizes;
    this.#kernel = kernel;
    this.#training = training;
    this.rows = rows;
    this.layout = lstmLayout(sizes);
    this.gradientSize = this.layout.size;
    this.teacher = training && decoding === 'autoregressive';
    this.#outputs = decoding === 'direct' ? shape.horizon : 1;
    this.#steps = this.teacher ? shape.lookback + shape.horizon - 1 : shape.lookback;
    this.outputStride = this.teacher ? this.#steps : shape.horizon;
    this.input = arena.take(rows * this.#steps * features);
    this.output = arena.take(rows * this.outputStride);
    const kept = training ? this.#steps : 1;
    const at = (name: string) => weights + place(this.layout, name);
    this.#layers = Array.from({ length: sizes.layers }, (_, i) => {
      const inputs = i === 0 ? features : d;
      return {
        inputs,
        kernel: at(`lstm_${i}/kernel`),
        recurrent: at(`lstm_${i}/recurrent`),
        bias: at(`lstm_${i}/bias`),
        gates: arena.take(kept * rows * 4 * d),
        c: arena.take(kept * rows * d),
        tanhC: arena.take(kept * rows * d),
        h: arena.take(kept * rows * d),
        kernelT: take(arena, training, inputs * 4 * d),
        recurrentT: take(arena, training, 4 * d * d),
        dh: take(arena, training, kept * rows * d),
      };
    });
    this.#head = {
      kernel: at('output/kernel'),
      bias: at('output/bias'),
      kernelT: take(arena, training, d * this.#outputs),
    };
    this.#zeros = arena.take(rows * d);
    this.#dc = take(arena, training, rows * d);
    this.#carried = take(arena, training, rows * d);
  }

  prepare(): void {
    if (!this.#training) return;
    const k = this.#kernel;
    const { width: d } = this.#sizes;
    for (const layer of this.#layers) {
      k.transpose(layer.inputs, 4 * d, layer.kernel, layer.kernelT);
      k.transpose(d, 4 * d, layer.recurrent, layer.recurrentT);
    }
    k.transpose(d, this.#outputs, this.#head.kernel, this.#head.kernelT);
  }

  forward(rows: number): void {
    const { features, shape, decoding } = this.#sizes;
    const ld = this.#steps * features;
    for (let t = 0; t < this.#steps; t++) {
      this.#step(rows, t, this.input + t * features, ld);
      if (this.teacher) this.#decode(rows, t, this.output + t);
    }
    if (this.teacher) return;
    this.#decode(rows, this.#steps - 1, this.output);
    if (decoding === 'direct') return;
    // Every value forecast is the input of the next step.
    for (let i = 1; i < shape.horizon; i++) {
      this.#step(rows, this.#steps - 1 + i, this.output + i - 1, this.outputStride);
      this.#decode(rows, this.#steps - 1 + i, this.output + i);
    }
  }

  backward(rows: number, gradients: number): void {
    const k = this.#kernel;
    const { heap } = k;
    const { features, width: d } = this.#sizes;
    const g = (name: string) => gradients + place(this.layout, name);
    const top = this.#layers[this.#layers.length - 1]!;
    const all = this.#steps * rows * d;
    for (const layer of this.#layers) heap.fill(0, layer.dh, layer.dh + all);
    for (let t = this.teacher ? 0 : this.#steps - 1; t < this.#steps; t++) {
      const dy = this.output + (this.teacher ? t : 0);
      const h = top.h + t * rows * d;
      k.multiplyTransposed(rows, d, this.#outputs, h, d, dy, this.outputStride, g('output/kernel'));
      k.sumRows(rows, this.#outputs, dy, this.outputStride, g('output/bias'));
      k.multiply(rows, this.#outputs, d, dy, this.outputStride, this.#head.kernelT, top.dh + t * rows * d, d);
    }
    for (let i = this.#layers.length - 1; i >= 0; i--) {
      const layer = this.#layers[i]!;
      heap.fill(0, this.#dc, this.#dc + rows * d);
      heap.fill(0, this.#carried, this.#carried + rows * d);
      for (let t = this.#steps - 1; t >= 0; t--) {
        const z = layer.gates + t * rows * 4 * d;
        const dh = layer.dh + t * rows * d;
        k.add(rows * d, this.#carried, dh);
        const cBefore = t > 0 ? layer.c + (t - 1) * rows * d : this.#zeros;
        k.cellGradient(rows, d, z, cBefore, layer.tanhC + t * rows * d, dh, this.#dc);
        if (t === 0) break;
        heap.fill(0, this.#carried, this.#carried + rows * d);
        k.multiply(rows, 4 * d, d, z, 4 * d, layer.recurrentT, this.#carried, d);
      }
      const count = this.#steps * rows;
      k.sumRows(count, 4 * d, layer.gates, 4 * d, g(`lstm_${i}/bias`));
      const later = layer.gates + rows * 4 * d;
      k.multiplyTransposed(count - rows, d, 4 * d, layer.h, d, later, 4 * d, g(`lstm_${i}/recurrent`));
      if (i > 0) {
        const below = this.#layers[i - 1]!;
        k.multiplyTransposed(count, d, 4 * d, below.h, d, layer.gates, 4 * d, g(`lstm_${i}/kernel`));
        k.multiply(count, 4 * d, d, layer.gates, 4 * d, layer.kernelT, below.dh, d);
        continue;
      }
      const ld = this.#steps * features;
      for (let t = 0; t < this.#steps; t++) {
        const z = layer.gates + t * rows * 4 * d;
        k.multiplyTransposed(rows, features, 4 * d, this.input + t * features, ld, z, 4 * d, g('lstm_0/kernel'));
      }
    }
  }

  finishGradients(): void {}

  /** One step of all layers on the values at `x`. */
  #step(rows: number, t: number, x: number, ldX: number): void {
    const k = this.#kernel;
    const { width: d } = this.#sizes;
    const [now, before] = this.#training ? [t, t - 1] : [0, 0];
    let [below, ld] = [x, ldX];
    for (const layer of this.#layers) {
      const z = layer.gates + now * rows * 4 * d;
      const state = layer.h + before * rows * d;
      const units = t > 0 ? d : 0;
      k.gates(rows, layer.inputs, units, 4 * d, layer.bias, below, ld, layer.kernel, state, d, layer.recurrent, z);
      const cBefore = t > 0 ? layer.c + before * rows * d : this.#zeros;
      const h = layer.h + now * rows * d;
      k.cell(rows, d, z, cBefore, layer.c + now * rows * d, layer.tanhC + now * rows * d, h);
      [below, ld] = [h, d];
    }
  }

  #decode(rows: number, t: number, out: number): void {
    const k = this.#kernel;
    const { width: d } = this.#sizes;
    const h = this.#layers[this.#layers.length - 1]!.h + (this.#training ? t * rows * d : 0);
    k.fillRows(rows, this.#outputs, this.#head.bias, out, this.outputStride);
    k.multiply(rows, d, this.#outputs, h, d, this.#head.kernel, out, this.outputStride);
  }
}

function take(arena: Arena, wanted: boolean, floats: number): number {
  return wanted ? arena.take(floats) : -1;
}
