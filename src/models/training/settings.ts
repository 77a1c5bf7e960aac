import type { TrainingSet, TrainSettings } from '../trainer.ts';
import type { WindowShape } from '../window-shape.ts';
import { HUBER_DELTA } from './loss.ts';

/**
 * The recipe for the segment LSTM. The learning rate belongs to the width and is the most important setting; the number
 * of epochs follows from the steps that a training needs, whatever the size of the set.
 */
export function defaultSettings(
  set: Pick<TrainingSet, 'train' | 'shape'>,
  change: Partial<TrainSettings> = {},
): TrainSettings {
  const family = change.family ?? 'segment-lstm';
  const width = change.width ?? (family === 'lstm' ? 32 : isLong(set.shape) ? 128 : 64);
  const batch = change.batch ?? 128;
  const sampleShare = change.sampleShare ?? 0.5;
  const perEpoch = Math.max(1, Math.ceil((set.train.starts.length * sampleShare) / batch));
  const steps = change.maxSteps ? Math.min(STEPS, change.maxSteps) : STEPS;
  return {
    family,
    layers: 1,
    decoding: 'direct',
    width,
    inputs: '',
    epochs: Math.min(100, Math.max(2, Math.round(steps / perEpoch))),
    batch,
    learningRate: width <= 32 ? 0.005 : width <= 64 ? 0.003 : 0.002,
    loss: 'huber',
    huberDelta: HUBER_DELTA,
    dropout: 0,
    clipNorm: 1,
    seed: 1,
    sampleShare,
    maxSteps: 0,
    ...change,
  };
}

/**
 * Horizons that a wider model is better on: chosen on the validation parts of ETTh1 with three seeds, where it is better
 * from four seasons on and no better at one.
 */
export function isLong({ horizon, season }: WindowShape): boolean {
  return horizon >= 4 * season;
}

/** Steps after which more brought nothing on the sets that the recipe was made with. */
const STEPS = 2600;
