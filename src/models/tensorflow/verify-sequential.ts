import type { Model, Tensor } from '../model.ts';
import { Random } from '../random.ts';
import { type SequentialSpec, takesCodes } from '../sequential/layers.ts';
import { Sequential } from './sequential.ts';
import { compare } from './verify.ts';

const WINDOWS = 16;

/**
 * Compares a Sequential model's forecasts of random windows with TensorFlow.js.
 * @returns the largest difference
 * @throws MODEL_DISAGREES above `MODEL_TOLERANCE`, TRAINER_UNAVAILABLE
 */
export async function verifySequential(
  model: Model,
  spec: SequentialSpec,
  weights: readonly Tensor[],
): Promise<number> {
  const { lookback, horizon } = model.shape;
  const random = new Random(11);
  const embedding = spec.layers.find((layer) => layer.type === 'Embedding');
  const draw = takesCodes(spec) ? () => random.below(embedding!.inputDim) : () => random.normal();
  const values = Float32Array.from({ length: WINDOWS * lookback }, draw);
  const served = new Float32Array(WINDOWS * horizon);
  model.forecast({ count: WINDOWS, values }, served);
  const reference = await Sequential.create(spec, { weights });
  try {
    return compare(model.id, served, reference.predict(values, WINDOWS, { steps: lookback }));
  } finally {
    reference.dispose();
  }
}
