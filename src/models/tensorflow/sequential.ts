import { setImmediate } from 'node:timers/promises';
import type { Optimizer, Tensor as TfTensor, Variable } from '@tensorflow/tfjs';
import { FleetcastError } from '../../errors.ts';
import type { Tensor } from '../model.ts';
import { Random } from '../random.ts';
import { initialWeights } from '../sequential/initial.ts';
import type { SequentialSpec } from '../sequential/layers.ts';
import { checkWeights, type PlannedLayer, planSequential } from '../sequential/plan.ts';
import { summariseSequential } from '../sequential/summary.ts';
import { Adam } from './adam.ts';
import { describeBackend, loadTensorFlow, type TensorFlow } from './backend.ts';
import { isSparse, type Loss, type Metric, rowLosses, rowMetric } from './losses.ts';
import { sequentialGraph } from './sequential-graph.ts';

/** What `compile` takes in Keras. */
export interface CompileSettings {
  readonly optimizer?: 'adam' | 'rmsprop' | 'sgd';
  /** Keras's default for the optimizer where left out: 0.001, and 0.01 for `sgd`. */
  readonly learningRate?: number;
  readonly loss: Loss;
  readonly metrics?: readonly Metric[];
  /** Global norm that gradients are cut to; 0 for none. */
  readonly clipNorm?: number;
}

/** Rows of samples: inputs `[count, …inputShape]`, labels `[count, …outputShape]`, or class numbers `[count]`. */
export interface Samples {
  readonly count: number;
  readonly x: Float32Array;
  readonly y: Float32Array;
  /** Steps of the inputs where the model leaves them open. */
  readonly steps?: number;
}

export interface FitSettings {
  readonly epochs?: number;
  readonly batchSize?: number;
  readonly shuffle?: boolean;
  /** Share of the samples at the end that is kept for validation. */
  readonly validationSplit?: number;
  readonly validationData?: Samples;
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** After each epoch: the line that Keras prints, and the values in it. */
  readonly onEpoch?: (epoch: number, logs: Logs, line: string) => void;
}

/** Loss and metrics by their names, those of the validation with `val_` before. */
export type Logs = Readonly<Record<string, number>>;

/** Values of every epoch, by name: `History.history` of Keras. */
export type History = Readonly<Record<string, readonly number[]>>;

interface Optimiser {
  apply(variables: Iterable<Variable>, gradients: Readonly<Record<string, TfTensor>>): void;
  dispose(): void;
}

let models = 0;

/**
 * A Sequential model that is trained with TensorFlow.js, with the meaning of Keras's `compile`, `fit`, `evaluate`,
 * `predict` and `summary`. Weights are drawn from a seed; the order of samples and dropout as well.
 */
export class Sequential {
  readonly spec: SequentialSpec;
  /** What does the work, for example `tensorflow.js wasm 4.22.0`. */
  readonly backend: string;
  readonly #tf: TensorFlow;
  readonly #plan: readonly PlannedLayer[];
  readonly #variables: ReadonlyMap<string, Variable>;
  #compiled: (CompileSettings & { readonly optimiser: Optimiser }) | undefined;

  private constructor(spec: SequentialSpec, tf: TensorFlow, backend: string, weights: readonly Tensor[]) {
    this.spec = spec;
    this.#tf = tf;
    this.backend = backend;
    this.#plan = planSequential(spec);
    checkWeights(this.#plan, weights);
    const id = models++;
    const trainable = new Map(this.#plan.flatMap((layer) => layer.weights).map((w) => [w.name, w.trainable]));
    this.#variables = new Map(
      weights.map(({ name, shape, data }) => [
        name,
        // Only the variable outlives the tidy.
        tf.tidy(() => tf.variable(tf.tensor(data, [...shape]), trainable.get(name), `sequential-${id}/${name}`)),
      ]),
    );
  }

  /**
   * @param start seed for the initial weights, or weights to go on from
   * @throws MODEL_INVALID, TRAINER_UNAVAILABLE
   */
  static async create(
    spec: SequentialSpec,
    start: { readonly seed: number } | { readonly weights: readonly Tensor[] },
  ): Promise<Sequential> {
    const plan = planSequential(spec);
    const tf = await loadTensorFlow('training');
    const { backend, version } = await describeBackend();
    const weights = 'weights' in start ? start.weights : initialWeights(plan, start.seed);
    return new Sequential(spec, tf, `tensorflow.js ${backend} ${version}`, weights);
  }

  /** The weights as they are now, in the order of `planSequential`. */
  weights(): Tensor[] {
    return [...this.#variables].map(([name, variable]) => ({
      name,
      shape: [...variable.shape],
      data: Float32Array.from(variable.dataSync()),
    }));
  }

  summary(): string {
    return summariseSequential(this.spec.name, this.#plan);
  }

  compile(settings: CompileSettings): void {
    const tf = this.#tf;
    const { optimizer = 'adam', learningRate = optimizer === 'sgd' ? 0.01 : 0.001 } = settings;
    const { train } = tf;
    const own = (made: Optimizer): Optimiser => ({
      apply: (_variables, gradients) =>
        made.applyGradients(Object.entries(gradients).map(([name, tensor]) => ({ name, tensor }))),
      dispose: () => made.dispose(),
    });
    const optimiser = {
      adam: () => new Adam(tf, learningRate),
      rmsprop: () => own(train.rmsprop(learningRate, 0.9, 0, 1e-7)),
      sgd: () => own(train.sgd(learningRate)),
    }[optimizer]();
    this.#compiled?.optimiser.dispose();
    this.#compiled = { ...settings, optimiser };
  }

  /** @returns predictions `[count, …outputShape]` */
  predict(x: Float32Array, count: number, options: { readonly steps?: number; readonly batchSize?: number } = {}) {
    const { batchSize = 32 } = options;
    const tf = this.#tf;
    const parts: Float32Array[] = [];
    const shape = this.#inputShape(x.length, count, options.steps);
    const size = x.length / count;
    for (let from = 0; from < count; from += batchSize) {
      const to = Math.min(from + batchSize, count);
      const y = tf.tidy(() =>
        this.#forward(tf.tensor(x.subarray(from * size, to * size), [to - from, ...shape]), undefined).dataSync(),
      );
      parts.push(y as Float32Array);
    }
    const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }

  /** Loss and metrics over the samples. @throws MODEL_INVALID when the model was not compiled or samples do not fit */
  evaluate(samples: Samples, batchSize = 32): Logs {
    const meter = this.#meter();
    const order = Int32Array.from({ length: samples.count }, (_, i) => i);
    for (let from = 0; from < samples.count; from += batchSize) {
      this.#tf.tidy(() => {
        const { x, y } = this.#batch(samples, order.subarray(from, from + batchSize));
        meter.add(this.#forward(x, undefined), y);
      });
    }
    return meter.logs();
  }

  /**
   * Trains. Validation samples are taken from the end before anything is shuffled; the last batch of an epoch may be
   * smaller; logs are means over the samples of an epoch.
   * @throws TRAINING_DIVERGED, TRAINING_CANCELLED; MODEL_INVALID when the model was not compiled or samples do not fit
   */
  async fit(samples: Samples, settings: FitSettings = {}): Promise<History> {
    const { epochs = 1, batchSize = 32, shuffle = true, validationSplit = 0, seed = 1, onEpoch } = settings;
    const held = settings.validationData === undefined ? Math.floor(samples.count * validationSplit) : 0;
    const train = held === 0 ? samples : slice(samples, 0, samples.count - held);
    const validation = settings.validationData ?? (held === 0 ? undefined : slice(samples, samples.count - held));
    const order = Int32Array.from({ length: train.count }, (_, i) => i);
    const random = new Random(seed, 6);
    const history: Record<string, readonly number[]> = {};
    for (let epoch = 1; epoch <= epochs; epoch++) {
      const began = performance.now();
      if (shuffle) random.shuffle(order);
      const meter = this.#meter();
      const steps = Math.ceil(train.count / batchSize);
      for (let step = 0; step < steps; step++) {
        this.#step(train, order.subarray(step * batchSize, (step + 1) * batchSize), meter, random);
        await setImmediate();
        if (settings.signal?.aborted) {
          throw new FleetcastError('TRAINING_CANCELLED', `cancelled in epoch ${epoch} of ${epochs}`);
        }
      }
      const logs: Record<string, number> = { ...meter.logs() };
      if (!Number.isFinite(logs['loss'])) {
        throw new FleetcastError('TRAINING_DIVERGED', `the loss is ${logs['loss']} in epoch ${epoch}`);
      }
      if (validation !== undefined) {
        for (const [name, value] of Object.entries(this.evaluate(validation, batchSize))) logs[`val_${name}`] = value;
      }
      for (const [name, value] of Object.entries(logs)) history[name] = [...(history[name] ?? []), value];
      onEpoch?.(epoch, logs, epochLine(steps, performance.now() - began, logs));
    }
    return history;
  }

  dispose(): void {
    this.#compiled?.optimiser.dispose();
    for (const variable of this.#variables.values()) variable.dispose();
  }

  #step(samples: Samples, rows: Int32Array, meter: Meter, random: Random): void {
    const tf = this.#tf;
    const { loss, optimiser, clipNorm = 0 } = this.#settings();
    tf.tidy(() => {
      const { x, y } = this.#batch(samples, rows);
      const updates: [string, TfTensor][] = [];
      let prediction: TfTensor | undefined;
      const { grads } = tf.variableGrads(
        () => {
          updates.length = 0;
          prediction = tf.keep(this.#forward(x, random, (name, value) => updates.push([name, tf.keep(value)])));
          return tf.mean(rowLosses(tf, loss, prediction, y)).asScalar();
        },
        [...this.#variables.values()].filter((variable) => variable.trainable),
      );
      meter.add(prediction!, y);
      prediction!.dispose();
      optimiser.apply(this.#variables.values(), clipped(tf, grads, clipNorm));
      for (const [name, value] of updates) {
        this.#variables.get(name)!.assign(value as never);
        value.dispose();
      }
    });
  }

  #forward(x: TfTensor, training: Random | undefined, onUpdate?: (name: string, value: TfTensor) => void): TfTensor {
    const pass = { tf: this.#tf, weights: this.#variables, training };
    return sequentialGraph(this.#plan, x, onUpdate === undefined ? pass : { ...pass, onUpdate });
  }

  #batch(samples: Samples, rows: Int32Array): { x: TfTensor; y: TfTensor } {
    const tf = this.#tf;
    const shape = this.#inputShape(samples.x.length, samples.count, samples.steps);
    const inputs = samples.x.length / samples.count;
    const labels = samples.y.length / samples.count;
    const x = new Float32Array(rows.length * inputs);
    const y = new Float32Array(rows.length * labels);
    rows.forEach((row, i) => {
      x.set(samples.x.subarray(row * inputs, (row + 1) * inputs), i * inputs);
      y.set(samples.y.subarray(row * labels, (row + 1) * labels), i * labels);
    });
    const outputs = planSequential({ ...this.spec, inputShape: shape }).at(-1)!.output as number[];
    const sparse = isSparse(this.#settings().loss);
    const wanted = sparse ? outputs.slice(0, -1) : outputs;
    if (!Number.isInteger(labels) || labels !== wanted.reduce((product, n) => product * n, 1)) {
      throw new FleetcastError('MODEL_INVALID', `${labels} labels a row for an output of [${outputs}]`);
    }
    return { x: tf.tensor(x, [rows.length, ...shape]), y: tf.tensor(y, [rows.length, ...wanted]) };
  }

  #inputShape(length: number, count: number, steps: number | undefined): number[] {
    const fixed = this.spec.inputShape.reduce<number>((product, n) => product * (n ?? 1), 1);
    const open = steps ?? length / (count * fixed);
    const shape = this.spec.inputShape.map((n) => n ?? open);
    if (!(count > 0) || !Number.isInteger(open) || length !== count * shape.reduce((product, n) => product * n, 1)) {
      throw new FleetcastError('MODEL_INVALID', `${length} values for ${count} rows of [${shape}]`);
    }
    return shape;
  }

  #meter(): Meter {
    const { loss, metrics = [] } = this.#settings();
    return new Meter(this.#tf, loss, metrics);
  }

  #settings() {
    if (this.#compiled === undefined) throw new FleetcastError('MODEL_INVALID', 'compile the model first');
    return this.#compiled;
  }
}

/** Means over samples, summed in the order of the batches. */
class Meter {
  readonly #tf: TensorFlow;
  readonly #loss: Loss;
  readonly #metrics: readonly Metric[];
  readonly #sums: number[];
  #count = 0;

  constructor(tf: TensorFlow, loss: Loss, metrics: readonly Metric[]) {
    this.#tf = tf;
    this.#loss = loss;
    this.#metrics = metrics;
    this.#sums = new Array<number>(metrics.length + 1).fill(0);
  }

  add(prediction: TfTensor, label: TfTensor): void {
    const tf = this.#tf;
    tf.tidy(() => {
      const rows = [
        rowLosses(tf, this.#loss, prediction, label),
        ...this.#metrics.map((metric) => rowMetric(tf, metric, this.#loss, prediction, label)),
      ];
      rows.forEach((values, i) => {
        // A sparse loss over a sequence has a value for each step: the row's is their mean.
        const mean = tf.mean(values).dataSync()[0]!;
        this.#sums[i] = this.#sums[i]! + mean * prediction.shape[0]!;
      });
    });
    this.#count += prediction.shape[0]!;
  }

  logs(): Logs {
    const names = ['loss', ...this.#metrics];
    return Object.fromEntries(names.map((name, i) => [name, this.#sums[i]! / this.#count]));
  }
}

function slice({ count, x, y, steps }: Samples, from: number, to = count): Samples {
  const part = {
    count: to - from,
    x: x.subarray((x.length / count) * from, (x.length / count) * to),
    y: y.subarray((y.length / count) * from, (y.length / count) * to),
  };
  return steps === undefined ? part : { ...part, steps };
}

function clipped(tf: TensorFlow, gradients: Record<string, TfTensor>, clipNorm: number): Record<string, TfTensor> {
  if (clipNorm === 0) return gradients;
  const squares = Object.values(gradients).map((gradient) => tf.sum(tf.square(gradient)));
  const norm = Math.sqrt(tf.addN(squares as never).dataSync()[0]!);
  if (!(norm > clipNorm)) return gradients;
  const scaled = Object.entries(gradients).map(([name, gradient]) => [name, tf.mul(gradient, clipNorm / norm)]);
  return Object.fromEntries(scaled) as Record<string, TfTensor>;
}

/** The line that Keras 3 prints after an epoch. */
export function epochLine(steps: number, milliseconds: number, logs: Logs): string {
  const each = milliseconds / steps;
  const step =
    each >= 1000 ? `${Math.round(each / 1000)}s` : each >= 1 ? `${Math.round(each)}ms` : `${Math.round(each * 1000)}us`;
  // Keras sorts the names, those of the validation last.
  const names = Object.keys(logs).sort(
    (a, b) => Number(a.startsWith('val_')) - Number(b.startsWith('val_')) || (a < b ? -1 : 1),
  );
  const values = names.map((name) => {
    const value = logs[name]!;
    return `${name}: ${Math.abs(value) > 1e-3 ? value.toFixed(4) : value.toExponential(4)}`;
  });
  return `${steps}/${steps} ${'━'.repeat(20)} ${Math.round(milliseconds / 1000)}s ${step}/step - ${values.join(' - ')}`;
}
