import { FleetcastError } from '../../errors.ts';
import {
  ACTIVATIONS,
  type Activation,
  type Conv1dLayer,
  type DenseLayer,
  type Layer,
  type RecurrentLayer,
} from './layers.ts';

/** Where layers come from. Files of Keras carry many settings that do not matter here; a configuration must not. */
export type Origin = 'configuration' | 'keras3' | 'keras2';

/** The types that can be built; others are named in the error. */
export const LAYER_TYPES: readonly Layer['type'][] = [
  'LSTM',
  'GRU',
  'SimpleRNN',
  'Bidirectional',
  'Embedding',
  'Dense',
  'TimeDistributed',
  'Dropout',
  'SpatialDropout1D',
  'Masking',
  'LayerNormalization',
  'BatchNormalization',
  'Normalization',
  'Activation',
  'ReLU',
  'Softmax',
  'Flatten',
  'Reshape',
  'RepeatVector',
  'GlobalAveragePooling1D',
  'GlobalMaxPooling1D',
  'Conv1D',
  'MaxPooling1D',
  'AveragePooling1D',
];

const MAX_NAME = 200;
const MAX_SIZE = 1_000_000;

/**
 * A layer from its Keras settings (snake case, Keras's defaults).
 * @param type Keras's class name
 * @param config settings; anything, nothing is trusted
 * @throws MODEL_INVALID naming layer and setting
 */
export function parseLayer(type: unknown, config: unknown, defaultName: string, origin: Origin): Layer {
  const settings = new Settings(
    config,
    typeof type === 'string' ? type : 'a layer without a type',
    defaultName,
    origin,
  );
  const layer = read(settings, origin);
  settings.finish();
  return layer;
}

function read(s: Settings, origin: Origin): Layer {
  const { name } = s;
  switch (s.type) {
    case 'LSTM':
    case 'GRU':
    case 'SimpleRNN':
      return recurrent(s, origin);
    case 'Bidirectional': {
      const layer = recurrent(s.inner('layer', `forward_${name}`), origin);
      if (layer.goBackwards) throw s.problem('layer', 'the forward layer reads backwards');
      if (s.has('backward_layer')) {
        const backward = recurrent(s.inner('backward_layer', `backward_${name}`), origin);
        if (!sameRecurrent(layer, backward)) throw s.problem('backward_layer', 'it differs from the forward layer');
      }
      const mergeMode = s.choice('merge_mode', ['concat', 'sum', 'mul', 'ave'] as const, 'concat');
      return { type: 'Bidirectional', name, layer, mergeMode };
    }
    case 'Embedding':
      s.ignore('input_length');
      return {
        type: 'Embedding',
        name,
        inputDim: s.size('input_dim'),
        outputDim: s.size('output_dim'),
        maskZero: s.flag('mask_zero', false),
      };
    case 'Dense':
      return dense(s, origin);
    case 'TimeDistributed': {
      const inner = s.inner('layer', `${name}_layer`);
      if (inner.type !== 'Dense')
        throw s.problem('layer', `a layer of type ${inner.type} cannot be distributed over time`);
      return { type: 'TimeDistributed', name, layer: dense(inner, origin) };
    }
    case 'Dropout':
    case 'SpatialDropout1D':
      s.ignore('noise_shape', 'seed');
      return { type: s.type, name, rate: s.number('rate', 0, 1) };
    case 'Masking':
      return { type: 'Masking', name, maskValue: s.number('mask_value', -1e30, 1e30, 0) };
    case 'LayerNormalization':
      s.refuse('rms_scaling', true);
      s.lastAxis();
      return {
        type: 'LayerNormalization',
        name,
        epsilon: s.number('epsilon', 0, 1, 1e-3),
        center: s.flag('center', true),
        scale: s.flag('scale', true),
      };
    case 'BatchNormalization':
      s.refuse('renorm', true);
      s.lastAxis();
      return {
        type: 'BatchNormalization',
        name,
        epsilon: s.number('epsilon', 0, 1, 1e-3),
        momentum: s.number('momentum', 0, 1, 0.99),
        center: s.flag('center', true),
        scale: s.flag('scale', true),
      };
    case 'Normalization':
      s.ignore('mean', 'variance');
      s.lastAxis();
      return { type: 'Normalization', name, invert: s.flag('invert', false) };
    case 'Activation':
      return { type: 'Activation', name, activation: s.activation('activation', origin) };
    case 'ReLU':
      s.refuseOther('max_value', null);
      s.refuseOther('negative_slope', 0);
      s.refuseOther('threshold', 0);
      return { type: 'ReLU', name };
    case 'Softmax':
      s.lastAxis();
      return { type: 'Softmax', name };
    case 'Flatten':
      s.refuseOther('data_format', 'channels_last');
      return { type: 'Flatten', name };
    case 'GlobalAveragePooling1D':
    case 'GlobalMaxPooling1D':
      s.refuseOther('data_format', 'channels_last');
      s.refuse('keepdims', true);
      return { type: s.type, name };
    case 'Conv1D':
      return convolution(s, origin);
    case 'MaxPooling1D':
    case 'AveragePooling1D': {
      s.refuseOther('data_format', 'channels_last');
      const poolSize = s.single('pool_size', 2);
      return {
        type: s.type,
        name,
        poolSize,
        strides: s.single('strides', poolSize),
        padding: s.choice('padding', ['valid', 'same'] as const, 'valid'),
      };
    }
    case 'Reshape':
      return { type: 'Reshape', name, targetShape: s.sizes('target_shape') };
    case 'RepeatVector':
      return { type: 'RepeatVector', name, n: s.size('n') };
    default:
      throw new FleetcastError(
        'MODEL_INVALID',
        `layer ${name}: layers of type ${s.type} are not known; known are ${LAYER_TYPES.join(', ')}`,
        { details: { layer: name, type: s.type } },
      );
  }
}

function recurrent(s: Settings, origin: Origin): RecurrentLayer {
  s.refuse('return_state', true);
  s.refuse('stateful', true);
  s.refuse('time_major', true);
  s.ignore('unroll', 'implementation', 'unit_forget_bias', 'seed', 'use_cudnn', 'return_runtime');
  const common = {
    name: s.name,
    units: s.size('units'),
    activation: s.activation('activation', origin, 'tanh'),
    useBias: s.flag('use_bias', true),
    returnSequences: s.flag('return_sequences', false),
    goBackwards: s.flag('go_backwards', false),
    zeroOutputForMask: s.flag('zero_output_for_mask', false),
    dropout: s.number('dropout', 0, 1, 0),
    recurrentDropout: s.number('recurrent_dropout', 0, 1, 0),
  };
  if (common.activation === 'softmax') throw s.problem('activation', 'softmax is not known for recurrent layers');
  if (s.type === 'SimpleRNN') return { type: 'SimpleRNN', ...common };
  if (s.type !== 'LSTM' && s.type !== 'GRU') {
    throw new FleetcastError('MODEL_INVALID', `layer ${s.name}: ${s.type} is not a known recurrent layer`, {
      details: { layer: s.name, type: s.type },
    });
  }
  const recurrentActivation = s.activation('recurrent_activation', origin, 'sigmoid');
  if (recurrentActivation === 'softmax') {
    throw s.problem('recurrent_activation', 'softmax is not known for recurrent layers');
  }
  if (s.type === 'LSTM') return { type: 'LSTM', ...common, recurrentActivation };
  // Files from before the setting existed mean the older form.
  return { type: 'GRU', ...common, recurrentActivation, resetAfter: s.flag('reset_after', origin !== 'keras2') };
}

function dense(s: Settings, origin: Origin): DenseLayer {
  return {
    type: 'Dense',
    name: s.name,
    units: s.size('units'),
    activation: s.activation('activation', origin, 'linear'),
    useBias: s.flag('use_bias', true),
  };
}

function convolution(s: Settings, origin: Origin): Conv1dLayer {
  s.refuseOther('data_format', 'channels_last');
  s.refuseOther('groups', 1);
  const layer = {
    type: 'Conv1D' as const,
    name: s.name,
    filters: s.size('filters'),
    kernelSize: s.single('kernel_size'),
    strides: s.single('strides', 1),
    padding: s.choice('padding', ['valid', 'same', 'causal'] as const, 'valid'),
    dilationRate: s.single('dilation_rate', 1),
    activation: s.activation('activation', origin, 'linear'),
    useBias: s.flag('use_bias', true),
  };
  if (layer.strides > 1 && layer.dilationRate > 1) throw s.problem('strides', 'above 1 together with a dilation');
  return layer;
}

function sameRecurrent(forward: RecurrentLayer, backward: RecurrentLayer): boolean {
  return JSON.stringify({ ...forward, name: '', goBackwards: true }) === JSON.stringify({ ...backward, name: '' });
}

/** Settings of one layer, read one by one; remembers which were read. */
class Settings {
  readonly name: string;
  readonly type: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #origin: Origin;
  readonly #known = new Set(['name', 'type']);
  readonly #inner: Settings[] = [];

  constructor(config: unknown, type: string, defaultName: string, origin: Origin) {
    this.type = type.slice(0, MAX_NAME);
    this.#origin = origin;
    this.#values = isRecord(config) ? config : {};
    const name = this.#values['name'] ?? defaultName;
    this.name = typeof name === 'string' ? name.slice(0, MAX_NAME) : defaultName;
    if (!isRecord(config)) throw this.problem('its settings', 'not an object');
    // Names become paths in files and keys of tensors.
    if (!/^[A-Za-z0-9_.][A-Za-z0-9_.\-> ]*$/.test(this.name))
      throw this.problem('name', `"${this.name}" cannot be used`);
    const dtype = this.#values['dtype'];
    const policy = isRecord(dtype) && isRecord(dtype['config']) ? dtype['config']['name'] : dtype;
    if (origin !== 'configuration' && typeof policy === 'string' && /int|float8/.test(policy)) {
      if (this.type !== 'Embedding') throw this.problem('dtype', `weights of type ${policy} are not known`);
    }
  }

  has(key: string): boolean {
    return this.#values[key] !== undefined && this.#values[key] !== null;
  }

  size(key: string): number {
    return this.#integer(key, this.#take(key), 1);
  }

  /** One size, which files write as a list of one. */
  single(key: string, missing?: number): number {
    const value = this.#take(key) ?? missing;
    return this.#integer(key, Array.isArray(value) && value.length === 1 ? value[0] : value, 1);
  }

  sizes(key: string): number[] {
    const value = this.#take(key);
    if (!Array.isArray(value) || value.length === 0 || value.length > 4)
      throw this.problem(key, 'not a list of 1 to 4');
    return value.map((n) => (n === -1 ? -1 : this.#integer(key, n, 1)));
  }

  number(key: string, low: number, high: number, missing?: number): number {
    const value = this.#take(key) ?? missing;
    if (typeof value !== 'number' || !(value >= low && value <= high)) {
      throw this.problem(key, `${shown(value)}, expected a number from ${low} to ${high}`);
    }
    return value;
  }

  flag(key: string, missing: boolean): boolean {
    const value = this.#take(key) ?? missing;
    if (typeof value !== 'boolean') throw this.problem(key, `${shown(value)}, expected true or false`);
    return value;
  }

  choice<T extends string>(key: string, values: readonly T[], missing: T): T {
    const value: unknown = this.#values[key] === null ? null : (this.#take(key) ?? missing);
    if (!values.includes(value as T)) throw this.problem(key, `${shown(value)}, expected ${values.join(' or ')}`);
    return value as T;
  }

  activation(key: string, origin: Origin, missing?: Activation): Activation {
    let value: unknown = this.#take(key) ?? missing;
    // Keras 3 writes functions that it looks up by name as objects.
    if (isRecord(value) && value['class_name'] === 'function') value = value['config'];
    if (value === 'swish') value = 'silu';
    if (value === 'hard_sigmoid' && origin === 'keras2') value = 'hard_sigmoid_2';
    if (!ACTIVATIONS.includes(value as Activation)) throw this.problem(key, `activation ${shown(value)} is not known`);
    return value as Activation;
  }

  /** The settings of a wrapped layer: in files `{ class_name, config }`, in a configuration `{ type, … }`. */
  inner(key: string, defaultName: string): Settings {
    const value = this.#take(key);
    if (!isRecord(value)) throw this.problem(key, 'not a layer');
    const own = this.#origin === 'configuration';
    const type = own ? value['type'] : value['class_name'];
    const config = own ? value : value['config'];
    const settings = new Settings(config, typeof type === 'string' ? type : shown(type), defaultName, this.#origin);
    this.#inner.push(settings);
    return settings;
  }

  /** Normalisation over features: the last axis, counted from the end or (checked with the input's rank) the start. */
  lastAxis(): void {
    const value = this.#take('axis') ?? -1;
    const axis = Array.isArray(value) && value.length === 1 ? value[0] : value;
    if (this.#origin === 'configuration' ? axis !== -1 : !(axis === -1 || axis === 1 || axis === 2)) {
      throw this.problem('axis', `${shown(value)}: only the last axis is known`);
    }
  }

  ignore(...keys: readonly string[]): void {
    for (const key of keys) this.#known.add(key);
  }

  refuse(key: string, value: unknown): void {
    if (this.#take(key) === value) throw this.problem(key, `${shown(value)} is not known`);
  }

  refuseOther(key: string, value: unknown): void {
    const found = this.#take(key) ?? value;
    if (found !== value) throw this.problem(key, `${shown(found)} is not known`);
  }

  /** In a configuration, a setting that was not read is a mistake. */
  finish(): void {
    for (const inner of this.#inner) inner.finish();
    if (this.#origin !== 'configuration') return;
    for (const key of Object.keys(this.#values)) {
      if (!this.#known.has(key)) throw this.problem(key, 'not a setting of this layer');
    }
  }

  problem(key: string, found: string): FleetcastError {
    return new FleetcastError('MODEL_INVALID', `layer ${this.name} (${this.type}): ${key}: ${found}`, {
      details: { layer: this.name, type: this.type, setting: key },
    });
  }

  #take(key: string): unknown {
    this.#known.add(key);
    return Object.hasOwn(this.#values, key) ? (this.#values[key] ?? undefined) : undefined;
  }

  #integer(key: string, value: unknown, low: number): number {
    if (!Number.isInteger(value) || (value as number) < low || (value as number) > MAX_SIZE) {
      throw this.problem(key, `${shown(value)}, expected an integer from ${low} to ${MAX_SIZE}`);
    }
    return value as number;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value for a message: short, and never an object's whole content. */
export function shown(value: unknown): string {
  if (isRecord(value))
    return typeof value['class_name'] === 'string' ? value['class_name'].slice(0, MAX_NAME) : 'an object';
  if (Array.isArray(value)) return 'a list';
  return String(value).slice(0, MAX_NAME);
}
