import { decode } from '../events/codec.ts';
import type { ModelEvent } from '../events/records.ts';
import type { EventLog } from '../log/event-log.ts';
import type { TrainingRequest } from './request.ts';
import { scan } from './scan.ts';

/** What has become of a model. */
export type ModelStatus = 'trained' | 'shadow' | 'champion' | 'rejected' | 'replaced' | 'retired';

export interface ModelLife {
  readonly id: string;
  status: ModelStatus;
  /** The events about it, oldest first. */
  readonly events: ModelEvent[];
}

/** A model line as its events tell it: the fold of topic `model-events` for one name. */
export class ModelLine {
  readonly name: string;
  champion = '';
  challenger = '';
  /** Champion before the present one, for a roll-back. */
  previous = '';
  /** A training that was asked for and has neither ended nor failed. */
  open: TrainingRequest | undefined;
  readonly models = new Map<string, ModelLife>();
  last: ModelEvent | undefined;
  /** When trainings ended, and the processor time they took. */
  readonly spent: { readonly time: number; readonly cpuMs: number }[] = [];
  /** The newest training that was asked for. */
  request: TrainingRequest | undefined;
  /** The newest on the whole history. */
  whole: TrainingRequest | undefined;
  /** Trainings on the history from a time on: how many by that time. */
  readonly tries = new Map<number, number>();

  constructor(name: string) {
    this.name = name;
  }

  apply(event: ModelEvent): void {
    if (event.name !== this.name) return;
    this.last = event;
    const id = event.modelId;
    if (id !== '') this.#life(id).events.push(event);
    switch (event.kind) {
      case 'requested':
        this.#requested(JSON.parse(event.details) as TrainingRequest);
        break;
      case 'trained':
        this.#ended(event, (JSON.parse(event.details) as { byHand?: boolean }).byHand);
        this.#life(id).status = 'trained';
        break;
      case 'failed':
        this.#ended(event, (JSON.parse(event.details) as { request?: TrainingRequest }).request?.byHand);
        break;
      case 'shadowed':
        if (this.challenger !== '' && this.challenger !== id) this.#life(this.challenger).status = 'rejected';
        this.challenger = id;
        this.#life(id).status = 'shadow';
        break;
      case 'promoted':
      case 'rolled_back':
        // By hand, a roll-back leaves nobody in shadow; nor does a promotion where no model was in use.
        if (event.kind === 'rolled_back' || this.champion === '') this.#leave(id);
        this.#promote(id);
        break;
      case 'rejected':
        if (this.challenger === id) this.challenger = '';
        this.#life(id).status = 'rejected';
        break;
      case 'retired':
        if (this.champion === id) {
          this.champion = '';
          this.previous = id;
        }
        if (this.challenger === id) this.challenger = '';
        this.#life(id).status = 'retired';
    }
  }

  /** Newest model that the learner has trained and not judged yet. */
  get undecided(): ModelLife | undefined {
    return [...this.models.values()].findLast((life) => life.status === 'trained' && !madeByHand(life));
  }

  #requested(request: TrainingRequest): void {
    if (request.byHand) return;
    this.open = request;
    this.request = request;
    if (request.from === null) this.whole = request;
    else this.tries.set(request.from, (this.tries.get(request.from) ?? 0) + 1);
  }

  #ended({ time, details }: ModelEvent, byHand = false): void {
    if (byHand) return;
    this.open = undefined;
    const { cpuMs } = JSON.parse(details) as { cpuMs?: number };
    if (cpuMs !== undefined && cpuMs > 0) this.spent.push({ time, cpuMs });
  }

  /** Nobody is challenger any more; who was, and is not the model that comes into use, is rejected. */
  #leave(promoted: string): void {
    if (this.challenger !== '' && this.challenger !== promoted) this.#life(this.challenger).status = 'rejected';
    this.challenger = '';
  }

  #promote(id: string): void {
    if (this.challenger === id) this.challenger = '';
    if (this.champion !== id) {
      if (this.champion !== '') this.#life(this.champion).status = 'replaced';
      this.previous = this.champion;
    }
    this.champion = id;
    this.#life(id).status = 'champion';
  }

  #life(id: string): ModelLife {
    let life = this.models.get(id);
    if (life === undefined) {
      life = { id, status: 'trained', events: [] };
      this.models.set(id, life);
    }
    return life;
  }
}

function madeByHand({ events }: ModelLife): boolean {
  const trained = events.find(({ kind }) => kind === 'trained');
  return trained === undefined || (JSON.parse(trained.details) as { byHand?: boolean }).byHand === true;
}

/** Reads all events of a model line. */
export async function readModelLine(log: EventLog, topic: string, name: string): Promise<ModelLine> {
  return (await readModelLines(log, topic)).get(name) ?? new ModelLine(name);
}

/** Every model line that there are events of: forecasts have one, next events another. */
export async function readModelLines(log: EventLog, topic: string): Promise<Map<string, ModelLine>> {
  const lines = new Map<string, ModelLine>();
  const { earliest, end } = await log.offsets(topic, 0);
  for await (const { records } of scan(log, topic, 0, { from: earliest, to: end })) {
    for (const { value } of records) {
      if (value === null) continue;
      const event = decode<ModelEvent>('ModelEvent', value);
      let line = lines.get(event.name);
      if (line === undefined) {
        line = new ModelLine(event.name);
        lines.set(event.name, line);
      }
      line.apply(event);
    }
  }
  return lines;
}

/** The life of a model in whichever line it is in use or on trial; else in that of its last event. */
export function lifeIn(lines: ReadonlyMap<string, ModelLine>, id: string): ModelLife | undefined {
  const lives = [...lines.values()].flatMap(({ models }) => models.get(id) ?? []);
  const newest = (life: ModelLife) => life.events.at(-1)?.time ?? 0;
  const serves = ({ status }: ModelLife) => (status === 'champion' ? 2 : status === 'shadow' ? 1 : 0);
  return lives.sort((a, b) => serves(b) - serves(a) || newest(b) - newest(a))[0];
}
