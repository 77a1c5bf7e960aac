import { FleetcastError } from '../errors.ts';
import { activate, leaveShadow, type Serving } from './activate.ts';
import { type ModelLine, readModelLine } from './model-line.ts';
import { type Desk, eventRecord, publish } from './publisher.ts';
import { newRequest, type RequestOptions, requestedEvent } from './train.ts';

/** Shape and interval say what the pipeline serves: other models are refused. */
export interface LifecycleOptions extends Desk, Serving {
  /** Name of the model line. */
  readonly name: string;
  readonly reason?: string;
}

/**
 * Makes a model the champion by hand. The old champion goes into shadow, so that the learner can watch the new one
 * against it and roll back.
 * @param id may be shortened. @returns the whole id
 * @throws MODEL_UNKNOWN, MODEL_INVALID for a model of another lookback, horizon or interval, MODEL_DISAGREES
 */
export async function promote(options: LifecycleOptions, id: string): Promise<string> {
  const { name, reason = 'by hand' } = options;
  const model = await options.registry.find(id);
  const line = await readModelLine(options.log, options.topics.modelEvents, name);
  if (line.champion === model.id) return model.id;
  await activate({ ...options, line, name, modelId: model.id, role: 'champion', reason, shadow: line.champion });
  return model.id;
}

/**
 * Puts a model in shadow by hand: it is scored beside the champion.
 * @throws MODEL_UNKNOWN also without a champion, MODEL_INVALID and MODEL_DISAGREES as for {@link promote}
 */
export async function shadow(options: LifecycleOptions, id: string): Promise<string> {
  const { name, reason = 'by hand' } = options;
  const model = await options.registry.find(id);
  const line = await readModelLine(options.log, options.topics.modelEvents, name);
  if (line.champion === '') throw nothing('model is in use that it could be compared with', name);
  if (line.champion === model.id) throw nothing('other model than the one in use was named', name);
  await activate({ ...options, line, name, modelId: model.id, role: 'challenger', reason });
  return model.id;
}

/**
 * Back to the champion before the present one. @returns its id
 * @throws MODEL_UNKNOWN where there was none, MODEL_INVALID and MODEL_DISAGREES as for {@link promote}
 */
export async function rollBack(options: LifecycleOptions): Promise<string> {
  const { name, reason = 'by hand' } = options;
  const line = await readModelLine(options.log, options.topics.modelEvents, name);
  if (line.previous === '') throw nothing('model was in use before the present one', name);
  const model = await options.registry.find(line.previous);
  const role = 'champion';
  await activate({ ...options, line, name, modelId: model.id, role, kind: 'rolled_back', reason, shadow: '' });
  return model.id;
}

/**
 * Takes a model out of use: naive forecasts serve where it was champion, and the model in shadow leaves it, because there
 * is nothing left to compare it with.
 * @throws MODEL_UNKNOWN
 */
export async function retire(options: LifecycleOptions, id: string): Promise<string> {
  const { name, reason = 'by hand' } = options;
  const model = await options.registry.find(id);
  const line = await readModelLine(options.log, options.topics.modelEvents, name);
  if (line.champion === model.id) {
    const details = { modelId: model.id };
    await activate({
      ...options,
      line,
      name,
      modelId: '',
      role: 'champion',
      kind: 'retired',
      about: model.id,
      reason,
      details,
    });
  } else if (line.challenger === model.id) {
    await leaveShadow({ ...options, name, modelId: model.id, kind: 'retired', reason });
  } else {
    const event = { name, kind: 'retired', modelId: model.id, time: options.now(), reason } as const;
    await publish(options, [eventRecord(options.topics, event, {})]);
  }
  return model.id;
}

/**
 * Asks the learner for a training by hand: it is judged and tried like any other.
 * @returns when it was asked for. @throws USAGE while another training is open
 */
export async function requestTraining(options: LifecycleOptions, request: RequestOptions): Promise<number> {
  const { name, reason = 'by hand' } = options;
  const line = await readModelLine(options.log, options.topics.modelEvents, name);
  if (line.open !== undefined) throw new FleetcastError('USAGE', `a training of ${name} is open: ${line.open.reason}`);
  const asked = await newRequest(options, { flushPatienceMs: FLUSH_PATIENCE_MS, ...request, name, reason });
  await publish(options, [requestedEvent(options, asked)]);
  return asked.time;
}

const FLUSH_PATIENCE_MS = 10_000;

/** What has become of each model of a line. */
export function modelLine(options: Pick<LifecycleOptions, 'log' | 'topics' | 'name'>): Promise<ModelLine> {
  return readModelLine(options.log, options.topics.modelEvents, options.name);
}

function nothing(what: string, name: string): FleetcastError {
  return new FleetcastError('MODEL_UNKNOWN', `in the line ${name} no ${what}`);
}
