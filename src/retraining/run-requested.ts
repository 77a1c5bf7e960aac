import { FleetcastError, isFleetcastError } from '../errors.ts';
import type { ServedModel } from '../operators/served-model.ts';
import { checkpointRecord, noCheckpoint, readCheckpoint } from './checkpoints.ts';
import { type Desk, publish } from './publisher.ts';
import type { TrainingRequest } from './request.ts';
import { failedEvent, processorTime, publishTrained, type TrainedModel, trainRequest } from './train.ts';
import type { TrainingHooks, WindowSettings } from './training-job.ts';

export interface RunRequestedOptions {
  readonly windows: WindowSettings;
  readonly hooks: TrainingHooks;
  readonly champion: ServedModel | undefined;
  readonly ridgeBeside: boolean;
  /** Given up after so long, milliseconds. */
  readonly limitMs: number;
  readonly checkpointMs?: number | undefined;
  /** After a checkpoint is on the log. */
  readonly onCheckpoint?: (() => void) | undefined;
  /** Once, where checkpoints are too large for the log: an interrupted training begins anew. */
  readonly onLeftOut?: ((bytes: number) => void) | undefined;
  /** Ends it without an event: the next learner goes on. */
  readonly signal: AbortSignal;
}

/** Timers cannot be longer. */
const MOST_TIMER_MS = 2 ** 31 - 1;

const TOO_LARGE = 'LOG_RECORD_TOO_LARGE';

/**
 * Does the training that is open, from its last checkpoint where there is one, and ends it with `trained` or `failed`.
 * @throws the errors of the log, and the signal's reason: the request stays open then. An artefact that is larger than
 * the log's records may be is no such error, because it would be the next time as well: the training has failed.
 */
export async function runRequested(desk: Desk, request: TrainingRequest, options: RunRequestedOptions): Promise<void> {
  const { windows, champion, ridgeBeside, checkpointMs, signal } = options;
  const began = performance.now();
  const topic = desk.topics.models;
  // Checkpoints go through the writer one after the other, and all before the event that ends the training.
  let saving: Promise<unknown> = Promise.resolve();
  let lost: { readonly error: unknown } | undefined;
  const abort = new AbortController();
  const limit = AbortSignal.timeout(Math.max(1, Math.min(MOST_TIMER_MS, Math.floor(options.limitMs))));
  const cut = AbortSignal.any([signal, abort.signal]);
  let leftOut = false;
  const leaveOut = (bytes: number): void => {
    if (!leftOut) options.onLeftOut?.(bytes);
    leftOut = true;
  };
  const save = (state: Uint8Array): void => {
    if (leftOut || cut.aborted || limit.aborted) return;
    const record = checkpointRecord(topic, request, state);
    if (record === undefined) {
      leaveOut(state.length);
      return;
    }
    saving = saving
      .then(() => publish(desk, [record]))
      .then(options.onCheckpoint, (error: unknown) => {
        if (isFleetcastError(error, TOO_LARGE)) leaveOut(state.length);
        else {
          lost ??= { error };
          abort.abort();
        }
      });
  };
  const train = (resume: Uint8Array | undefined): Promise<TrainedModel> => {
    const hooks: TrainingHooks = {
      ...options.hooks,
      signal: cut,
      limit,
      onCheckpoint: save,
      ...(checkpointMs === undefined ? {} : { checkpointMs }),
      ...(resume === undefined ? {} : { resume }),
    };
    return trainRequest(desk, windows, request, hooks, { champion, ridgeBeside });
  };
  try {
    const trained = await train(await readCheckpoint(desk.log, topic, request)).catch((error: unknown) => {
      if (isFleetcastError(error, 'CHECKPOINT_UNUSABLE')) return train(undefined);
      throw error;
    });
    await saving;
    await publishTrained(desk, request, trained, [noCheckpoint(topic, request, desk.now())]);
  } catch (error) {
    await saving;
    // A failure of the log is no failure of the training: it is done again.
    if (lost !== undefined) throw (lost as { readonly error: unknown }).error;
    const tooLarge = isFleetcastError(error, TOO_LARGE);
    if (signal.aborted || (!tooLarge && isFleetcastError(error) && error.code.startsWith('LOG_'))) throw error;
    const cpuMs = processorTime(request, performance.now() - began, options.hooks.threads);
    const late = 'the training had not ended by its deadline or within the budget';
    const why = limit.aborted && !tooLarge ? new FleetcastError('TRAINING_CANCELLED', late) : error;
    await publish(desk, [failedEvent(desk, request, why, cpuMs), noCheckpoint(topic, request, desk.now())]);
  }
}
