import { FleetcastError } from '../../errors.ts';
import type { NetworkFactory } from '../kernel/network.ts';
import { lstmFactory, lstmModel, lstmSizes } from '../lstm/model.ts';
import { initLstm } from '../lstm/parameters.ts';
import type { Model, Tensor, WindowShape } from '../model.ts';
import { segmentLstmFactory, segmentLstmModel } from '../segment-lstm/model.ts';
import { initSegmentLstm, segmentLstmSizes } from '../segment-lstm/parameters.ts';
import { sequentialModel, sequentialOf } from '../sequential/model.ts';
import type { TrainSettings } from '../trainer.ts';

/** The families that settings can name: what the trainers and the artefact need of each. */

type Sizes = Pick<TrainSettings, 'family' | 'width' | 'layers' | 'decoding' | 'sequential'> & {
  readonly inputs?: string;
};

export function networkFactory(shape: WindowShape, settings: Sizes): NetworkFactory {
  return settings.family === 'lstm'
    ? lstmFactory(lstmSizes(shape, settings))
    : segmentLstmFactory(segmentLstmSizes(shape, settings));
}

/** Initial weights, drawn from the seed. */
export function initialWeights(shape: WindowShape, settings: Sizes & { readonly seed: number }): Tensor[] {
  return settings.family === 'lstm'
    ? initLstm(lstmSizes(shape, settings), settings.seed)
    : initSegmentLstm(segmentLstmSizes(shape, settings), settings.seed);
}

/** The served form of weights that were trained with these settings. @throws MODEL_INVALID */
export function modelOf(id: string, shape: WindowShape, settings: Sizes, weights: readonly Tensor[]): Model {
  if (settings.family === 'sequential') {
    return sequentialModel(id, shape, sequentialOf({ architecture: architectureOf(settings) }), weights);
  }
  return settings.family === 'lstm'
    ? lstmModel(id, shape, settings, weights)
    : segmentLstmModel(id, shape, settings, weights);
}

/** `ModelArtefact.architecture` of a model that was trained with these settings. */
export function architectureOf({
  family,
  width,
  layers,
  decoding,
  sequential,
  inputs = '',
}: Sizes): Record<string, number | string> {
  if (family === 'sequential') return { sequential: sequential ?? '' };
  if (family === 'lstm') return { width, layers, decoding };
  return inputs === '' ? { width } : { width, inputs };
}

/** @throws TRAINER_UNAVAILABLE for settings that the family does not know */
export function checkFamily({ family, dropout, inputs }: TrainSettings): void {
  if (family === 'sequential') {
    const message = 'the trainer kernel trains the LSTM families; for layers of your own there is tensorflow';
    throw new FleetcastError('TRAINER_UNAVAILABLE', message);
  }
  if (family === 'lstm' && inputs !== '') {
    throw new FleetcastError('TRAINER_UNAVAILABLE', 'the family lstm knows no further inputs: use segment-lstm');
  }
  if (family === 'lstm' && dropout > 0) {
    throw new FleetcastError('TRAINER_UNAVAILABLE', 'the family lstm knows no dropout: set it to 0');
  }
}
