import { type ErrorCode, type FleetcastError, isFleetcastError } from '../errors.ts';
import type { Activation, HistoryFlush } from '../events/records.ts';
import { isFlush } from '../operators/history.ts';
import type { PreparedActivation, ServedModel } from '../operators/served-model.ts';
import type { Awaits, Prepare } from '../topology/topology.ts';

/** Where the models come from. */
export interface ModelSource {
  /**
   * The model with this id; waits until it is there.
   * @throws MODEL_INVALID, MODEL_DISAGREES for an artefact that cannot be served, the signal's reason when it ends the wait
   */
  load(id: string, signal?: AbortSignal): Promise<ServedModel>;
}

const REFUSED: readonly ErrorCode[] = ['MODEL_INVALID', 'MODEL_DISAGREES', 'CODEC_MALFORMED'];

/** Whether an artefact can be read and will never be servable. */
export function isRefusal(error: unknown): error is FleetcastError {
  return isFleetcastError(error) && REFUSED.includes(error.code);
}

/**
 * Makes an activation ready before the micro-batch that begins with it: the task waits here until the artefact can be
 * read and never goes on with the old model. An artefact that can be read and is invalid will never be servable: the
 * activation is refused, counted, and changes nothing, in every replay alike.
 */
export function activationPreparer(names: readonly string[], models: ModelSource): Prepare {
  return async (value, signal): Promise<PreparedActivation | HistoryFlush> => {
    if (isFlush(value)) return value;
    const activation = value as Activation;
    if (!names.includes(activation.name) || activation.modelId === '')
      return { activation, served: undefined, refusal: '' };
    try {
      return { activation, served: await models.load(activation.modelId, signal), refusal: '' };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return { activation, served: undefined, refusal: error.message };
    }
  };
}

/** What {@link activationPreparer} waits for. */
export const awaitedModel: Awaits = (value) => {
  if (isFlush(value)) return 'a flush of the history';
  const { modelId, name } = value as Activation;
  return `the model ${modelId.slice(0, 12)} of “${name}” to be on the log, compared and ready`;
};
