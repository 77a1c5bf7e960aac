import type { Tensor } from '../model.ts';
import { DTYPE, type WrittenLayer, writeContainer } from './container.ts';

type Weights = Pick<Tensor, 'shape' | 'data'>;

/** A tensor of a functional model: an output of a call of a layer. */
export interface Ref {
  readonly layer: string;
  readonly call: number;
  readonly index: number;
  /** Without the batch. */
  readonly shape: readonly number[];
}

interface Node {
  readonly args: unknown;
  readonly kwargs: Readonly<Record<string, unknown>>;
}

interface GraphLayer {
  readonly type: string;
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: WrittenLayer['weights'];
  readonly nodes: Node[];
}

/**
 * A functional model of Keras in the making. Layers that have weights must be added in the order in which Keras sorts
 * them, from the input to the output by their distance from the output, because the weights in the file are found by it.
 */
export class KerasGraph {
  readonly #name: string;
  readonly #layers = new Map<string, GraphLayer>();

  constructor(name: string) {
    this.#name = name;
  }

  input(shape: readonly number[]): Ref {
    const config = { batch_shape: [null, ...shape], dtype: 'float32', sparse: false };
    return this.#add('InputLayer', 'window', config, [], [], shape);
  }

  /**
   * Adds a layer and calls it.
   * @param inputs one tensor, or several for layers that merge
   */
  layer(
    type: string,
    name: string,
    config: Readonly<Record<string, unknown>>,
    inputs: Ref | readonly Ref[],
    shape: readonly number[],
    weights: readonly Weights[] = [],
  ): Ref {
    const place = type === 'LSTM' ? '/cell/vars' : '/vars';
    const nodes = [node(inputs, {})];
    return this.#add(type, name, config, weights.length === 0 ? [] : [{ place, tensors: weights }], nodes, shape);
  }

  /** A fixed linear map of the last axis: exact where every column has one or two entries of ±1. */
  fixed(name: string, input: Ref, columns: number, entry: (row: number, column: number) => number): Ref {
    const rows = input.shape.at(-1)!;
    const data = Float32Array.from({ length: rows * columns }, (_, i) => entry(Math.floor(i / columns), i % columns));
    const config = { units: columns, activation: 'linear', use_bias: false, trainable: false };
    return this.layer(
      'Dense',
      name,
      config,
      input,
      [...input.shape.slice(0, -1), columns],
      [{ shape: [rows, columns], data }],
    );
  }

  /** Calls a layer again, with the same weights. */
  again(name: string, input: Ref, shape: readonly number[], state: readonly Ref[] = []): Ref {
    const { nodes } = this.#layers.get(name)!;
    nodes.push(node(input, state.length === 0 ? {} : { initial_state: state.map(tensor) }));
    return { layer: name, call: nodes.length - 1, index: 0, shape };
  }

  /** @param savedAt milliseconds */
  write(input: Ref, output: Ref, savedAt: number): Promise<Uint8Array> {
    const layers = [...this.#layers.values()];
    const config = {
      module: 'keras.src.models.functional',
      class_name: 'Functional',
      config: {
        name: this.#name,
        trainable: true,
        layers: layers.map(({ type, name, config: settings, nodes }) => ({
          module: 'keras.layers',
          class_name: type,
          config: { trainable: true, ...(type === 'InputLayer' ? {} : { dtype: DTYPE }), ...settings, name },
          registered_name: null,
          name,
          inbound_nodes: nodes.map(({ args, kwargs }) => ({ args, kwargs })),
        })),
        input_layers: [[input.layer, 0, 0]],
        output_layers: [[output.layer, output.call, output.index]],
      },
      registered_name: 'Functional',
      build_config: { input_shape: null },
    };
    return writeContainer(config, layers, savedAt);
  }

  #add(
    type: string,
    name: string,
    config: Readonly<Record<string, unknown>>,
    weights: WrittenLayer['weights'],
    nodes: Node[],
    shape: readonly number[],
  ): Ref {
    this.#layers.set(name, { type, name, config, weights, nodes });
    return { layer: name, call: 0, index: 0, shape };
  }
}

function node(inputs: Ref | readonly Ref[], kwargs: Readonly<Record<string, unknown>>): Node {
  return { args: [Array.isArray(inputs) ? inputs.map(tensor) : tensor(inputs as Ref)], kwargs };
}

function tensor({ layer, call, index, shape }: Ref): unknown {
  const config = { shape: [null, ...shape], dtype: 'float32', keras_history: [layer, call, index] };
  return { class_name: '__keras_tensor__', config };
}
