import { FleetcastError } from '../errors.ts';
import { architectureInteger, validateArtefact } from './artefact.ts';
import type { Model, ModelArtefact } from './model.ts';
import { ridgeModel } from './ridge.ts';
import { segmentLstmModel } from './segment-lstm/model.ts';

/**
 * The model of an artefact, checked against the sizes that its weights must have.
 * @param id SHA-256 of the encoded artefact
 * @throws MODEL_INVALID
 */
export function modelFromArtefact(artefact: ModelArtefact, id: string): Model {
  validateArtefact(artefact);
  switch (artefact.family) {
    case 'segment-lstm':
      return segmentLstmModel(id, artefact.shape, architectureInteger(artefact, 'width', 1, 1024), artefact.weights);
    case 'ridge':
      return ridgeModel(id, artefact.shape, artefact.weights);
    default:
      throw new FleetcastError('MODEL_INVALID', `family ${artefact.family} cannot be served by this version`);
  }
}
