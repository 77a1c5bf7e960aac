import { FleetcastError } from '../../errors.ts';
import { type LstmArchitecture, lstmSizes } from '../lstm/model.ts';
import type { Model, Tensor } from '../model.ts';
import { Random } from '../random.ts';
import { type SegmentLstmArchitecture, segmentLstmSizes } from '../segment-lstm/parameters.ts';
import { loadTensorFlow, type TensorFlow } from './backend.ts';
import { lstmReference } from './lstm.ts';
import { referenceForecast } from './segment-lstm.ts';

/**
 * Largest difference between kernel and reference that is put down to rounding: in standard deviations, or, of a model
 * whose outputs are larger than one, as a share of the largest.
 */
export const MODEL_TOLERANCE = 1e-4;
const WINDOWS = 16;

/**
 * Compares a model's forecasts of random windows with TensorFlow.js.
 * @returns the largest difference
 * @throws MODEL_DISAGREES above {@link MODEL_TOLERANCE}, TRAINER_UNAVAILABLE
 */
export async function verifySegmentLstm(
  model: Model,
  architecture: SegmentLstmArchitecture,
  weights: readonly Tensor[],
): Promise<number> {
  const sizes = segmentLstmSizes(model.shape, architecture);
  return verify(model, (tf, values, inputs) => referenceForecast(tf, sizes, weights, values, WINDOWS, inputs));
}

/** The same for a plain LSTM. */
export async function verifyLstm(
  model: Model,
  architecture: LstmArchitecture,
  weights: readonly Tensor[],
): Promise<number> {
  const sizes = lstmSizes(model.shape, architecture);
  return verify(model, (tf, values) => lstmReference(tf, sizes, weights, values, WINDOWS));
}

async function verify(
  model: Model,
  reference: (tf: TensorFlow, values: Float32Array, inputs: Float32Array) => Float32Array,
): Promise<number> {
  const tf = await loadTensorFlow();
  const { lookback, horizon } = model.shape;
  const random = new Random(11);
  const values = Float32Array.from({ length: WINDOWS * lookback }, () => random.normal());
  const served = new Float32Array(WINDOWS * horizon);
  const inputs = Float32Array.from({ length: WINDOWS * (model.inputs?.size ?? 0) }, () => random.normal());
  model.forecast({ count: WINDOWS, values, inputs }, served);
  return compare(model.id, served, reference(tf, values, inputs));
}

/** @throws MODEL_DISAGREES */
export function compare(id: string, served: Float32Array, reference: Float32Array): number {
  let largest = 0;
  let scale = 1;
  served.forEach((value, i) => {
    const difference = Math.abs(value - reference[i]!);
    if (!(difference <= largest)) largest = difference;
    scale = Math.max(scale, Math.abs(reference[i]!));
  });
  const tolerance = MODEL_TOLERANCE * scale;
  // Also where either is NaN, or the reference without bounds.
  if (!(largest <= tolerance) || tolerance === Number.POSITIVE_INFINITY) {
    throw new FleetcastError('MODEL_DISAGREES', `model ${id} differs from TensorFlow.js by ${largest}`, {
      details: { id, difference: largest, tolerance },
    });
  }
  return largest;
}
