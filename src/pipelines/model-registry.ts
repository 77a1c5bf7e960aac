import { FleetcastError } from '../errors.ts';
import type { EventLog } from '../log/event-log.ts';
import { modelFromArtefact, needsVerification } from '../models/load.ts';
import type { ModelArtefact } from '../models/model.ts';
import type { ServedModel } from '../operators/served-model.ts';
import { untilAborted } from '../topology/engine-clock.ts';
import type { ModelSource } from './activation.ts';
import { decodeModel, modelId } from './model-codec.ts';
import { verifyApart } from './verify-apart.ts';

export interface ModelRegistryOptions {
  readonly log: EventLog;
  /** Name of the models topic; it must exist. */
  readonly topic: string;
  /** Models that are kept ready. Default 8. */
  readonly keep?: number;
  /** How long a load waits for an artefact that is not on the topic, milliseconds. Default: for ever. */
  readonly patienceMs?: number;
  /** Compares a model with TensorFlow.js, or throws. Default: in a thread of this process's own. */
  readonly verify?: (id: string, bytes: Uint8Array) => Promise<void>;
}

/** A model on the topic, without its weights. */
export interface ListedModel {
  readonly id: string;
  readonly offset: number;
  readonly artefact: ModelArtefact;
}

/** Keys of the topic that begin so are no models, but what a training goes on from. */
export const CHECKPOINT_KEY = 'checkpoint/';

const WAIT_MS = 1_000;

/** How long who need not wait for ever waits for an artefact: on Kafka a record is seen a moment after its commit. */
export const ARTEFACT_PATIENCE_MS = 10_000;

/** Reads the topic `models` as it grows, and keeps the models that were asked for ready. */
export class ModelRegistry implements ModelSource {
  readonly #log: EventLog;
  readonly #topic: string;
  readonly #keep: number;
  readonly #patienceMs: number;
  readonly #compare: (id: string, bytes: Uint8Array) => Promise<void>;
  /** Where each id was seen last. */
  readonly #offsets = new Map<string, number>();
  readonly #ready = new Map<string, ServedModel>();
  readonly #verifying = new Map<string, Promise<ServedModel>>();
  #next = -1;
  #reading: Promise<void> = Promise.resolve();

  constructor(options: ModelRegistryOptions) {
    this.#log = options.log;
    this.#topic = options.topic;
    this.#keep = options.keep ?? 8;
    this.#patienceMs = options.patienceMs ?? Number.POSITIVE_INFINITY;
    this.#compare = options.verify ?? verifyApart;
  }

  /**
   * Compared with TensorFlow.js before it serves.
   * @param patienceMs how long it waits for an artefact that is not on the topic; the registry's own by default
   * @throws MODEL_DISAGREES besides what the contract says; MODEL_UNKNOWN without an id, which nothing can ever have, and
   * when the patience is at its end
   */
  async load(id: string, signal?: AbortSignal, patienceMs = this.#patienceMs): Promise<ServedModel> {
    if (id === '') throw new FleetcastError('MODEL_UNKNOWN', 'no model is named: no model has an empty id');
    const deadline = performance.now() + patienceMs;
    for (let waitMs = 0; ; waitMs = WAIT_MS) {
      signal?.throwIfAborted();
      const ready = this.#ready.get(id);
      if (ready !== undefined) return ready;
      if (this.#offsets.has(id)) {
        const bytes = await this.#read(id);
        if (bytes !== undefined) {
          const verified = this.verified(id, bytes);
          if (signal === undefined) return verified;
          // The comparison goes on for whoever else waits for it.
          const served = await untilAborted(verified, signal);
          if (served !== undefined) return served;
          continue;
        }
      }
      await this.#advance(Math.max(0, Math.min(waitMs, deadline - performance.now())), signal);
      if (!this.#offsets.has(id) && performance.now() >= deadline) {
        throw new FleetcastError('MODEL_UNKNOWN', `the artefact of the model ${id} is not on the topic ${this.#topic}`);
      }
    }
  }

  /** The same models for who does not wait for ever, see {@link load}. */
  within(patienceMs: number): ModelSource {
    return { load: (id, signal) => this.load(id, signal, patienceMs) };
  }

  /** The artefact with this id or the only one whose id begins so. @throws MODEL_UNKNOWN */
  async find(idOrPrefix: string): Promise<ListedModel> {
    const found = (await this.list()).filter(({ id }) => id.startsWith(idOrPrefix));
    if (found.length === 1 && idOrPrefix !== '') return found[0]!;
    const what = found.length === 0 ? 'no model has' : `${found.length} models have`;
    throw new FleetcastError('MODEL_UNKNOWN', `${what} an id that begins with "${idOrPrefix}"`);
  }

  /** All models on the topic, in the order in which they came. An artefact that cannot be read is left out. */
  async list(): Promise<ListedModel[]> {
    await this.#advance(0);
    const models: ListedModel[] = [];
    for (const [id, offset] of [...this.#offsets].sort(([, a], [, b]) => a - b)) {
      const artefact = await this.#read(id).then(decoded, () => undefined);
      if (artefact !== undefined) models.push({ id, offset, artefact });
    }
    return models;
  }

  /**
   * The model of these bytes, compared; who asks while it is being compared waits for the same comparison.
   * @throws MODEL_INVALID, MODEL_DISAGREES, TRAINER_UNAVAILABLE
   */
  async verified(id: string, bytes: Uint8Array): Promise<ServedModel> {
    const ready = this.#ready.get(id);
    if (ready !== undefined) return ready;
    let verifying = this.#verifying.get(id);
    if (verifying === undefined) {
      verifying = this.#verify(id, bytes).finally(() => this.#verifying.delete(id));
      this.#verifying.set(id, verifying);
    }
    return verifying;
  }

  async #verify(id: string, bytes: Uint8Array): Promise<ServedModel> {
    const artefact = decodeModel(bytes);
    const model = modelFromArtefact(artefact, id);
    if (needsVerification(artefact.family)) await this.#compare(id, bytes);
    const served = { artefact, model };
    this.#ready.set(id, served);
    if (this.#ready.size > this.#keep) this.#ready.delete(this.#ready.keys().next().value!);
    return served;
  }

  /** @throws MODEL_INVALID also where the bytes are not those that the id names */
  async #read(id: string): Promise<Uint8Array | undefined> {
    const offset = this.#offsets.get(id)!;
    const { records } = await this.#log.read(this.#topic, 0, offset, { maxRecords: 1 });
    const record = records[0];
    // Compaction may have moved on, with a later record of the same key further ahead.
    if (record?.offset !== offset || record.value === null) {
      this.#offsets.delete(id);
      return undefined;
    }
    if (modelId(record.value) !== id) {
      throw new FleetcastError('MODEL_INVALID', `the artefact at ${this.#topic}/0 offset ${offset} is not ${id}`);
    }
    return record.value;
  }

  /** Reads on. Callers wait for each other, so that one place in the topic is enough. */
  #advance(waitMs: number, signal?: AbortSignal): Promise<void> {
    const step = this.#reading.then(async () => {
      if (this.#next < 0) this.#next = (await this.#log.offsets(this.#topic, 0)).earliest;
      for (;;) {
        const batch = await this.#log.read(this.#topic, 0, this.#next, {
          maxRecords: 16,
          waitMs,
          ...(signal === undefined ? {} : { signal }),
        });
        for (const { key, value, offset } of batch.records) {
          if (key === null) continue;
          const id = Buffer.from(key).toString('utf8');
          if (id.startsWith(CHECKPOINT_KEY)) continue;
          if (value === null) this.#offsets.delete(id);
          else this.#offsets.set(id, offset);
        }
        this.#next = batch.nextOffset;
        if (batch.records.length === 0 || this.#next >= batch.endOffset) return;
      }
    });
    this.#reading = step.catch(() => undefined);
    return step;
  }
}

/** Undefined also where it does not decode. */
function decoded(bytes: Uint8Array | undefined): ModelArtefact | undefined {
  try {
    return bytes && decodeModel(bytes);
  } catch {
    return undefined;
  }
}
