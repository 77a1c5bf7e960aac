import type { Tensor2D, Tensor3D, Tensor as TfTensor } from '@tensorflow/tfjs';
import type { Activation, GruLayer, Layer, LstmLayer, RecurrentLayer, SequentialSpec } from '../sequential/layers.ts';
import type { PlannedLayer } from '../sequential/plan.ts';
import type { TensorFlow } from './backend.ts';
import { fusedLstm, nativeBackend } from './fused-lstm.ts';
import { activated, type Pass, product } from './operations.ts';
import { convolution, pooled } from './sliding.ts';

interface Value {
  readonly x: TfTensor;
  /** `[rows, steps]`: 1 for a step that counts. */
  readonly mask?: TfTensor | undefined;
}

/**
 * The layers in TensorFlow.js operations, which it can differentiate: those of tfjs-layers lack the GRU of Keras
 * (`reset_after`), Keras 3's hard sigmoid and zero outputs for masked steps.
 * @param x `[rows, …inputShape]`
 */
export function sequentialGraph(plan: readonly PlannedLayer[], x: TfTensor, pass: Pass): TfTensor {
  let value: Value = { x };
  for (const { layer } of plan) value = apply(layer, value, pass);
  return value.x;
}

function apply(layer: Layer, { x, mask }: Value, pass: Pass): Value {
  const { tf } = pass;
  switch (layer.type) {
    case 'LSTM':
    case 'GRU':
    case 'SimpleRNN': {
      const out = recurrent(layer, layer.name, layer.goBackwards, { x, mask }, pass);
      return layer.returnSequences ? { x: tf.stack(out.all, 1), mask } : { x: out.last };
    }
    case 'Bidirectional': {
      const inner = { ...layer.layer, zeroOutputForMask: layer.layer.returnSequences };
      const forward = recurrent(inner, `${layer.name}/forward`, false, { x, mask }, pass);
      const backward = recurrent(inner, `${layer.name}/backward`, true, { x, mask }, pass);
      const [a, b] = inner.returnSequences
        ? [tf.stack(forward.all, 1), tf.stack(backward.all.reverse(), 1)]
        : [forward.last, backward.last];
      const merged = {
        concat: () => tf.concat([a!, b!], -1),
        sum: () => tf.add(a!, b!),
        mul: () => tf.mul(a!, b!),
        ave: () => tf.mul(tf.add(a!, b!), 0.5),
      }[layer.mergeMode]();
      return { x: merged, mask: inner.returnSequences ? mask : undefined };
    }
    case 'Embedding': {
      const codes = tf.cast(x, 'int32');
      const zeros = layer.maskZero ? tf.cast(tf.notEqual(codes, 0), 'float32') : undefined;
      return { x: lookUp(pass, pass.weights.get(`${layer.name}/embeddings`)!, codes), mask: zeros };
    }
    case 'Dense':
      return { x: dense(pass, x, layer.name, layer.activation), mask };
    case 'TimeDistributed':
      return { x: dense(pass, x, layer.name, layer.layer.activation), mask };
    case 'Dropout':
      return { x: dropped(pass, x, layer.rate, x.shape), mask };
    case 'SpatialDropout1D':
      return { x: dropped(pass, x, layer.rate, [x.shape[0]!, 1, x.shape[2]!]), mask };
    case 'Masking': {
      const counts = tf.cast(tf.any(tf.notEqual(x, layer.maskValue), -1), 'float32');
      return { x: tf.mul(x, tf.expandDims(counts, -1)), mask: counts };
    }
    case 'LayerNormalization': {
      const { mean, variance } = tf.moments(x, -1, true);
      return { x: scaled(pass, layer, tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, layer.epsilon)))), mask };
    }
    case 'BatchNormalization':
      return { x: batchNormalization(layer, x, pass), mask };
    case 'Normalization': {
      const mean = pass.weights.get(`${layer.name}/mean`)!;
      const deviation = tf.maximum(tf.sqrt(pass.weights.get(`${layer.name}/variance`)!), 1e-7);
      return { x: layer.invert ? tf.add(tf.mul(x, deviation), mean) : tf.div(tf.sub(x, mean), deviation), mask };
    }
    case 'Activation':
      return { x: activated(tf, layer.activation, x), mask };
    case 'ReLU':
      return { x: tf.relu(x), mask };
    case 'Softmax':
      return { x: tf.softmax(x), mask };
    case 'Conv1D':
      return { x: convolution(layer, x as Tensor3D, pass) };
    case 'MaxPooling1D':
    case 'AveragePooling1D':
      return { x: pooled(layer, x as Tensor3D, tf) };
    case 'GlobalAveragePooling1D': {
      if (mask === undefined) return { x: tf.mean(x, 1) };
      const counts = tf.expandDims(mask, -1);
      return { x: tf.div(tf.sum(tf.mul(x, counts), 1), tf.sum(counts, 1)) };
    }
    case 'GlobalMaxPooling1D':
      return { x: tf.max(x, 1) };
    case 'Flatten':
      return { x: tf.reshape(x, [x.shape[0]!, -1]) };
    case 'Reshape':
      return { x: tf.reshape(x, [x.shape[0]!, ...layer.targetShape]) };
    case 'RepeatVector':
      return { x: tf.tile(tf.expandDims(x, 1), [1, layer.n, 1]) };
  }
}

interface Sequence {
  /** Outputs in the order in which the steps were read. */
  readonly all: TfTensor[];
  readonly last: TfTensor;
}

function recurrent(layer: RecurrentLayer, name: string, backwards: boolean, value: Value, pass: Pass): Sequence {
  const { tf } = pass;
  const [rows, steps, features] = value.x.shape as [number, number, number];
  const weight = (of: string) => pass.weights.get(`${name}/${of}`);
  const x = dropped(pass, value.x, layer.dropout, [rows, 1, features]);
  const native = fusable(layer, value, pass) ? nativeBackend(tf) : undefined;
  if (native !== undefined) {
    const inOrder = tf.transpose(x as Tensor3D, [1, 0, 2]);
    const read = backwards ? tf.reverse(inOrder, 0) : inOrder;
    const [kernel, recurrentKernel] = [weight('kernel') as Tensor2D, weight('recurrent_kernel') as Tensor2D];
    const hidden = tf.unstack(fusedLstm(tf, native, read, kernel, recurrentKernel, weight('bias')!), 0);
    return { all: hidden, last: hidden.at(-1)! };
  }
  // All input products at once, time-major; the gradient of a split into one part fails in TensorFlow.js 4.22.
  const flat = tf.reshape(tf.transpose(x as Tensor3D, [1, 0, 2]), [steps * rows, features]) as Tensor2D;
  const bias = weight('bias');
  const [inputBias, recurrentBias] = bias === undefined ? [] : bias.rank === 2 ? tf.unstack(bias) : [bias, undefined];
  const bare = product(tf, flat, weight('kernel')!);
  const sums = inputBias === undefined ? bare : tf.add(bare, inputBias);
  const inputs = steps === 1 ? [sums] : tf.split(sums, steps, 0);
  const masks = value.mask === undefined ? undefined : tf.unstack(value.mask, 1).map((m) => tf.expandDims(m, 1));
  const hiddenDropout = dropoutFactors(pass, layer.recurrentDropout, [rows, layer.units]);
  const U = weight('recurrent_kernel') as Tensor2D;
  let h: TfTensor = tf.zeros([rows, layer.units]);
  let c: TfTensor = h;
  let output: TfTensor = h;
  const all: TfTensor[] = [];
  for (let t = 0; t < steps; t++) {
    const step = backwards ? steps - 1 - t : t;
    const before = (hiddenDropout === undefined ? h : tf.mul(h, hiddenDropout)) as Tensor2D;
    let next: TfTensor;
    let state = c;
    if (layer.type === 'LSTM') [next, state] = lstmStep(tf, layer, inputs[step]!, before, c, U);
    else if (layer.type === 'GRU') next = gruStep(tf, layer, inputs[step]!, before, h, U, recurrentBias);
    else next = activated(tf, layer.activation, tf.add(inputs[step]!, product(tf, before, U)));
    const mask = masks?.[step];
    if (mask === undefined) {
      h = next;
      c = state;
      output = next;
    } else {
      const rest = tf.sub(1, mask);
      const chosen = (fresh: TfTensor, old: TfTensor) => tf.add(tf.mul(fresh, mask), tf.mul(old, rest));
      output = layer.zeroOutputForMask ? tf.mul(next, mask) : chosen(next, output);
      h = chosen(next, h);
      c = chosen(state, c);
    }
    all.push(output);
  }
  return { all, last: output };
}

/** Whether any layer is trained by TensorFlow's own operation for a whole LSTM. */
export function usesFusedLstm(tf: TensorFlow, { layers }: SequentialSpec): boolean {
  if (nativeBackend(tf) === undefined) return false;
  const masked = layers.some((layer) => layer.type === 'Masking' || (layer.type === 'Embedding' && layer.maskZero));
  return layers.some((layer) => {
    const inner = layer.type === 'Bidirectional' ? layer.layer : layer;
    return !masked && inner.type === 'LSTM' && computesDefault(inner) && inner.recurrentDropout === 0;
  });
}

function computesDefault({ activation, recurrentActivation, useBias }: LstmLayer): boolean {
  return activation === 'tanh' && recurrentActivation === 'sigmoid' && useBias;
}

/** What the operation of TensorFlow computes: Keras's default, nothing masked. */
function fusable(layer: RecurrentLayer, { mask }: Value, { training }: Pass): layer is LstmLayer {
  return (
    layer.type === 'LSTM' &&
    computesDefault(layer) &&
    mask === undefined &&
    (training === undefined || layer.recurrentDropout === 0)
  );
}

function lstmStep(
  tf: TensorFlow,
  layer: LstmLayer,
  input: TfTensor,
  h: Tensor2D,
  c: TfTensor,
  U: Tensor2D,
): [TfTensor, TfTensor] {
  const gate = (x: TfTensor) => activated(tf, layer.recurrentActivation, x);
  const [i, f, g, o] = tf.split(tf.add(input, product(tf, h, U)), 4, 1);
  const state = tf.add(tf.mul(gate(f!), c), tf.mul(gate(i!), activated(tf, layer.activation, g!)));
  return [tf.mul(gate(o!), activated(tf, layer.activation, state)), state];
}

/** Gates in Keras's order: update, reset, candidate. @param before the hidden state after recurrent dropout */
function gruStep(
  tf: TensorFlow,
  layer: GruLayer,
  input: TfTensor,
  before: Tensor2D,
  h: TfTensor,
  U: Tensor2D,
  recurrentBias: TfTensor | undefined,
): TfTensor {
  const { units } = layer;
  const gate = (x: TfTensor) => activated(tf, layer.recurrentActivation, x);
  const [z, r, g] = tf.split(input, 3, 1);
  let update: TfTensor;
  let candidate: TfTensor;
  if (layer.resetAfter) {
    const bare = product(tf, before, U);
    const [hz, hr, hg] = tf.split(recurrentBias === undefined ? bare : tf.add(bare, recurrentBias), 3, 1);
    update = gate(tf.add(z!, hz!));
    candidate = tf.add(g!, tf.mul(gate(tf.add(r!, hr!)), hg!));
  } else {
    const gates = tf.slice(U, [0, 0], [units, 2 * units]);
    const own = tf.slice(U, [0, 2 * units], [units, units]);
    const [hz, hr] = tf.split(product(tf, before, gates), 2, 1);
    update = gate(tf.add(z!, hz!));
    candidate = tf.add(g!, product(tf, tf.mul(gate(tf.add(r!, hr!)), before) as Tensor2D, own));
  }
  return tf.add(tf.mul(update, h), tf.mul(tf.sub(1, update), activated(tf, layer.activation, candidate)));
}

function dense(pass: Pass, x: TfTensor, name: string, activation: Activation): TfTensor {
  const { tf } = pass;
  const kernel = pass.weights.get(`${name}/kernel`) as Tensor2D;
  const bias = pass.weights.get(`${name}/bias`);
  const flat = tf.reshape(x, [-1, kernel.shape[0]]) as Tensor2D;
  const bare = product(tf, flat, kernel);
  const sums = bias === undefined ? bare : tf.add(bare, bias);
  return activated(tf, activation, tf.reshape(sums, [...x.shape.slice(0, -1), kernel.shape[1]]));
}

/** Rows of the table; its gradient is a sum over the codes, for which WebAssembly has no operation of its own. */
function lookUp({ tf }: Pass, table: TfTensor, codes: TfTensor): TfTensor {
  const [, width] = table.shape as [number, number];
  const flat = tf.reshape(codes, [-1]);
  const rows = tf.customGrad((...args: unknown[]) => {
    const [from, save] = args as [TfTensor, (tensors: TfTensor[]) => void];
    save([flat]);
    return {
      value: tf.gather(from, flat as never),
      gradFunc: (dy: TfTensor, saved: TfTensor[]) =>
        tf.scatterND(tf.reshape(saved[0]!, [-1, 1]), dy, table.shape as [number, number]),
    };
  })(table);
  return tf.reshape(rows, [...codes.shape, width]);
}

function batchNormalization(layer: Extract<Layer, { type: 'BatchNormalization' }>, x: TfTensor, pass: Pass): TfTensor {
  const { tf } = pass;
  let mean = pass.weights.get(`${layer.name}/moving_mean`)!;
  let variance = pass.weights.get(`${layer.name}/moving_variance`)!;
  if (pass.training !== undefined) {
    const batch = tf.moments(x, [...x.shape.keys()].slice(0, -1));
    for (const [name, old, fresh] of [
      ['moving_mean', mean, batch.mean],
      ['moving_variance', variance, batch.variance],
    ] as const) {
      const moved = tf.add(tf.mul(old, layer.momentum), tf.mul(fresh, 1 - layer.momentum));
      pass.onUpdate?.(`${layer.name}/${name}`, moved);
    }
    ({ mean, variance } = batch);
  }
  return scaled(pass, layer, tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, layer.epsilon))));
}

function scaled(
  { tf, weights }: Pass,
  layer: { name: string; scale: boolean; center: boolean },
  x: TfTensor,
): TfTensor {
  const multiplied = layer.scale ? tf.mul(x, weights.get(`${layer.name}/gamma`)!) : x;
  return layer.center ? tf.add(multiplied, weights.get(`${layer.name}/beta`)!) : multiplied;
}

function dropped(pass: Pass, x: TfTensor, rate: number, shape: readonly number[]): TfTensor {
  const factors = dropoutFactors(pass, rate, shape);
  return factors === undefined ? x : pass.tf.mul(x, factors);
}

function dropoutFactors({ tf, training }: Pass, rate: number, shape: readonly number[]): TfTensor | undefined {
  if (training === undefined || rate === 0) return undefined;
  const count = shape.reduce((product, n) => product * n, 1);
  const factors = Float32Array.from({ length: count }, () => (training.uniform() < rate ? 0 : 1 / (1 - rate)));
  return tf.tensor(factors, [...shape]);
}
