import { FleetcastError } from '../../errors.ts';
import type { Model, ModelArtefact, Tensor, WindowShape } from '../model.ts';
import { predictorOf } from '../tensorflow/predictor.ts';
import { parseSequential } from './configuration.ts';
import { formatSequential } from './format.ts';
import type { SequentialSpec } from './layers.ts';

/**
 * A Sequential model that forecasts windows: its input is `[lookback, 1]`, `[lookback]` or codes, all its outputs of a
 * row together are the horizon.
 * @throws MODEL_INVALID when layers, weights and shape do not fit each other
 */
export function sequentialModel(
  id: string,
  shape: WindowShape,
  spec: SequentialSpec,
  weights: readonly Tensor[],
): Model {
  const { lookback, horizon } = shape;
  const [steps, features = 1, ...rest] = spec.inputShape;
  if ((steps ?? lookback) !== lookback || features !== 1 || rest.length > 0) {
    const found = spec.inputShape.map((n) => n ?? 'any').join(', ');
    throw new FleetcastError('MODEL_INVALID', `the model reads rows of [${found}], a window is [${lookback}, 1]`);
  }
  const network = predictorOf(spec, weights);
  const output = network.outputShape(lookback);
  if (output.reduce((product, n) => product * n, 1) !== horizon) {
    throw new FleetcastError('MODEL_INVALID', `the model gives rows of [${output}] for a horizon of ${horizon}`);
  }
  return {
    id,
    family: 'sequential',
    shape,
    forecast({ count, values }, out) {
      if (count > 0) out.set(network.predict(values.subarray(0, count * lookback), count, lookback));
    },
  };
}

/** `ModelArtefact.architecture` of a Sequential model. */
export function sequentialArchitecture(spec: SequentialSpec): Readonly<Record<string, string>> {
  return { sequential: JSON.stringify(formatSequential(spec)) };
}

/** @throws MODEL_INVALID */
export function sequentialOf({ architecture }: Pick<ModelArtefact, 'architecture'>): SequentialSpec {
  try {
    return parseSequential(JSON.parse(String(architecture['sequential'])));
  } catch (cause) {
    if (cause instanceof FleetcastError) throw cause;
    throw new FleetcastError('MODEL_INVALID', 'artefact field architecture.sequential is no JSON', { cause });
  }
}
