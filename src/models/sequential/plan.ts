import { FleetcastError } from '../../errors.ts';
import { ARTEFACT_LIMITS } from '../artefact.ts';
import type { Tensor } from '../model.ts';
import {
  type Conv1dLayer,
  isForeign,
  type Layer,
  type PoolingLayer,
  type RecurrentLayer,
  type RowShape,
  type SequentialSpec,
} from './layers.ts';

export type Initial = 'glorot_uniform' | 'orthogonal' | 'zeros' | 'ones' | 'unit_forget_bias' | 'uniform';

/** A tensor that a layer needs. Names are `layer/weight`, for example `lstm/kernel` or `bidirectional/forward/bias`. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initial: Initial;
  readonly trainable: boolean;
}

export interface PlannedLayer {
  readonly layer: Layer;
  readonly input: RowShape;
  readonly output: RowShape;
  readonly weights: readonly WeightSpec[];
}

const MAX_LAYERS = 200;
const MAX_SIZE = 1_000_000;

/**
 * Shapes and weights of every layer. Nothing is allocated by the sizes in the specification.
 * @throws MODEL_INVALID naming the layer when layers do not fit each other, or the model is larger than an artefact may be
 */
export function planSequential(spec: SequentialSpec): PlannedLayer[] {
  if (spec.layers.length === 0) throw invalid(`model ${spec.name} has no layers`);
  if (spec.layers.length > MAX_LAYERS) {
    throw invalid(`model ${spec.name} has ${spec.layers.length} layers, more than ${MAX_LAYERS}`);
  }
  const names = new Set<string>();
  let shape = spec.inputShape;
  if (shape.length === 0 || shape.length > 3)
    throw invalid(`the input has ${shape.length} dimensions, expected 1 to 3`);
  checkSizes('the input', shape);
  let parameters = 0;
  return spec.layers.map((layer, i) => {
    if (names.has(layer.name)) throw invalid(`two layers are named ${layer.name}`);
    names.add(layer.name);
    if (layer.type === 'Embedding' && i > 0) throw at(layer, 'it has to be the first layer');
    if (isForeign(layer) && spec.layers.slice(0, i).some(masks)) throw at(layer, 'it does not know masked steps');
    const input = shape;
    const weights = weightsOf(layer, input);
    shape = outputOf(layer, input);
    checkSizes(`layer ${layer.name} (${layer.type})`, shape);
    parameters += countOf(weights);
    if (parameters > ARTEFACT_LIMITS.weights) {
      throw at(layer, `the model has more than ${ARTEFACT_LIMITS.weights} parameters`);
    }
    return { layer, input, output: shape, weights };
  });
}

function masks(layer: Layer): boolean {
  return layer.type === 'Masking' || (layer.type === 'Embedding' && layer.maskZero);
}

export function countOf(weights: readonly WeightSpec[]): number {
  return weights.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0);
}

/** @throws MODEL_INVALID when tensors are missing, in another order or of other shapes, or not finite */
export function checkWeights(plan: readonly PlannedLayer[], tensors: readonly Tensor[]): void {
  const wanted = plan.flatMap(({ weights }) => weights);
  if (tensors.length !== wanted.length) {
    throw invalid(`${tensors.length} tensors of weights where the layers need ${wanted.length}`);
  }
  wanted.forEach(({ name, shape }, i) => {
    const found = tensors[i]!;
    const count = shape.reduce((product, n) => product * n, 1);
    if (found.name !== name || found.shape.join() !== shape.join() || found.data.length !== count) {
      throw invalid(
        `weights ${found.name} [${found.shape}] with ${found.data.length} values, expected ${name} [${shape}]`,
      );
    }
    if (!found.data.every(Number.isFinite)) throw invalid(`weights ${name} hold a value that is not finite`);
  });
}

/** Gates of a recurrent layer: the columns of its kernel are gates × units. */
export function gatesOf(layer: RecurrentLayer): number {
  return layer.type === 'LSTM' ? 4 : layer.type === 'GRU' ? 3 : 1;
}

function weightsOf(layer: Layer, input: RowShape): WeightSpec[] {
  const { name } = layer;
  const features = () => known(layer, input.at(-1));
  switch (layer.type) {
    case 'LSTM':
    case 'GRU':
    case 'SimpleRNN':
      return recurrentWeights(layer, name, features());
    case 'Bidirectional':
      return [
        ...recurrentWeights(layer.layer, `${name}/forward`, features()),
        ...recurrentWeights(layer.layer, `${name}/backward`, features()),
      ];
    case 'Embedding':
      return [
        { name: `${name}/embeddings`, shape: [layer.inputDim, layer.outputDim], initial: 'uniform', trainable: true },
      ];
    case 'Dense':
    case 'TimeDistributed': {
      const dense = layer.type === 'Dense' ? layer : layer.layer;
      return [
        { name: `${name}/kernel`, shape: [features(), dense.units], initial: 'glorot_uniform', trainable: true },
        ...bias(dense.useBias, { name: `${name}/bias`, shape: [dense.units], initial: 'zeros', trainable: true }),
      ];
    }
    case 'Conv1D': {
      const shape = [layer.kernelSize, features(), layer.filters];
      return [
        { name: `${name}/kernel`, shape, initial: 'glorot_uniform', trainable: true },
        ...bias(layer.useBias, { name: `${name}/bias`, shape: [layer.filters], initial: 'zeros', trainable: true }),
      ];
    }
    case 'LayerNormalization':
    case 'BatchNormalization': {
      const shape = [features()];
      return [
        ...bias(layer.scale, { name: `${name}/gamma`, shape, initial: 'ones', trainable: true }),
        ...bias(layer.center, { name: `${name}/beta`, shape, initial: 'zeros', trainable: true }),
        ...bias(layer.type === 'BatchNormalization', {
          name: `${name}/moving_mean`,
          shape,
          initial: 'zeros',
          trainable: false,
        }),
        ...bias(layer.type === 'BatchNormalization', {
          name: `${name}/moving_variance`,
          shape,
          initial: 'ones',
          trainable: false,
        }),
      ];
    }
    case 'Normalization':
      return [
        { name: `${name}/mean`, shape: [features()], initial: 'zeros', trainable: false },
        { name: `${name}/variance`, shape: [features()], initial: 'ones', trainable: false },
      ];
    default:
      return [];
  }
}

function recurrentWeights(layer: RecurrentLayer, name: string, features: number): WeightSpec[] {
  const columns = gatesOf(layer) * layer.units;
  const twice = layer.type === 'GRU' && layer.resetAfter;
  return [
    { name: `${name}/kernel`, shape: [features, columns], initial: 'glorot_uniform', trainable: true },
    { name: `${name}/recurrent_kernel`, shape: [layer.units, columns], initial: 'orthogonal', trainable: true },
    ...bias(layer.useBias, {
      name: `${name}/bias`,
      shape: twice ? [2, columns] : [columns],
      initial: layer.type === 'LSTM' ? 'unit_forget_bias' : 'zeros',
      trainable: true,
    }),
  ];
}

function bias(present: boolean, spec: WeightSpec): WeightSpec[] {
  return present ? [spec] : [];
}

function outputOf(layer: Layer, input: RowShape): RowShape {
  switch (layer.type) {
    case 'LSTM':
    case 'GRU':
    case 'SimpleRNN':
      return recurrentOutput(layer, layer, input, layer.units);
    case 'Bidirectional': {
      const { units } = layer.layer;
      return recurrentOutput(layer, layer.layer, input, layer.mergeMode === 'concat' ? 2 * units : units);
    }
    case 'Embedding':
      if (input.length !== 1) throw at(layer, `it reads rows of codes [steps], not ${show(input)}`);
      return [input[0]!, layer.outputDim];
    case 'Dense':
      return [...input.slice(0, -1), layer.units];
    case 'TimeDistributed':
      sequence(layer, input);
      return [...input.slice(0, -1), layer.layer.units];
    case 'Masking':
      sequence(layer, input);
      return input;
    case 'SpatialDropout1D':
      sequence(layer, input);
      return input;
    case 'GlobalAveragePooling1D':
    case 'GlobalMaxPooling1D':
      sequence(layer, input);
      return [input[1]!];
    case 'Conv1D':
    case 'MaxPooling1D':
    case 'AveragePooling1D': {
      sequence(layer, input);
      const steps = input[0] === null ? null : slidingSteps(layer, input[0]!);
      if (steps !== null && steps < 1) throw at(layer, `it is longer than the ${input[0]} steps that it reads`);
      return [steps, layer.type === 'Conv1D' ? layer.filters : input[1]!];
    }
    case 'Flatten':
      return [size(layer, input)];
    case 'RepeatVector':
      if (input.length !== 1) throw at(layer, `it reads rows [features], not ${show(input)}`);
      return [layer.n, input[0]!];
    case 'Reshape': {
      const total = size(layer, input);
      const open = layer.targetShape.filter((n) => n === -1).length;
      const rest = layer.targetShape.reduce((product, n) => (n === -1 ? product : product * n), 1);
      const target = layer.targetShape.map((n) => (n === -1 ? total / rest : n));
      if (open > 1 || target.length > 3 || target.reduce((product, n) => product * n, 1) !== total) {
        throw at(layer, `${show(input)} cannot be reshaped to ${show(layer.targetShape)}`);
      }
      return target;
    }
    default:
      return input;
  }
}

/** Steps that come out of a layer that slides over so many. */
export function slidingSteps(layer: Conv1dLayer | PoolingLayer, steps: number): number {
  const reach = layer.type === 'Conv1D' ? (layer.kernelSize - 1) * layer.dilationRate + 1 : layer.poolSize;
  return layer.padding === 'valid' ? Math.floor((steps - reach) / layer.strides) + 1 : Math.ceil(steps / layer.strides);
}

function recurrentOutput(layer: Layer, inner: RecurrentLayer, input: RowShape, units: number): RowShape {
  sequence(layer, input);
  return inner.returnSequences ? [input[0]!, units] : [units];
}

function sequence(layer: Layer, input: RowShape): void {
  if (input.length !== 2) throw at(layer, `it reads sequences [steps, features], not ${show(input)}`);
}

function size(layer: Layer, input: RowShape): number {
  return input.reduce<number>((product, n) => product * known(layer, n), 1);
}

function known(layer: Layer, n: number | null | undefined): number {
  if (typeof n !== 'number') throw at(layer, 'it needs a size that the input leaves open');
  return n;
}

function checkSizes(what: string, shape: RowShape): void {
  let total = 1;
  for (const n of shape) {
    if (n === null) continue;
    if (!Number.isInteger(n) || n < 1 || n > MAX_SIZE) throw invalid(`${what} has a dimension of ${n}`);
    total *= n;
  }
  if (total > MAX_SIZE) throw invalid(`${what} has rows of ${total} values, more than ${MAX_SIZE}`);
}

function show(shape: RowShape): string {
  return `[${shape.map((n) => n ?? 'any').join(', ')}]`;
}

function at(layer: Layer, problem: string): FleetcastError {
  return new FleetcastError('MODEL_INVALID', `layer ${layer.name} (${layer.type}): ${problem}`, {
    details: { layer: layer.name, type: layer.type },
  });
}

function invalid(problem: string): FleetcastError {
  return new FleetcastError('MODEL_INVALID', problem);
}
