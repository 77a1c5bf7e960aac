import { FleetcastError } from '../errors.ts';
import { seriesKey } from '../events/records.ts';
import { buildArtefact } from '../models/artefact.ts';
import { loadVerifiedModel, modelFromArtefact } from '../models/load.ts';
import { calibrate } from '../models/metrics.ts';
import type { Model, ModelArtefact } from '../models/model.ts';
import type { TrainHooks, TrainSettings } from '../models/trainer.ts';
import { architectureOf } from '../models/training/families.ts';
import { defaultSettings } from '../models/training/settings.ts';
import { trainInWorker } from '../models/training/train-in-worker.ts';
import { DEFAULT_TRAINER, TRAINER_NAMES, type TrainerName } from '../models/training/trainers.ts';
import type { ServedModel } from '../operators/served-model.ts';
import { encodeModel } from '../pipelines/model-codec.ts';
import type { PipelineConfig } from '../pipelines/pipeline-config.ts';
import { buildDataSet, type DataSet } from './data-set.ts';
import { type Evaluation, evaluate } from './evaluate.ts';
import { type HistorySeries, historyRanges, readHistory } from './history-reader.ts';
import { HistoryWatch } from './history-watch.ts';
import { type Desk, eventRecord, publish } from './publisher.ts';
import { DEFAULT_SPLIT, type TrainingRequest } from './request.ts';

/** The part of the pipeline's configuration that a data set depends on. */
export type WindowSettings = Pick<PipelineConfig, 'shape' | 'interval' | 'scaleLength' | 'minMeasured' | 'level'>;

/** How far a training has come, for a progress display. */
export type TrainingStage = 'reading' | 'training' | 'evaluating' | 'publishing';

export interface TrainingHooks extends TrainHooks {
  readonly onStage?: (stage: TrainingStage, detail: string) => void;
}

export interface TrainedModel {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly artefact: ModelArtefact;
  readonly model: Model;
  readonly set: DataSet;
  /** On the test part: the model, the champion where there is one, last value, seasonal naive. */
  readonly evaluation: Evaluation;
}

/** Name of the new model's row in an evaluation, and of the model in use. */
export const CANDIDATE = 'model';
export const CHAMPION = 'champion';

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
  readonly reason?: string;
  readonly buckets?: number;
}

/** Fixes what a training depends on: the history as of now is a set of offsets. */
export async function newRequest(desk: Desk, options: RequestOptions): Promise<TrainingRequest> {
  const family = options.family ?? 'segment-lstm';
  return {
    name: options.name ?? 'default',
    family,
    trainer: options.trainer ?? (family === 'ridge' ? 'ridge' : DEFAULT_TRAINER),
    ranges: await historyRanges(desk.log, desk.topics.history),
    settings: options.settings ?? {},
    scaler: options.scaler ?? 'fixed',
    split: options.split ?? DEFAULT_SPLIT,
    series: options.series ?? [],
    from: options.from ?? null,
    to: options.to ?? null,
    parent: options.parent ?? '',
    reason: options.reason ?? 'by hand',
    buckets: options.buckets ?? (await longestSeries(desk)),
    time: desk.now(),
  };
}

async function longestSeries({ log, topics }: Desk): Promise<number> {
  const watch = new HistoryWatch(log, topics.history);
  await watch.advance();
  return watch.longest;
}

/** Reads the history that a request names. */
export async function requestedHistory(
  desk: Pick<Desk, 'log' | 'topics'>,
  request: Pick<TrainingRequest, 'ranges' | 'series' | 'from' | 'to'>,
  signal?: AbortSignal,
): Promise<readonly HistorySeries[]> {
  const wanted = new Set(request.series);
  const read = await readHistory({
    log: desk.log,
    topic: desk.topics.history,
    ranges: request.ranges,
    ...(wanted.size === 0 ? {} : { only: (device, quantity) => wanted.has(seriesKey(device, quantity)) }),
    ...(request.from === null ? {} : { from: request.from }),
    ...(request.to === null ? {} : { to: request.to }),
    ...(signal === undefined ? {} : { signal }),
  });
  return read.series;
}

/** The data set of a request, as the given scaler sees it. */
export function requestedSet(
  history: readonly HistorySeries[],
  windows: WindowSettings,
  request: Pick<TrainingRequest, 'scaler' | 'split'>,
  other?: ServedModel,
): DataSet {
  const { shape, interval, scaleLength, minMeasured } = windows;
  const common = { shape, interval, minMeasured, split: request.split };
  if (other === undefined) return buildDataSet(history, { ...common, scaleLength, scaler: request.scaler });
  const { kind, length, series } = other.artefact.scaler;
  return buildDataSet(history, { ...common, scaleLength: length, scaler: kind, fixedScales: series });
}

/**
 * Trains what a request asks for and judges it on the hold-out. Writes nothing.
 * @param others models to judge beside it; those of another shape are left out
 * @throws TRAINING_TOO_LITTLE_DATA, TRAINING_DIVERGED, TRAINING_CANCELLED, TRAINER_UNAVAILABLE, MODEL_DISAGREES
 */
export async function trainRequest(
  desk: Pick<Desk, 'log' | 'topics'>,
  windows: WindowSettings,
  request: TrainingRequest,
  hooks: TrainingHooks = {},
  others: { readonly champion?: ServedModel | undefined; readonly parent?: ServedModel | undefined } = {},
): Promise<TrainedModel> {
  hooks.onStage?.('reading', `${request.ranges.length} partitions of history`);
  const history = await requestedHistory(desk, request, hooks.signal);
  const set = requestedSet(history, windows, request);
  const { family } = request;
  const settings = defaultSettings(set, family === 'ridge' ? request.settings : { ...request.settings, family });
  hooks.onStage?.('training', `${set.train.starts.length} windows of ${history.length} series`);
  const { shape, values, measured, train, validation } = set;
  const result = await trainInWorker(
    trainerName(request.trainer),
    { shape, values, measured, train, validation },
    settings,
    hooks,
    others.parent?.artefact.weights,
  );

  hooks.onStage?.('evaluating', `${set.test.starts.length} windows held out`);
  const draft = {
    family,
    name: request.name,
    shape,
    interval: windows.interval,
    architecture: family === 'ridge' ? {} : architectureOf(settings),
    weights: result.weights,
    scaler: set.scaler,
    training: {
      ranges: request.ranges,
      trainEnd: set.borders.trainEnd,
      validationEnd: set.borders.validationEnd,
      seed: settings.seed,
      trainer: result.trainer,
      settings: {
        ...settings,
        backend: request.trainer,
        minMeasured: windows.minMeasured,
        testEnd: set.borders.testEnd,
        series: JSON.stringify(request.series),
        from: request.from ?? '',
        to: request.to ?? '',
      },
      windows: train.starts.length,
    },
    parent: request.parent,
    createdAt: request.time,
    note: request.reason,
    licence: '',
  };
  const unmeasured = { level: windows.level, quantiles: new Array<number>(shape.horizon).fill(0) };
  const first = buildArtefact({ ...draft, calibration: unmeasured, metrics: {} });
  const model = modelFromArtefact(first, '');
  const forecast = model.forecast.bind(model);
  const calibrated = set.validation.starts.length > 0 ? set.validation : set.train;
  const quantiles = calibrate(set, calibrated, forecast, windows.level);
  const evaluation = evaluate(set, 'test', new Map([[CANDIDATE, forecast]]));
  const champion = others.champion && judgeOther(history, windows, { ...request, split: set.borders }, others.champion);
  const rows = champion === undefined ? evaluation.rows : [evaluation.rows[0]!, champion, ...evaluation.rows.slice(1)];
  const artefact = buildArtefact({
    ...draft,
    calibration: { level: windows.level, quantiles },
    metrics: {
      ...metricsOf(rows),
      'validation.loss': finite(result.validationLoss),
      'train.loss': finite(result.loss),
    },
  });
  const { id, bytes } = encodeModel(artefact);
  return {
    id,
    bytes,
    artefact,
    model: await loadVerifiedModel(artefact, id),
    set,
    evaluation: { windows: evaluation.windows, rows },
  };
}

/** Name of the row of the ridge regression that a network was compared with. */
export const RIDGE = 'ridge';

/**
 * Trains what is asked for and, beside a network, a ridge regression on the same windows: it costs a second or two, and
 * where it is better on the hold-out it is the model. The evaluation has both.
 */
export async function trainBest(...args: Parameters<typeof trainRequest>): Promise<TrainedModel> {
  const [desk, windows, request, hooks = {}, others = {}] = args;
  const trained = await trainRequest(desk, windows, request, hooks, others);
  if (request.family === 'ridge') return trained;
  const { champion } = others;
  const { signal } = hooks;
  const ridge = await trainRequest(
    desk,
    windows,
    { ...request, family: 'ridge', trainer: 'ridge', settings: {}, parent: '' },
    signal === undefined ? {} : { signal },
    { champion },
  );
  const [network, linear] = [trained.evaluation.rows[0]!, ridge.evaluation.rows[0]!];
  const better = linear.mae < network.mae ? ridge : trained;
  const other = better === ridge ? { ...network, name: request.family } : { ...linear, name: RIDGE };
  const { rows } = better.evaluation;
  const evaluation = { ...better.evaluation, rows: [rows[0]!, other, ...rows.slice(1)] };
  return { ...better, evaluation };
}

export interface TrainOptions extends Desk, RequestOptions, TrainingHooks {
  readonly windows: WindowSettings;
  readonly champion?: ServedModel | undefined;
}

/**
 * Trains a model on the history as of now and puts it on the topic `models`, with the events `requested` and `trained`
 * (or `failed`). Nothing serves it yet: see `activate`.
 */
export async function trainOnHistory(options: TrainOptions): Promise<TrainedModel> {
  const request = await newRequest(options, options);
  await publish(options, [requestedEvent(options, request)]);
  try {
    const trained = await trainRequest(options, options.windows, request, options, { champion: options.champion });
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

export function failedEvent(desk: Desk, request: TrainingRequest, error: unknown) {
  const { code, message } =
    error instanceof FleetcastError ? error : { code: 'UNKNOWN', message: error instanceof Error ? error.message : '' };
  const event = { name: request.name, kind: 'failed', modelId: '', time: desk.now(), reason: code } as const;
  return eventRecord(desk.topics, event, { message, request });
}

/** The artefact and the event that tells of it, together. */
export async function publishTrained(desk: Desk, request: TrainingRequest, trained: TrainedModel): Promise<void> {
  const time = desk.now();
  const { id, bytes, evaluation } = trained;
  const event = { name: request.name, kind: 'trained', modelId: id, time, reason: request.reason } as const;
  await publish(desk, [
    { topic: desk.topics.models, partition: 0, timestamp: time, key: Buffer.from(id), value: bytes },
    eventRecord(desk.topics, event, { evaluation, windows: trained.artefact.training.windows }),
  ]);
}

function judgeOther(
  history: readonly HistorySeries[],
  windows: WindowSettings,
  request: TrainingRequest,
  other: ServedModel,
): Evaluation['rows'][number] | undefined {
  const { shape } = other.model;
  if (shape.lookback !== windows.shape.lookback || shape.horizon !== windows.shape.horizon) return undefined;
  const set = requestedSet(history, windows, request, other);
  return evaluate(set, 'test', new Map([[CHAMPION, other.model.forecast.bind(other.model)]])).rows[0];
}

function metricsOf(rows: Evaluation['rows']): Record<string, number> {
  const metrics: Record<string, number> = {};
  for (const { name, mse, mae } of rows) {
    const suffix = name === CANDIDATE ? '' : `.${name}`;
    if (Number.isFinite(mse)) metrics[`test.mse${suffix}`] = mse;
    if (Number.isFinite(mae)) metrics[`test.mae${suffix}`] = mae;
  }
  return metrics;
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

function trainerName(name: string): TrainerName {
  const found = TRAINER_NAMES.find((known) => known === name);
  if (found !== undefined) return found;
  throw new FleetcastError('TRAINER_UNAVAILABLE', `unknown trainer ${name}; there are ${TRAINER_NAMES.join(', ')}`);
}
