import { strToU8, zipSync } from 'fflate';
import h5wasm, { File, type Group } from 'h5wasm';
import type { Tensor } from '../model.ts';
import { snakeCase } from '../sequential/configuration.ts';
import type { Activation, DenseLayer, Layer, RecurrentLayer, SequentialSpec } from '../sequential/layers.ts';
import { checkWeights, planSequential } from '../sequential/plan.ts';
import { invalid } from './limits.ts';
import { placesOf } from './read.ts';

const DTYPE = { module: 'keras', class_name: 'DTypePolicy', config: { name: 'float32' }, registered_name: null };
/** Zip has no earlier date. */
const EPOCH = new Date(1980, 0, 1);

let written = 0;

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
  const config = JSON.stringify(describe(spec));
  const saved = new Date(savedAt).toISOString().slice(0, 19).replace('T', '@');
  const metadata = JSON.stringify({ keras_version: '3.0.0', date_saved: saved });
  return zipSync(
    {
      'metadata.json': strToU8(metadata),
      'config.json': strToU8(config),
      'model.weights.h5': await weightsFile(spec, weights),
    },
    { level: 0, mtime: EPOCH },
  );
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

async function weightsFile(spec: SequentialSpec, weights: readonly Tensor[]): Promise<Uint8Array> {
  const { FS } = await h5wasm.ready;
  const path = `/export-${written++}.h5`;
  const file = new File(path, 'w');
  try {
    const layers = file.create_group('layers');
    file.create_group('vars');
    const used = new Map<string, number>();
    let next = 0;
    for (const { layer, weights: specs } of planSequential(spec)) {
      const base = snakeCase(layer.type);
      const count = used.get(base) ?? 0;
      used.set(base, count + 1);
      const group = layers.create_group(count === 0 ? base : `${base}_${count}`);
      const places = placesOf(layer);
      if (!places.includes('/vars')) group.create_group('vars');
      for (const place of places) {
        const vars = groupAt(group, place);
        for (let i = 0; i < specs.length / places.length; i++) {
          const { data, shape } = weights[next++]!;
          vars.create_dataset({ name: String(i), data, shape: [...shape], dtype: '<f' });
        }
        // How many rows the mean was taken over; Keras expects it and does not use it in predictions.
        if (layer.type === 'Normalization') vars.create_dataset({ name: '2', data: [0], shape: [], dtype: '<i' });
      }
    }
    file.flush();
  } finally {
    file.close();
  }
  const bytes = FS.readFile(path) as Uint8Array;
  FS.unlink(path);
  return bytes;
}

function groupAt(group: Group, path: string): Group {
  return path
    .split('/')
    .filter((part) => part !== '')
    .reduce((at, part) => (at.keys().includes(part) ? (at.get(part) as Group) : at.create_group(part)), group);
}
