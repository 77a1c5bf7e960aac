import type { InputLayout } from '../inputs/row.ts';
import type { Arena, Kernel } from '../kernel/kernel.ts';
import type { Network, NetworkHome } from '../kernel/network.ts';
import { type ParameterLayout, place } from '../parameters.ts';
import { type SegmentLstmSizes, segmentLstmLayout } from './parameters.ts';

/**
 * The segment LSTM on a kernel, for up to `rows` windows at a time: forward, and with `training` also backward.
 *
 *     z = x − x[L−1], in segments s₁ … sₙ      eₜ = relu(sₜ E + b_E)
 *     (hₜ, cₜ) = LSTM(eₜ, hₜ₋₁, cₜ₋₁) from zero
 *     for each segment j of the horizon: (ĥⱼ, ĉⱼ) = LSTM(posⱼ, hₙ, cₙ);  yⱼ = ĥⱼ O + b_O + x[L−1]
 *
 * `posⱼ Wx + b` is a table and `hₙ Wh` is common to all j, so that decoding costs one recurrent product in all.
 */
export class SegmentLstmNetwork implements Network {
  readonly sizes: SegmentLstmSizes;
  readonly layout: ParameterLayout;
  readonly rows: number;
  readonly input: number;
  readonly inputs: InputLayout | undefined;
  readonly inputRows: number;
  readonly output: number;
  readonly outputStride: number;
  readonly dropoutPerRow: number;
  readonly gradientSize: number;
  readonly teacher = false;
  readonly #kernel: Kernel;
  readonly #at: Readonly<Record<string, number>>;
  readonly #table: number;
  readonly #zeros: number;
  /** Places by step: the activations of all steps are kept for training, otherwise the steps share one place. */
  readonly #embedded: readonly number[];
  readonly #gates: readonly number[];
  readonly #c: readonly number[];
  readonly #tanhC: readonly number[];
  readonly #h: readonly number[];
  readonly #recurrent: number;
  /** `covariates/decoder` times the cell's kernel, `[covariates, 4 · width]`. */
  readonly #covariateTable: number;
  readonly #training: TrainingPlaces | undefined;

  constructor(sizes: SegmentLstmSizes, rows: number, home: NetworkHome) {
    const { arena, weights } = home;
    const { width: d, segment, encoded, decoded, shape } = sizes;
    this.sizes = sizes;
    this.rows = rows;
    this.layout = segmentLstmLayout(sizes);
    this.#kernel = home.kernel;
    this.outputStride = decoded * segment;
    this.dropoutPerRow = decoded * d;
    this.inputs = sizes.inputs;
    const covariates = sizes.inputs?.covariates ?? 0;
    // Behind the parameters: the gradient of the decoder's tables.
    this.gradientSize = this.layout.size + (decoded + covariates) * 4 * d;
    const places: Record<string, number> = {};
    for (const { name } of this.layout.specs) places[name] = weights + place(this.layout, name);
    this.#at = places;
    this.#table = arena.take(decoded * 4 * d);
    this.#zeros = arena.take(rows * d);
    this.input = arena.take(rows * shape.lookback);
    this.output = arena.take(rows * decoded * segment);
    const steps = encoded + decoded;
    const slots = (count: number, floats: number) => {
      if (home.training) {
        const first = arena.take(count * floats);
        return Array.from({ length: count }, (_, i) => first + i * floats);
      }
      return new Array<number>(count).fill(arena.take(floats));
    };
    this.#embedded = slots(encoded, rows * d);
    this.#gates = slots(steps, rows * 4 * d);
    this.#tanhC = slots(steps, rows * d);
    // The state after the last segment read is needed by every segment forecast: those have places of their own.
    this.#c = [...slots(encoded, rows * d), ...slots(decoded, rows * d)];
    this.#h = [...slots(encoded, rows * d), ...slots(decoded, rows * d)];
    this.#recurrent = arena.take(rows * 4 * d);
    this.inputRows = arena.take(rows * (sizes.inputs?.size ?? 0));
    this.#covariateTable = arena.take(covariates * 4 * d);
    this.#training = home.training ? trainingPlaces(sizes, rows, arena) : undefined;
  }

  prepare(): void {
    const k = this.#kernel;
    const { width: d, segment, decoded } = this.sizes;
    k.fillRows(decoded, 4 * d, this.#at['lstm/bias']!, this.#table, 4 * d);
    k.multiply(decoded, d, 4 * d, this.#at['positions']!, d, this.#at['lstm/kernel']!, this.#table, 4 * d);
    const covariates = this.inputs?.covariates ?? 0;
    if (covariates > 0) {
      k.heap.fill(0, this.#covariateTable, this.#covariateTable + covariates * 4 * d);
      const decoder = this.#at['covariates/decoder']!;
      k.multiply(covariates, d, 4 * d, decoder, d, this.#at['lstm/kernel']!, this.#covariateTable, 4 * d);
    }
    const t = this.#training;
    if (t === undefined) return;
    k.transpose(d, 4 * d, this.#at['lstm/kernel']!, t.kernelT);
    k.transpose(d, 4 * d, this.#at['lstm/recurrent']!, t.recurrentT);
    k.transpose(d, segment, this.#at['output/kernel']!, t.outputT);
  }

  forward(rows: number, dropout = -1): void {
    const k = this.#kernel;
    const at = this.#at;
    const { width: d, segment, encoded, decoded, shape } = this.sizes;
    const first = this.input + shape.lookback - encoded * segment;
    for (let t = 0; t < encoded; t++) {
      const e = this.#embedded[t]!;
      k.fillRows(rows, d, at['embedding/bias']!, e, d);
      k.multiply(rows, segment, d, first + t * segment, shape.lookback, at['embedding/kernel']!, e, d);
      this.#embedInputs(rows, t, e);
      k.relu(rows * d, e);
      const z = this.#gates[t]!;
      const units = t > 0 ? d : 0;
      const state = t > 0 ? this.#h[t - 1]! : this.#zeros;
      const [kernel, recurrent] = [at['lstm/kernel']!, at['lstm/recurrent']!];
      k.gates(rows, d, units, 4 * d, at['lstm/bias']!, e, d, kernel, state, d, recurrent, z);
      k.cell(rows, d, z, t > 0 ? this.#c[t - 1]! : this.#zeros, this.#c[t]!, this.#tanhC[t]!, this.#h[t]!);
    }
    k.heap.fill(0, this.#recurrent, this.#recurrent + rows * 4 * d);
    k.multiply(rows, d, 4 * d, this.#h[encoded - 1]!, d, at['lstm/recurrent']!, this.#recurrent, 4 * d);
    for (let j = 0; j < decoded; j++) {
      const s = encoded + j;
      k.fillRows(rows, 4 * d, this.#table + j * 4 * d, this.#gates[s]!, 4 * d);
      k.add(rows * 4 * d, this.#recurrent, this.#gates[s]!);
      const { covariates = 0, size = 0 } = this.inputs ?? {};
      if (covariates > 0) {
        k.multiply(rows, covariates, 4 * d, this.#vectorAt(s), size, this.#covariateTable, this.#gates[s]!, 4 * d);
      }
      k.cell(rows, d, this.#gates[s]!, this.#c[encoded - 1]!, this.#c[s]!, this.#tanhC[s]!, this.#h[s]!);
      if (dropout >= 0) scaleBy(k.heap, rows * d, dropout + j * this.rows * d, this.#h[s]!);
      const y = this.output + j * segment;
      k.fillRows(rows, segment, at['output/bias']!, y, decoded * segment);
      k.multiply(rows, d, segment, this.#h[s]!, d, at['output/kernel']!, y, decoded * segment);
    }
  }

  backward(rows: number, gradients: number, dropout = -1): void {
    const k = this.#kernel;
    const { heap } = k;
    const t = this.#training!;
    const { width: d, segment, encoded, decoded, shape } = this.sizes;
    const g = (name: string) => gradients + place(this.layout, name);
    heap.fill(0, t.dc, t.dc + rows * d);
    heap.fill(0, t.dRecurrent, t.dRecurrent + rows * 4 * d);
    for (let j = 0; j < decoded; j++) {
      const s = encoded + j;
      const dy = this.output + j * segment;
      const ldY = decoded * segment;
      k.multiplyTransposed(rows, d, segment, this.#h[s]!, d, dy, ldY, g('output/kernel'));
      k.sumRows(rows, segment, dy, ldY, g('output/bias'));
      heap.fill(0, t.dh, t.dh + rows * d);
      k.multiply(rows, segment, d, dy, ldY, t.outputT, t.dh, d);
      if (dropout >= 0) scaleBy(heap, rows * d, dropout + j * this.rows * d, t.dh);
      heap.fill(0, t.dcBranch, t.dcBranch + rows * d);
      k.cellGradient(rows, d, this.#gates[s]!, this.#c[encoded - 1]!, this.#tanhC[s]!, t.dh, t.dcBranch);
      k.add(rows * d, t.dcBranch, t.dc);
      k.add(rows * 4 * d, this.#gates[s]!, t.dRecurrent);
      k.sumRows(rows, 4 * d, this.#gates[s]!, 4 * d, gradients + this.layout.size + j * 4 * d);
      const { covariates = 0, size = 0 } = this.inputs ?? {};
      if (covariates > 0) {
        const dTable = gradients + this.layout.size + decoded * 4 * d;
        k.multiplyTransposed(rows, covariates, 4 * d, this.#vectorAt(s), size, this.#gates[s]!, 4 * d, dTable);
      }
    }
    k.multiplyTransposed(rows, d, 4 * d, this.#h[encoded - 1]!, d, t.dRecurrent, 4 * d, g('lstm/recurrent'));
    heap.fill(0, t.dh, t.dh + rows * d);
    k.multiply(rows, 4 * d, d, t.dRecurrent, 4 * d, t.recurrentT, t.dh, d);
    const first = this.input + shape.lookback - encoded * segment;
    for (let s = encoded - 1; s >= 0; s--) {
      const z = this.#gates[s]!;
      k.cellGradient(rows, d, z, s > 0 ? this.#c[s - 1]! : this.#zeros, this.#tanhC[s]!, t.dh, t.dc);
      k.multiplyTransposed(rows, d, 4 * d, this.#embedded[s]!, d, z, 4 * d, g('lstm/kernel'));
      k.sumRows(rows, 4 * d, z, 4 * d, g('lstm/bias'));
      heap.fill(0, t.de, t.de + rows * d);
      k.multiply(rows, 4 * d, d, z, 4 * d, t.kernelT, t.de, d);
      k.reluGradient(rows * d, this.#embedded[s]!, t.de);
      k.multiplyTransposed(rows, segment, d, first + s * segment, shape.lookback, t.de, d, g('embedding/kernel'));
      k.sumRows(rows, d, t.de, d, g('embedding/bias'));
      this.#inputGradients(rows, s, t.de, gradients);
      if (s === 0) break;
      k.multiplyTransposed(rows, d, 4 * d, this.#h[s - 1]!, d, z, 4 * d, g('lstm/recurrent'));
      heap.fill(0, t.dh, t.dh + rows * d);
      k.multiply(rows, 4 * d, d, z, 4 * d, t.recurrentT, t.dh, d);
    }
  }

  /** Carries the gradient of the table `posⱼ Wx + b`, summed over all rows, on to positions, kernel and bias. */
  finishGradients(gradients: number): void {
    const k = this.#kernel;
    const { width: d, decoded } = this.sizes;
    const dTable = gradients + this.layout.size;
    const g = (name: string) => gradients + place(this.layout, name);
    k.multiplyTransposed(decoded, d, 4 * d, this.#at['positions']!, d, dTable, 4 * d, g('lstm/kernel'));
    k.sumRows(decoded, 4 * d, dTable, 4 * d, g('lstm/bias'));
    k.multiply(decoded, 4 * d, d, dTable, 4 * d, this.#training!.kernelT, g('positions'), d);
    const covariates = this.inputs?.covariates ?? 0;
    if (covariates === 0) return;
    const dCovariates = dTable + decoded * 4 * d;
    const decoder = this.#at['covariates/decoder']!;
    k.multiplyTransposed(covariates, d, 4 * d, decoder, d, dCovariates, 4 * d, g('lstm/kernel'));
    k.multiply(covariates, 4 * d, d, dCovariates, 4 * d, this.#training!.kernelT, g('covariates/decoder'), d);
  }

  /** Adds what the other quantities and the covariates of a segment give to its embedding. */
  #embedInputs(rows: number, t: number, e: number): void {
    if (this.inputs === undefined) return;
    const { width: d, segment } = this.sizes;
    const { covariates, size, inputs } = this.inputs;
    for (let q = 0; q < inputs.quantities.length; q++) {
      const kernel = this.#at['inputs/kernel']! + q * segment * d;
      this.#kernel.multiply(rows, segment, d, this.#otherAt(q, t), size, kernel, e, d);
    }
    if (covariates > 0) {
      this.#kernel.multiply(rows, covariates, d, this.#vectorAt(t), size, this.#at['covariates/encoder']!, e, d);
    }
  }

  #inputGradients(rows: number, t: number, de: number, gradients: number): void {
    if (this.inputs === undefined) return;
    const { width: d, segment } = this.sizes;
    const { covariates, size, inputs } = this.inputs;
    const g = (name: string) => gradients + place(this.layout, name);
    for (let q = 0; q < inputs.quantities.length; q++) {
      const kernel = g('inputs/kernel') + q * segment * d;
      this.#kernel.multiplyTransposed(rows, segment, d, this.#otherAt(q, t), size, de, d, kernel);
    }
    if (covariates > 0) {
      this.#kernel.multiplyTransposed(rows, covariates, d, this.#vectorAt(t), size, de, d, g('covariates/encoder'));
    }
  }

  /** Segment t of another quantity's window, rows of `inputs.size` floats. */
  #otherAt(q: number, t: number): number {
    const { shape, segment, encoded } = this.sizes;
    return this.inputRows + q * shape.lookback + shape.lookback - encoded * segment + t * segment;
  }

  /** Covariates of a segment, those read first; rows of `inputs.size` floats. */
  #vectorAt(s: number): number {
    const { vectors, covariates } = this.inputs!;
    return this.inputRows + vectors + s * covariates;
  }
}

interface TrainingPlaces {
  readonly kernelT: number;
  readonly recurrentT: number;
  readonly outputT: number;
  readonly dh: number;
  readonly dc: number;
  readonly dcBranch: number;
  readonly de: number;
  readonly dRecurrent: number;
}

function trainingPlaces({ width: d, segment }: SegmentLstmSizes, rows: number, arena: Arena): TrainingPlaces {
  return {
    kernelT: arena.take(4 * d * d),
    recurrentT: arena.take(4 * d * d),
    outputT: arena.take(segment * d),
    dh: arena.take(rows * d),
    dc: arena.take(rows * d),
    dcBranch: arena.take(rows * d),
    de: arena.take(rows * d),
    dRecurrent: arena.take(rows * 4 * d),
  };
}

function scaleBy(heap: Float32Array, count: number, factors: number, x: number): void {
  for (let i = 0; i < count; i++) heap[x + i] = Math.fround(heap[x + i]! * heap[factors + i]!);
}
