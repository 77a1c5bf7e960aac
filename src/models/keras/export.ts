import type { Tensor } from '../model.ts';
import type { Activation, DenseLayer, Layer, RecurrentLayer, SequentialSpec } from '../sequential/layers.ts';
import { checkWeights, planSequential } from '../sequential/plan.ts';
import { DTYPE, type WrittenLayer, writeContainer } from './container.ts';
import { invalid } from './limits.ts';
import { placesOf } from './read.ts';

/**
 * A `.keras` file that `keras.models.load_model` of Keras 3 loads.
 * @param weights in the order of `planSequential`
 * @param savedAt milliseconds, for the date in the file
 * @throws MODEL_INVALID when the weights do not fit, or Keras 3 has no such setting
 */
export async function exportKeras(
  spec: SequentialSpec,
  weights: readonly Tensor[],
  savedAt: number,
): Promise<Uint8Array> {
  checkWeights(planSequential(spec), weights);
  let next = 0;
  const layers = planSequential(spec).map(({ layer, weights: specs }): WrittenLayer => {
    const places = placesOf(layer);
    const each = specs.length / places.length;
    const from = next;
    next += specs.length;
    const part = (i: number) => weights.slice(from + i * each, from + (i + 1) * each);
    return { type: layer.type, weights: places.map((place, i) => ({ place, tensors: part(i) })) };
  });
  return writeContainer(describe(spec), layers, savedAt);
}

function describe(spec: SequentialSpec): unknown {
  const input = [null, ...spec.inputShape];
  const layers = planSequential(spec).map(({ layer, input: shape }) => ({
    ...object(layer),
    build_config: { input_shape: [null, ...shape] },
  }));
  const inputLayer = {
    module: 'keras.layers',
    class_name: 'InputLayer',
    config: { batch_shape: input, dtype: 'float32', sparse: false, name: 'input_layer' },
    registered_name: null,
  };
  return {
    module: 'keras',
    class_name: 'Sequential',
    config: {
      name: spec.name,
      trainable: true,
      dtype: DTYPE,
      layers: [inputLayer, ...layers],
      build_input_shape: input,
    },
    registered_name: null,
    build_config: { input_shape: input },
  };
}

function object(layer: Layer | DenseLayer): Record<string, unknown> {
  return {
    module: 'keras.layers',
    class_name: layer.type,
    config: { name: layer.name, trainable: true, dtype: DTYPE, ...settings(layer) },
    registered_name: null,
  };
}

function settings(layer: Layer): Record<string, unknown> {
  switch (layer.type) {
    case 'LSTM':
    case 'GRU':
    case 'SimpleRNN':
      return recurrent(layer);
    case 'Bidirectional': {
      const backward = { ...layer.layer, goBackwards: true, name: `backward_${layer.layer.name}` };
      return { merge_mode: layer.mergeMode, layer: object(layer.layer), backward_layer: object(backward) };
    }
    case 'Embedding':
      return { input_dim: layer.inputDim, output_dim: layer.outputDim, mask_zero: layer.maskZero };
    case 'Dense':
      return { units: layer.units, activation: activation(layer, layer.activation), use_bias: layer.useBias };
    case 'TimeDistributed':
      return { layer: object(layer.layer) };
    case 'Dropout':
    case 'SpatialDropout1D':
      return { rate: layer.rate };
    case 'Masking':
      return { mask_value: layer.maskValue };
    case 'LayerNormalization':
      return { axis: -1, epsilon: layer.epsilon, center: layer.center, scale: layer.scale };
    case 'BatchNormalization':
      return {
        axis: -1,
        momentum: layer.momentum,
        epsilon: layer.epsilon,
        center: layer.center,
        scale: layer.scale,
      };
    case 'Normalization':
      return { axis: [-1], invert: layer.invert, mean: null, variance: null };
    case 'Activation':
      return { activation: activation(layer, layer.activation) };
    case 'Conv1D':
      return {
        filters: layer.filters,
        kernel_size: [layer.kernelSize],
        strides: [layer.strides],
        padding: layer.padding,
        data_format: 'channels_last',
        dilation_rate: [layer.dilationRate],
        groups: 1,
        activation: activation(layer, layer.activation),
        use_bias: layer.useBias,
      };
    case 'MaxPooling1D':
    case 'AveragePooling1D':
      return {
        pool_size: [layer.poolSize],
        strides: [layer.strides],
        padding: layer.padding,
        data_format: 'channels_last',
      };
    case 'Reshape':
      return { target_shape: layer.targetShape };
    case 'RepeatVector':
      return { n: layer.n };
    default:
      return {};
  }
}

function recurrent(layer: RecurrentLayer): Record<string, unknown> {
  return {
    units: layer.units,
    activation: activation(layer, layer.activation),
    ...(layer.type === 'SimpleRNN' ? {} : { recurrent_activation: activation(layer, layer.recurrentActivation) }),
    ...(layer.type === 'GRU' ? { reset_after: layer.resetAfter } : {}),
    use_bias: layer.useBias,
    return_sequences: layer.returnSequences,
    go_backwards: layer.goBackwards,
    zero_output_for_mask: layer.zeroOutputForMask,
    dropout: layer.dropout,
    recurrent_dropout: layer.recurrentDropout,
  };
}

function activation(layer: Layer, name: Activation): string {
  if (name === 'hard_sigmoid_2') {
    throw invalid(`layer ${layer.name} (${layer.type}): the hard sigmoid of Keras 2 does not exist in Keras 3`);
  }
  return name;
}
