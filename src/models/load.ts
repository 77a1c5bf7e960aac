import { FleetcastError } from '../errors.ts';
import { architectureChoice, architectureInteger, validateArtefact } from './artefact.ts';
import { type LstmArchitecture, lstmModel } from './lstm/model.ts';
import type { Model, ModelArtefact } from './model.ts';
import { ridgeModel } from './ridge.ts';
import { segmentLstmModel } from './segment-lstm/model.ts';
import type { SegmentLstmArchitecture } from './segment-lstm/parameters.ts';
import { isForeign } from './sequential/layers.ts';
import { sequentialModel, sequentialOf } from './sequential/model.ts';

/**
 * The model of an artefact, checked against the sizes that its weights must have.
 * @param id SHA-256 of the encoded artefact
 * @throws MODEL_INVALID
 */
export function modelFromArtefact(artefact: ModelArtefact, id: string): Model {
  validateArtefact(artefact);
  switch (artefact.family) {
    case 'segment-lstm':
      return segmentLstmModel(id, artefact.shape, segmentLstmArchitecture(artefact), artefact.weights);
    case 'lstm':
      return lstmModel(id, artefact.shape, lstmArchitecture(artefact), artefact.weights);
    case 'ridge':
      return ridgeModel(id, artefact.shape, artefact.weights);
    case 'sequential':
      return sequentialModel(id, artefact.shape, sequentialOf(artefact), artefact.weights);
    default:
      throw new FleetcastError('MODEL_INVALID', `family ${artefact.family} cannot be served by this version`);
  }
}

/** What computes a model's forecasts, in words. @throws MODEL_INVALID */
export function servedBy(artefact: ModelArtefact): string {
  const { family } = artefact;
  if (family !== 'sequential') return 'our kernel in WebAssembly';
  const foreign = sequentialOf(artefact).layers.filter(isForeign);
  if (foreign.length === 0) return 'our arithmetic on typed arrays';
  return `TensorFlow.js on its plain backend, because of ${foreign.map(({ name, type }) => `${name} (${type})`).join(', ')}`;
}

/** Whether a model of this family is compared with TensorFlow.js. Closed forms need no comparison. */
export function needsVerification(family: string): boolean {
  return family === 'segment-lstm' || family === 'lstm' || family === 'sequential';
}

/**
 * The model of an artefact, after its forecasts of random windows have been compared with TensorFlow.js. Closed forms
 * need no comparison.
 * @throws MODEL_INVALID, MODEL_DISAGREES, TRAINER_UNAVAILABLE
 */
export async function loadVerifiedModel(artefact: ModelArtefact, id: string): Promise<Model> {
  const model = modelFromArtefact(artefact, id);
  if (artefact.family === 'segment-lstm' || artefact.family === 'lstm') {
    const { verifyLstm, verifySegmentLstm } = await import('./tensorflow/verify.ts');
    if (artefact.family === 'lstm') await verifyLstm(model, lstmArchitecture(artefact), artefact.weights);
    else await verifySegmentLstm(model, segmentLstmArchitecture(artefact), artefact.weights);
  }
  if (artefact.family === 'sequential') {
    const { verifySequential } = await import('./tensorflow/verify-sequential.ts');
    await verifySequential(model, sequentialOf(artefact), artefact.weights);
  }
  return model;
}

function segmentLstmArchitecture(artefact: ModelArtefact): SegmentLstmArchitecture {
  return {
    width: architectureInteger(artefact, 'width', 1, 1024),
    inputs: String(artefact.architecture['inputs'] ?? ''),
  };
}

function lstmArchitecture(artefact: ModelArtefact): LstmArchitecture {
  return {
    width: architectureInteger(artefact, 'width', 1, 1024),
    layers: architectureInteger(artefact, 'layers', 1, 16),
    decoding: architectureChoice(artefact, 'decoding', ['direct', 'autoregressive'] as const),
  };
}
