import type { ModelEvent } from '../events/records.ts';
import type { ModelRegistry } from '../pipelines/model-registry.ts';
import { lifeIn, type ModelLine } from '../retraining/model-line.ts';
import type { ModelRow } from './http/page-source.ts';
import type { ModelPart } from './status.ts';
import type { FleetView } from './view/fleet-view.ts';

type Serving = Pick<ModelPart, 'id' | 'name' | 'family' | 'since' | 'metrics'>;

/** Which model serves, as the events on the log tell, and what its artefact says of it. */
export class ModelWatch {
  readonly #view: FleetView;
  readonly #registry: ModelRegistry;
  readonly #name: string;
  readonly #lines: () => Promise<ReadonlyMap<string, ModelLine>>;
  #known: Serving | undefined;
  #asked = '';
  /** The artefact of the model in use that is not on the log (any more). */
  #unreadable: string | undefined;

  /** @param lines every model line on the log */
  constructor(
    view: FleetView,
    registry: ModelRegistry,
    name: string,
    lines: () => Promise<ReadonlyMap<string, ModelLine>>,
  ) {
    this.#view = view;
    this.#registry = registry;
    this.#name = name;
    this.#lines = lines;
  }

  part(): ModelPart {
    const { id, since } = championOf(this.#view.modelEvents, this.#name);
    if (id === '') this.#known = undefined;
    else if (id !== this.#asked) this.#ask(id, since);
    const none = { id: '', name: this.#name, family: '', since: 0, metrics: {} };
    // The model before is told until the artefact of the new one has been read: its id alone would say that it has no family and no errors.
    const known = this.#unreadable === id ? { ...none, id, since } : (this.#known ?? none);
    return {
      ...known,
      errors: this.#view.modelErrors(),
      forecasts: Object.fromEntries(this.#view.forecastsByModel),
    };
  }

  /** All models on the log, newest first. */
  async list(): Promise<ModelRow[]> {
    const [listed, lines] = await Promise.all([this.#registry.list(), this.#lines()]);
    return listed
      .map(({ id, artefact }) => {
        const life = lifeIn(lines, id);
        return {
          id,
          name: artefact.name,
          family: artefact.family,
          status: life?.status ?? 'trained',
          createdAt: artefact.createdAt,
          reason: life?.events.at(-1)?.reason ?? '',
          metrics: artefact.metrics,
          trainedOn: {
            ranges: artefact.training.ranges,
            until: artefact.training.trainEnd,
            windows: artefact.training.windows,
            seed: artefact.training.seed,
            trainer: artefact.training.trainer,
            parent: artefact.parent,
          },
          life: (life?.events ?? []).map(({ kind, time, reason }) => ({ kind, time, reason })),
          live: this.#view.models.track(artefact.family === 'ridge' ? `ridge:${id}` : id),
        };
      })
      .reverse();
  }

  #ask(id: string, since: number): void {
    this.#asked = id;
    this.#registry.find(id).then(
      ({ artefact: { family, metrics } }) => {
        this.#unreadable = undefined;
        // Another may have come into use meanwhile.
        if (this.#asked === id) this.#known = { id, name: this.#name, family, since, metrics };
      },
      () => {
        this.#unreadable = id;
        if (this.#asked === id) this.#asked = '';
      },
    );
  }
}

function championOf(events: readonly ModelEvent[], name: string): { id: string; since: number } {
  let champion = { id: '', since: 0 };
  for (const event of events) {
    if (event.name !== name) continue;
    if (event.kind === 'promoted' || event.kind === 'rolled_back') champion = { id: event.modelId, since: event.time };
    else if (event.kind === 'retired' && event.modelId === champion.id) champion = { id: '', since: 0 };
  }
  return champion;
}
