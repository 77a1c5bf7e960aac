import type { Activation } from '../events/records.ts';
import type { Model, ModelArtefact } from '../models/model.ts';

/** A model that is ready to serve, with what belongs to it. */
export interface ServedModel {
  readonly model: Model;
  readonly artefact: ModelArtefact;
}

/** What an `Activation` becomes once its artefact is at hand: the value of the broadcast. */
export interface PreparedActivation {
  readonly activation: Activation;
  /** Undefined where the activation takes the role away, or where the artefact can never be served (see `refusal`). */
  readonly served: ServedModel | undefined;
  /** Why a model that exists is not served: its artefact is invalid. Empty otherwise. */
  readonly refusal: string;
}
