import { FleetcastError } from '../errors.ts';
import type { Activation, ModelEvent } from '../events/records.ts';
import type { ModelArtefact, WindowShape } from '../models/model.ts';
import type { ServedModel } from '../operators/served-model.ts';
import type { ModelRegistry } from '../pipelines/model-registry.ts';
import { type ModelLine, readModelLine } from './model-line.ts';
import { activationRecords, type Desk, eventRecord, publish } from './publisher.ts';
import { endOffsets, newestScored } from './score-follower.ts';

/** What a pipeline can serve. */
export interface Serving {
  readonly registry: ModelRegistry;
  readonly shape?: Pick<WindowShape, 'lookback' | 'horizon'>;
  /** Length of a bucket, milliseconds; models of events have none. */
  readonly interval?: number;
  /** How long an artefact that is not on the log is waited for; the registry's own patience by default. */
  readonly patienceMs?: number;
}

export interface ActivateOptions extends Desk, Partial<Serving> {
  readonly name: string;
  /** Empty takes the role away. */
  readonly modelId: string;
  readonly role: Activation['role'];
  /** The line as its events tell it now; read from the log where left out. */
  readonly line?: ModelLine;
  readonly reason: string;
  /** What the event is called; by the role where left out. */
  readonly kind?: ModelEvent['kind'];
  /** The model that the event is about, where it is not the one that is activated. */
  readonly about?: string;
  /** Facts for the event. */
  readonly details?: object;
  /**
   * Model that becomes challenger in the same transaction: the old champion, to be watched against the new one. Empty:
   * nobody is challenger from then on. Whoever else was in shadow leaves it, because the trial was against another.
   */
  readonly shadow?: string;
}

/**
 * Makes a model champion or challenger: an activation in every partition of `readings` and the event that tells of it,
 * all in one transaction. Each partition changes at its own offset, and a replay changes at the same. The event records
 * where `scores` ended then, and up to which event time: what comes after it is the model's own.
 *
 * With a registry, what the pipeline would refuse is refused here, and an old champion of that kind goes into no shadow.
 * @throws MODEL_INVALID, MODEL_DISAGREES, TRAINER_UNAVAILABLE
 */
export async function activate(options: ActivateOptions): Promise<void> {
  if (options.registry !== undefined && options.modelId !== '') await servable(options as Serving, options.modelId);
  const { name, modelId, role, reason, topics } = options;
  const line = options.line ?? (await readModelLine(options.log, topics.modelEvents, name));
  const time = options.now();
  const scores = await endOffsets(options.log, topics.scores);
  const scoredUntil = await newestScored(options.log, topics.scores, scores);
  const since = { scores, ...(scoredUntil === undefined ? {} : { scoredUntil }) };
  const records = await activationRecords(options, { name, modelId, role, time, reason });
  const kind = options.kind ?? (role === 'champion' ? 'promoted' : 'shadowed');
  const about = options.about ?? modelId;
  records.push(eventRecord(topics, { name, kind, modelId: about, time, reason }, { ...options.details, ...since }));
  if (role === 'champion') {
    const shadow = options.shadow ? await shadowOf(options, options.shadow) : '';
    const left = line.challenger === modelId || line.challenger === shadow ? '' : line.challenger;
    if (options.shadow !== undefined || left !== '') {
      const activation = { name, modelId: shadow, role: 'challenger', time, reason } as const;
      records.push(...(await activationRecords(options, activation)));
    }
    if (left !== '') {
      const out = { name, kind: left === line.previous ? 'retired' : 'rejected', modelId: left, time } as const;
      records.push(
        eventRecord(topics, { ...out, reason: `its trial ended, as the model in use changed: ${reason}` }, {}),
      );
    }
    if (shadow !== '') {
      records.push(eventRecord(topics, { name, kind: 'shadowed', modelId: shadow, time, reason }, since));
    }
  }
  await publish(options, records);
}

/**
 * The model as the pipeline would serve it, compared with TensorFlow.js where that is needed.
 * @throws MODEL_INVALID also for a model of another lookback, horizon or length of buckets, MODEL_DISAGREES,
 * TRAINER_UNAVAILABLE, MODEL_UNKNOWN for an artefact that is not on the log
 */
export async function servable(serving: Serving, id: string, signal?: AbortSignal): Promise<ServedModel> {
  const served = await serving.registry.load(id, signal, serving.patienceMs);
  const misfit = misfitOf(serving, served.artefact);
  if (misfit !== undefined) throw new FleetcastError('MODEL_INVALID', misfit);
  return served;
}

/** Why a pipeline cannot serve a model, or undefined. */
function misfitOf(
  { shape, interval }: Pick<Serving, 'shape' | 'interval'>,
  { shape: own, interval: length }: ModelArtefact,
): string | undefined {
  if (shape !== undefined && (own.lookback !== shape.lookback || own.horizon !== shape.horizon)) {
    return `the model forecasts ${own.horizon} buckets from ${own.lookback}, the pipeline ${shape.horizon} from ${shape.lookback}`;
  }
  if (interval === undefined || length === interval) return undefined;
  return `the buckets of the model are ${length / 1000} s long, those of the pipeline ${interval / 1000} s`;
}

/** An old champion that cannot be served any more is not watched: it would make no forecast. */
async function shadowOf({ registry, ...serving }: ActivateOptions, id: string): Promise<string> {
  if (registry === undefined) return id;
  const listed = (await registry.list()).find((model) => model.id === id);
  return listed !== undefined && misfitOf(serving, listed.artefact) === undefined ? id : '';
}

/** Takes a model out of the shadow, with the event that says why. */
export async function leaveShadow(
  options: Desk &
    Pick<ActivateOptions, 'name' | 'modelId' | 'reason' | 'details'> & { readonly kind: 'rejected' | 'retired' },
): Promise<void> {
  const { name, modelId, reason, kind, topics } = options;
  const time = options.now();
  const records = await activationRecords(options, { name, modelId: '', role: 'challenger', time, reason });
  records.push(eventRecord(topics, { name, kind, modelId, time, reason }, options.details ?? {}));
  await publish(options, records);
}
