import { randomUUID } from 'node:crypto';
import { FleetcastError } from '../errors.ts';
import type { OutRecord } from '../log/event-log.ts';
import { modelFromArtefact } from '../models/load.ts';
import type { Model, ModelArtefact } from '../models/model.ts';
import type { TrainSettings } from '../models/trainer.ts';
import { defaultThreads } from '../models/training/threads.ts';
import { DEFAULT_TRAINER } from '../models/training/trainers.ts';
import type { ServedModel } from '../operators/served-model.ts';
import { decodeModel, encodeModel } from '../pipelines/model-codec.ts';
import { flushHistory } from './flush.ts';
import { boundedPart, type HistoryBound, MOST_BUCKETS } from './history-bound.ts';
import { type HistorySeries, type RawHistory, readRawHistory } from './history-reader.ts';
import { HistoryWatch } from './history-watch.ts';
import { type Desk, eventRecord, publish } from './publisher.ts';
import { DEFAULT_SPLIT, type TrainingRequest } from './request.ts';
import { trainApart } from './train-apart.ts';
import {
  jobHistory,
  type RecordedSet,
  type TrainedBytes,
  type TrainingHooks,
  type WindowSettings,
} from './training-job.ts';
import type { Extent } from './triggers.ts';
import { withLimit } from './two-lengths.ts';

export interface TrainedModel extends TrainedBytes {
  readonly artefact: ModelArtefact;
  readonly model: Model;
  /** Processor time, milliseconds: the time that it took, times its threads. */
  readonly cpuMs: number;
}

export interface RequestOptions {
  readonly name?: string;
  readonly family?: TrainingRequest['family'];
  readonly trainer?: string;
  readonly settings?: Partial<TrainSettings>;
  readonly scaler?: TrainingRequest['scaler'];
  readonly split?: TrainingRequest['split'];
  readonly series?: readonly string[];
  readonly from?: number;
  readonly to?: number;
  readonly parent?: string;
  /** How much of the history it may hold; {@link MOST_BUCKETS} where left out. */
  readonly bound?: HistoryBound;
  readonly reason?: string;
  readonly byHand?: boolean;
  /** How far the history has come; looked up where left out. */
  readonly extent?: Extent;
  /** How long the pipeline is given to write its open segments, milliseconds; 0 (the default) asks nothing of it. */
  readonly flushPatienceMs?: number;
}

/** Fixes what a training depends on: the history as of now is a set of offsets. */
export async function newRequest(desk: Desk, options: RequestOptions, signal?: AbortSignal): Promise<TrainingRequest> {
  const name = options.name ?? 'default';
  const patienceMs = options.flushPatienceMs ?? 0;
  const { ranges, flushed } = await flushHistory({ ...desk, id: `${name}-${randomUUID()}`, patienceMs, signal });
  const extent = options.extent ?? (await extentOf(desk));
  const family = options.family ?? 'segment-lstm';
  const asked = { series: options.series ?? [], from: options.from ?? null, to: options.to ?? null };
  const bound = options.bound ?? { buckets: MOST_BUCKETS, least: 2000 };
  const part = extent.total > bound.buckets ? await partOf(desk, bound, asked, signal) : { since: null };
  return {
    name,
    family,
    trainer: options.trainer ?? (family === 'ridge' ? 'ridge' : DEFAULT_TRAINER),
    ranges,
    flushed,
    settings: options.settings ?? {},
    scaler: options.scaler ?? 'fixed',
    split: options.split ?? DEFAULT_SPLIT,
    ...asked,
    ...part,
    parent: options.parent ?? '',
    reason: options.reason ?? 'by hand',
    byHand: options.byHand ?? false,
    buckets: extent.buckets,
    ...(Number.isFinite(extent.end) ? { end: extent.end } : {}),
    total: extent.total,
    seriesCount: extent.series,
    time: desk.now(),
  };
}

async function extentOf({ log, topics }: Desk): Promise<Extent> {
  const watch = new HistoryWatch(log, topics.history);
  await watch.advance();
  return watch.extent(1);
}

/** Reads how long the series are once more: what they have become since makes no difference to what was fixed. */
async function partOf(
  { log, topics }: Desk,
  bound: HistoryBound,
  asked: Pick<TrainingRequest, 'series' | 'from' | 'to'>,
  signal: AbortSignal | undefined,
): Promise<Pick<TrainingRequest, 'series' | 'since'>> {
  const watch = new HistoryWatch(log, topics.history);
  await watch.advance(signal);
  return boundedPart(watch.spans, bound, asked);
}

/** Reads the history that a request names. */
export async function requestedHistory(
  desk: Pick<Desk, 'log' | 'topics'>,
  request: Pick<TrainingRequest, 'ranges' | 'series' | 'from' | 'to' | 'since'>,
  signal?: AbortSignal,
): Promise<readonly HistorySeries[]> {
  return jobHistory({ history: await requestedSegments(desk, request, signal), request }).series;
}

/** Reads the segments that a request names, as a training gets them. */
export function requestedSegments(
  desk: Pick<Desk, 'log' | 'topics'>,
  request: Pick<TrainingRequest, 'ranges' | 'series' | 'from' | 'since'>,
  signal?: AbortSignal,
): Promise<RawHistory> {
  return readRawHistory(readOptions(desk, request, signal));
}

function readOptions(
  { log, topics }: Pick<Desk, 'log' | 'topics'>,
  { ranges, series, since }: Pick<TrainingRequest, 'ranges' | 'series' | 'since'>,
  signal?: AbortSignal,
) {
  return {
    log,
    topic: topics.history,
    ranges,
    ...(series.length === 0 ? {} : { only: new Set(series) }),
    ...(since == null ? {} : { since }),
    ...(signal === undefined ? {} : { signal }),
  };
}

export interface RequestedTraining {
  /** Models to judge beside it, and to start from; a champion of another shape is left out. */
  readonly champion?: ServedModel | undefined;
  readonly parent?: ServedModel | undefined;
  /** Also a ridge regression on the same windows: where it is better on the hold-out, it is the model. */
  readonly ridgeBeside?: boolean;
  /** For a rebuild: the set of then. */
  readonly recorded?: RecordedSet;
}

/**
 * Trains what a request asks for, in a thread of its own, and judges it on the hold-out. Writes nothing.
 * @throws TRAINING_TOO_LITTLE_DATA, TRAINING_DIVERGED, TRAINING_CANCELLED, TRAINER_UNAVAILABLE, MODEL_DISAGREES, and
 * NOT_REPRODUCED where a recorded set cannot be had again
 */
export async function trainRequest(
  desk: Pick<Desk, 'log' | 'topics'>,
  windows: WindowSettings,
  request: TrainingRequest,
  hooks: TrainingHooks = {},
  { champion, parent, ridgeBeside = false, recorded }: RequestedTraining = {},
): Promise<TrainedModel> {
  const began = performance.now();
  hooks.onStage?.('reading', readingText(request));
  const history = await readRawHistory(readOptions(desk, request, withLimit(hooks).signal), recorded !== undefined);
  const trained = await trainApart(
    {
      history,
      windows,
      request,
      ridgeBeside,
      ...(champion === undefined ? {} : { champion: encodeModel(champion.artefact).bytes }),
      ...(parent === undefined ? {} : { parent: encodeModel(parent.artefact).bytes }),
      ...(recorded === undefined ? {} : { recorded }),
    },
    hooks,
  );
  const artefact = decodeModel(trained.bytes);
  const cpuMs = processorTime(request, performance.now() - began, hooks.threads);
  return { ...trained, artefact, model: modelFromArtefact(artefact, trained.id), cpuMs };
}

function readingText({ ranges, series, since }: TrainingRequest): string {
  const some = series.length === 0 ? '' : `, ${series.length} series`;
  return `${ranges.length} partitions of history${some}${since == null ? '' : `, from ${new Date(since).toISOString()} on`}`;
}

/** Processor time that a training can have taken in `elapsedMs`. */
export function processorTime(
  { trainer }: Pick<TrainingRequest, 'trainer'>,
  elapsedMs: number,
  threads = defaultThreads(),
): number {
  return Math.ceil(elapsedMs * (trainer === DEFAULT_TRAINER ? threads : 1));
}

export interface TrainOptions extends Desk, RequestOptions, TrainingHooks {
  readonly windows: WindowSettings;
  readonly champion?: ServedModel | undefined;
  /** Starts from the weights of the model that `parent` names, on a mix of new and old windows. */
  readonly parentModel?: ServedModel | undefined;
}

/**
 * Trains a model on the history as of now and puts it on the topic `models`, with the events `requested` and `trained`
 * (or `failed`). Nothing serves it yet: see `activate`.
 */
export async function trainOnHistory(options: TrainOptions): Promise<TrainedModel> {
  options.onStage?.('flushing', 'the pipeline writes its open segments');
  const request = await newRequest(options, { ...options, byHand: true }, options.signal);
  await publish(options, [requestedEvent(options, request)]);
  try {
    const { champion, parentModel: parent } = options;
    const trained = await trainRequest(options, options.windows, request, options, { champion, parent });
    options.onStage?.('publishing', trained.id);
    await publishTrained(options, request, trained);
    return trained;
  } catch (error) {
    await publish(options, [failedEvent(options, request, error)]);
    throw error;
  }
}

export function requestedEvent(desk: Desk, request: TrainingRequest) {
  const { name, time, reason } = request;
  return eventRecord(desk.topics, { name, kind: 'requested', modelId: '', time, reason }, request);
}

/** @param cpuMs what it has cost, for the budget */
export function failedEvent(desk: Desk, request: TrainingRequest, error: unknown, cpuMs = 0) {
  const { code, message } =
    error instanceof FleetcastError ? error : { code: 'UNKNOWN', message: error instanceof Error ? error.message : '' };
  const event = { name: request.name, kind: 'failed', modelId: '', time: desk.now(), reason: code } as const;
  return eventRecord(desk.topics, event, { message, request, cpuMs });
}

/**
 * The artefact and the event that tells of it, together.
 * @param more records of the same transaction
 */
export async function publishTrained(
  desk: Desk,
  request: TrainingRequest,
  trained: TrainedModel,
  more: readonly OutRecord[] = [],
): Promise<void> {
  const time = desk.now();
  const { id, bytes, evaluation } = trained;
  const event = { name: request.name, kind: 'trained', modelId: id, time, reason: request.reason } as const;
  const { training } = trained.artefact;
  const { byHand } = request;
  const details = { byHand, evaluation, windows: training.windows, trainEnd: training.trainEnd, cpuMs: trained.cpuMs };
  await publish(desk, [
    { topic: desk.topics.models, partition: 0, timestamp: time, key: Buffer.from(id), value: bytes },
    eventRecord(desk.topics, event, details),
    ...more,
  ]);
}
