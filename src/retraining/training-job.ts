import { FleetcastError } from '../errors.ts';
import { buildArtefact, inputsOf } from '../models/artefact.ts';
import { type ModelInputs, readInputs, writeInputs } from '../models/inputs/spec.ts';
import { loadVerifiedModel, modelFromArtefact } from '../models/load.ts';
import { calibrate } from '../models/metrics.ts';
import { architectureOf } from '../models/training/families.ts';
import { defaultSettings } from '../models/training/settings.ts';
import { trainInWorker } from '../models/training/train-in-worker.ts';
import { TRAINER_NAMES, type TrainerName } from '../models/training/trainers.ts';
import type { ServedModel } from '../operators/served-model.ts';
import { decodeModel, encodeModel } from '../pipelines/model-codec.ts';
import type { PipelineConfig } from '../pipelines/pipeline-config.ts';
import { buildDataSet, type DataSet } from './data-set.ts';
import { type Evaluation, evaluate } from './evaluate.ts';
import { historyDigest } from './history-grid.ts';
import {
  type AssembleOptions,
  assembleHistory,
  type HistorySeries,
  leftOutOf,
  leftOutText,
  type RawHistory,
} from './history-reader.ts';
import type { TrainingRequest } from './request.ts';
import { readHeldSet, writeHeldSet } from './training-set.ts';
import { isLate, type LimitedHooks, trainKernel, withLimit } from './two-lengths.ts';
import { WARM_SETTINGS, warmWindows } from './warm-start.ts';

/** The part of the pipeline's configuration that a data set depends on. */
export type WindowSettings = Pick<PipelineConfig, 'shape' | 'interval' | 'scaleLength' | 'minMeasured' | 'level'> &
  Partial<Pick<PipelineConfig, 'statics' | 'correctFor'>>;

/** How far a training has come, for a progress display. */
export type TrainingStage = 'flushing' | 'reading' | 'training' | 'evaluating' | 'publishing';

export interface TrainingHooks extends LimitedHooks {
  readonly onStage?: (stage: TrainingStage, detail: string) => void;
}

/** Everything that a training needs, as it goes to the thread that does it. */
export interface TrainingJob {
  readonly history: Omit<RawHistory, 'ranges'>;
  readonly windows: WindowSettings;
  readonly request: TrainingRequest;
  /** Also a ridge regression on the same windows: where it is better on the hold-out, it is the model. */
  readonly ridgeBeside: boolean;
  /** Encoded artefacts. */
  readonly champion?: Uint8Array;
  readonly parent?: Uint8Array;
  /** For a rebuild: the set of then. */
  readonly recorded?: RecordedSet;
}

/** What an artefact says about its training set, so that it can be read after compaction. */
export interface RecordedSet {
  /** See `writeHeldSet`; undefined in models of before it was kept. */
  readonly held: Uint8Array | undefined;
  /** Where the newest series ended, event time. */
  readonly cut: number;
  /** See `historyDigest`; undefined in older models. */
  readonly digest: string | undefined;
}

export interface TrainedBytes {
  readonly id: string;
  readonly bytes: Uint8Array;
  /** On the test part: the model, the champion where there is one, last value, seasonal naive. */
  readonly evaluation: Evaluation;
}

/** Name of the new model's row in an evaluation, of the model in use, of the ridge regression beside a network. */
export const CANDIDATE = 'model';
export const CHAMPION = 'champion';
export const RIDGE = 'ridge';

/**
 * The data set of a request, as the given model sees it: with its scaler and its inputs, and for the quantities that the
 * request is about.
 */
export function requestedSet(
  history: readonly HistorySeries[],
  windows: WindowSettings,
  request: Pick<TrainingRequest, 'scaler' | 'split'> & Partial<Pick<TrainingRequest, 'settings' | 'family'>>,
  other?: ServedModel,
): DataSet {
  const { shape, interval, scaleLength, minMeasured, statics = {} } = windows;
  const common = { shape, interval, minMeasured, split: request.split, statics };
  const inputs = readInputs(request.settings?.inputs ?? '');
  if (other === undefined) {
    const own = inputs === undefined || request.family === 'segment-lstm' ? inputs : targetsOf(inputs);
    const text = own === undefined ? '' : writeInputs(own);
    return buildDataSet(history, { ...common, scaleLength, scaler: request.scaler, inputs: text });
  }
  const { kind, length, series } = other.artefact.scaler;
  const own = inputsOf(other.artefact) ?? NO_INPUTS;
  const text = writeInputs(inputs === undefined ? own : { ...own, targets: inputs.targets });
  const fixed = { scaleLength: length, scaler: kind, fixedScales: series };
  return buildDataSet(history, { ...common, ...fixed, inputs: text });
}

const NO_INPUTS: ModelInputs = { quantities: [], targets: [], calendar: [], statics: [] };

/** All that a family that sees its own series alone can take of them. */
function targetsOf({ targets }: ModelInputs): ModelInputs {
  return { ...NO_INPUTS, targets };
}

/**
 * Does a training: data set, weights, verification, hold-out. All of it is work for the processor, so it belongs into a
 * thread of its own; see `trainApart`.
 * @throws TRAINING_TOO_LITTLE_DATA, TRAINING_DIVERGED, TRAINING_CANCELLED, TRAINER_UNAVAILABLE, MODEL_DISAGREES
 */
export async function runTrainingJob(
  { history, ...job }: TrainingJob,
  hooks: TrainingHooks = {},
): Promise<TrainedBytes> {
  return trainAssembled(assembled(job, history), job, hooks);
}

/** What a history was put together from is let go before the training, which needs the memory for itself. */
function assembled({ request, windows, recorded }: Omit<TrainingJob, 'history'>, history: TrainingJob['history']) {
  const { series, segments } = jobHistory({ history, request, ...(recorded === undefined ? {} : { recorded }) });
  checkDigest(series, recorded);
  return { series, held: writeHeldSet(segments, windows.correctFor ?? Number.POSITIVE_INFINITY) };
}

async function trainAssembled(
  { series, held }: ReturnType<typeof assembled>,
  job: Omit<TrainingJob, 'history'>,
  hooks: TrainingHooks,
): Promise<TrainedBytes> {
  const { request, windows } = job;
  const champion = servedOf(job.champion);
  const parent = servedOf(job.parent);
  const trained = await trainOne(series, held, windows, request, hooks, { champion, parent });
  if (!job.ridgeBeside || request.family === 'ridge') return trained;
  const { signal, limit } = hooks;
  const { inputs } = request.settings;
  const ridge = await trainOne(
    series,
    held,
    windows,
    { ...request, family: 'ridge', trainer: 'ridge', settings: inputs === undefined ? {} : { inputs }, parent: '' },
    { ...(signal && { signal }), ...(limit && { limit }) },
    { champion, parent: undefined },
  ).catch((error: unknown) => {
    if (isLate(error, hooks)) return undefined;
    throw error;
  });
  // The network is there: that the time is up by now does not undo it.
  if (ridge === undefined) return trained;
  const [network, linear] = [trained.evaluation.rows[0]!, ridge.evaluation.rows[0]!];
  const better = linear.mae < network.mae ? ridge : trained;
  const other = better === ridge ? { ...network, name: request.family } : { ...linear, name: RIDGE };
  const { rows } = better.evaluation;
  const evaluation = { ...better.evaluation, rows: [rows[0]!, other, ...rows.slice(1)] };
  return { ...better, evaluation };
}

/** The series that a training is made of, within the bounds of its request. @throws NOT_REPRODUCED */
export function jobHistory({ history, request, recorded }: Pick<TrainingJob, 'history' | 'recorded'> & Bounded) {
  const { from, to } = request;
  return assembleHistory(history, {
    ...(from === null ? {} : { from }),
    ...(to === null ? {} : { to }),
    ...(recorded === undefined ? {} : recordedOptions(recorded)),
  });
}

interface Bounded {
  readonly request: Pick<TrainingRequest, 'from' | 'to'>;
}

function recordedOptions({ held, cut }: RecordedSet): AssembleOptions {
  return held === undefined ? { cut } : { held: readHeldSet(held) };
}

/** @throws NOT_REPRODUCED where the set is not the one of then */
function checkDigest(series: readonly HistorySeries[], recorded: RecordedSet | undefined): void {
  if (recorded?.digest === undefined || recorded.digest === historyDigest(series)) return;
  const why =
    recorded.held === undefined
      ? 'the model does not say what its set held (its version did not, or the list was too large to keep), and compaction has removed it since'
      : 'the offsets that it was trained on hold other buckets than then';
  throw new FleetcastError('NOT_REPRODUCED', `the training set is not the one of then: ${why}`);
}

async function trainOne(
  history: readonly HistorySeries[],
  held: Uint8Array,
  windows: WindowSettings,
  request: TrainingRequest,
  hooks: TrainingHooks,
  others: { readonly champion: ServedModel | undefined; readonly parent: ServedModel | undefined },
): Promise<TrainedBytes> {
  const set = requestedSet(history, windows, request);
  const { family } = request;
  const { parent } = others;
  const warm = parent === undefined ? {} : WARM_SETTINGS;
  const change = { ...warm, ...request.settings, inputs: set.inputs?.text ?? '' };
  const wanted = defaultSettings(set, family === 'ridge' ? change : { ...change, family });
  const old = leftOutOf(history);
  const rest = old === 0 ? '' : `; ${leftOutText(old)}`;
  hooks.onStage?.('training', `${set.train.starts.length} windows of ${history.length} series${rest}`);
  const { shape, values, measured, validation } = set;
  const train =
    parent === undefined
      ? set.train
      : warmWindows(set, windows.interval, parent.artefact.training.trainEnd, wanted.seed);
  const trainer = trainerName(request.trainer);
  const trainable = { shape, values, measured, train, validation, ...(set.inputs && { inputs: set.inputs }) };
  const { result, settings } =
    trainer === 'kernel' && parent === undefined
      ? await trainKernel(trainable, wanted, request.settings.epochs === undefined, hooks)
      : {
          result: await trainInWorker(trainer, trainable, wanted, withLimit(hooks), parent?.artefact.weights),
          settings: wanted,
        };

  hooks.onStage?.('evaluating', `${set.test.starts.length} windows held out`);
  const draft = {
    family,
    name: request.name,
    shape,
    interval: windows.interval,
    architecture: family === 'ridge' ? ridgeArchitecture(settings.inputs) : architectureOf(settings),
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
        since: request.since ?? '',
        dataDigest: historyDigest(history),
      },
      windows: train.starts.length,
      set: held,
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
  await loadVerifiedModel(artefact, id);
  return { id, bytes, evaluation: { windows: evaluation.windows, rows } };
}

function servedOf(bytes: Uint8Array | undefined): ServedModel | undefined {
  if (bytes === undefined) return undefined;
  const artefact = decodeModel(bytes);
  return { artefact, model: modelFromArtefact(artefact, '') };
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

function ridgeArchitecture(inputs: string): Record<string, string> {
  return inputs === '' ? {} : { inputs };
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

function trainerName(name: string): TrainerName {
  const found = TRAINER_NAMES.find((known) => known === name);
  if (found !== undefined) return found;
  throw new FleetcastError('TRAINER_UNAVAILABLE', `unknown trainer ${name}; there are ${TRAINER_NAMES.join(', ')}`);
}
