/**
 * Sequential models as inert data: what a configuration, a Keras file and an artefact have in common. Types and names
 * of layers are Keras's own, so that what users know from there holds here.
 */

/** `hard_sigmoid_2` is the hard sigmoid of Keras 2, clip(0.2 x + 0.5); that of Keras 3 is clip(x / 6 + 0.5). */
export const ACTIVATIONS = [
  'linear',
  'relu',
  'relu6',
  'leaky_relu',
  'sigmoid',
  'tanh',
  'hard_sigmoid',
  'hard_sigmoid_2',
  'silu',
  'elu',
  'selu',
  'exponential',
  'softmax',
] as const;
export type Activation = (typeof ACTIVATIONS)[number];

interface Named {
  /** Unique within the model. */
  readonly name: string;
}

interface RecurrentCommon extends Named {
  readonly units: number;
  readonly activation: Activation;
  readonly useBias: boolean;
  /** All hidden states, one for each step, instead of the last one. */
  readonly returnSequences: boolean;
  /** Reads the steps from the last to the first, and returns them in that order. */
  readonly goBackwards: boolean;
  /** Whether a masked step gives zeros instead of the output of the step before. Bidirectional sequences always do. */
  readonly zeroOutputForMask: boolean;
  /** Shares of the inputs and of the hidden state that are dropped in training. */
  readonly dropout: number;
  readonly recurrentDropout: number;
}

export interface LstmLayer extends RecurrentCommon {
  readonly type: 'LSTM';
  readonly recurrentActivation: Activation;
}

export interface GruLayer extends RecurrentCommon {
  readonly type: 'GRU';
  readonly recurrentActivation: Activation;
  /** Whether the reset gate is applied after the recurrent product (Keras's default) or before it. */
  readonly resetAfter: boolean;
}

export interface SimpleRnnLayer extends RecurrentCommon {
  readonly type: 'SimpleRNN';
}

export type RecurrentLayer = LstmLayer | GruLayer | SimpleRnnLayer;

export interface BidirectionalLayer extends Named {
  readonly type: 'Bidirectional';
  /** The layer that reads forwards; the one that reads backwards is the same with weights of its own. */
  readonly layer: RecurrentLayer;
  readonly mergeMode: 'concat' | 'sum' | 'mul' | 'ave';
}

export interface EmbeddingLayer extends Named {
  readonly type: 'Embedding';
  /** Number of codes: 0 … inputDim − 1. */
  readonly inputDim: number;
  readonly outputDim: number;
  /** Whether code 0 stands for a missing step, which the layers after it leave out. */
  readonly maskZero: boolean;
}

export interface DenseLayer extends Named {
  readonly type: 'Dense';
  readonly units: number;
  readonly activation: Activation;
  readonly useBias: boolean;
}

export interface Conv1dLayer extends Named {
  readonly type: 'Conv1D';
  readonly filters: number;
  readonly kernelSize: number;
  readonly strides: number;
  readonly padding: 'valid' | 'same' | 'causal';
  readonly dilationRate: number;
  readonly activation: Activation;
  readonly useBias: boolean;
}

export interface PoolingLayer extends Named {
  readonly type: 'MaxPooling1D' | 'AveragePooling1D';
  readonly poolSize: number;
  readonly strides: number;
  readonly padding: 'valid' | 'same';
}

export type Layer =
  | Conv1dLayer
  | PoolingLayer
  | RecurrentLayer
  | BidirectionalLayer
  | EmbeddingLayer
  | DenseLayer
  | (Named & { readonly type: 'TimeDistributed'; readonly layer: DenseLayer })
  | (Named & { readonly type: 'Dropout' | 'SpatialDropout1D'; readonly rate: number })
  | (Named & { readonly type: 'Masking'; readonly maskValue: number })
  | (Named & {
      readonly type: 'LayerNormalization';
      readonly epsilon: number;
      readonly center: boolean;
      readonly scale: boolean;
    })
  | (Named & {
      readonly type: 'BatchNormalization';
      readonly epsilon: number;
      readonly momentum: number;
      readonly center: boolean;
      readonly scale: boolean;
    })
  | (Named & { readonly type: 'Normalization'; readonly invert: boolean })
  | (Named & { readonly type: 'Activation'; readonly activation: Activation })
  | (Named & { readonly type: 'ReLU' | 'Softmax' | 'Flatten' | 'GlobalAveragePooling1D' | 'GlobalMaxPooling1D' })
  | (Named & { readonly type: 'Reshape'; readonly targetShape: readonly number[] })
  | (Named & { readonly type: 'RepeatVector'; readonly n: number });

/** Sizes of one row, without the batch; null where any number of steps will do. */
export type RowShape = readonly (number | null)[];

export interface SequentialSpec {
  readonly name: string;
  /** `[steps, features]` or `[features]`; `[steps]` where the first layer is an embedding of codes. */
  readonly inputShape: RowShape;
  readonly layers: readonly Layer[];
}

/** The layers that our own arithmetic does not have: models with one of them are served by TensorFlow.js. */
export function isForeign({ type }: Layer): boolean {
  return type === 'Conv1D' || type === 'MaxPooling1D' || type === 'AveragePooling1D';
}

/** Whether the outputs are probabilities: the last layer that computes ends with a softmax. */
export function givesProbabilities({ layers }: SequentialSpec): boolean {
  const last = layers.findLast(({ type }) => type !== 'Dropout' && type !== 'Reshape' && type !== 'Flatten');
  return last?.type === 'Softmax' || (last !== undefined && 'activation' in last && last.activation === 'softmax');
}

/** Whether rows hold codes (an Embedding comes first) instead of values. */
export function takesCodes(spec: SequentialSpec): boolean {
  return spec.layers.find((layer) => layer.type !== 'Masking')?.type === 'Embedding';
}
