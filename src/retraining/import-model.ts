import { FleetcastError, isFleetcastError } from '../errors.ts';
import { buildArtefact } from '../models/artefact.ts';
import { loadVerifiedModel, modelFromArtefact } from '../models/load.ts';
import { calibrate } from '../models/metrics.ts';
import type { Model, ModelArtefact, Scaler, Tensor } from '../models/model.ts';
import { type SequentialSpec, takesCodes } from '../models/sequential/layers.ts';
import { sequentialArchitecture } from '../models/sequential/model.ts';
import { planSequential } from '../models/sequential/plan.ts';
import type { ServedModel } from '../operators/served-model.ts';
import { encodeModel } from '../pipelines/model-codec.ts';
import type { DataSet } from './data-set.ts';
import { type Evaluation, evaluate } from './evaluate.ts';
import { historyRanges } from './history-reader.ts';
import { type Desk, publish } from './publisher.ts';
import { requestedHistory } from './train.ts';
import { requestedSet, type WindowSettings } from './training-job.ts';

export interface ImportModelOptions {
  readonly desk: Desk;
  /** What the pipeline serves. The model's own lookback and horizon have to be the same, or it cannot be put in use. */
  readonly windows: WindowSettings;
  /** Name of the model line. */
  readonly name: string;
  readonly spec: SequentialSpec;
  readonly weights: readonly Tensor[];
  readonly scaler: Scaler;
  /** What made it, for example `keras 3.15.1`. */
  readonly origin: string;
  readonly note: string;
  readonly licence: string;
}

export interface ImportedModel {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly artefact: ModelArtefact;
  readonly model: Model;
  /** On all of the history that there is; undefined where there is no complete window. */
  readonly evaluation: Evaluation | undefined;
}

/** A series as wide as itself: what an interval is before anything is known of the model's errors. */
const UNKNOWN_QUANTILE = 2;

/**
 * Makes an artefact of a Sequential model from elsewhere. Its intervals are calibrated and its errors measured on the
 * history, as far as there is one; without, an interval begins at two deviations and follows the stream. Writes nothing.
 * @throws MODEL_INVALID where the model does not read windows, MODEL_DISAGREES
 */
export async function importModel(options: ImportModelOptions): Promise<ImportedModel> {
  const { desk, windows, spec, weights, scaler } = options;
  const shape = shapeOf(spec, windows);
  const { level } = windows;
  const draft = {
    family: 'sequential',
    name: options.name,
    shape,
    interval: windows.interval,
    architecture: sequentialArchitecture(spec),
    weights,
    scaler: { ...scaler, length: windows.scaleLength },
    training: {
      ranges: [],
      trainEnd: 0,
      validationEnd: 0,
      seed: 0,
      trainer: options.origin,
      settings: {},
      windows: 0,
    },
    parent: '',
    createdAt: desk.now(),
    note: options.note,
    licence: options.licence,
  } as const;
  const unknown = { level, quantiles: new Array<number>(shape.horizon).fill(UNKNOWN_QUANTILE) };
  const first = buildArtefact({ ...draft, calibration: unknown, metrics: {} });
  const judged = takesCodes(spec) ? undefined : await judge(options, first);
  const artefact = judged === undefined ? first : buildArtefact({ ...draft, ...judged });
  const { id, bytes } = encodeModel(artefact);
  const model = await loadVerifiedModel(artefact, id);
  return { id, bytes, artefact, model, evaluation: judged?.evaluation };
}

/** Puts the artefact on the topic `models`. Nothing serves it yet: see `promote`. */
export async function publishImported(desk: Desk, { id, bytes }: ImportedModel): Promise<void> {
  const record = { topic: desk.topics.models, partition: 0, timestamp: desk.now(), key: Buffer.from(id), value: bytes };
  await publish(desk, [record]);
}

/** A model with an open number of steps reads as many as the pipeline looks back on. */
function shapeOf(spec: SequentialSpec, { shape }: WindowSettings): WindowSettings['shape'] {
  const [steps, features = 1, ...rest] = spec.inputShape;
  if (features !== 1 || rest.length > 0) {
    const found = spec.inputShape.map((n) => n ?? 'any').join(', ');
    throw new FleetcastError(
      'MODEL_INVALID',
      `the model reads rows of [${found}]; a window holds one quantity: [${shape.lookback}] or [${shape.lookback}, 1]`,
    );
  }
  const lookback = steps ?? shape.lookback;
  const inputShape = spec.inputShape.map((n) => n ?? lookback);
  const output = planSequential({ ...spec, inputShape }).at(-1)!.output as number[];
  return { ...shape, lookback, horizon: output.reduce((product, n) => product * n, 1) };
}

async function judge(
  options: ImportModelOptions,
  first: ModelArtefact,
): Promise<(Pick<ModelArtefact, 'calibration' | 'metrics'> & { evaluation: Evaluation }) | undefined> {
  const { desk } = options;
  const request = { ranges: await historyRanges(desk.log, desk.topics.history), series: [], from: null, to: null };
  const history = await requestedHistory(desk, request);
  const model = modelFromArtefact(first, '');
  const forecast = model.forecast.bind(model);
  const set = windowsOf(history, options, { model, artefact: first });
  if (set === undefined) return undefined;
  const evaluation = evaluate(set, 'train', new Map([['model', forecast]]));
  if (!Number.isFinite(evaluation.rows[0]!.mae)) return undefined;
  const { level } = options.windows;
  // Not `test`: what the model was trained on elsewhere is not known.
  const names = evaluation.rows.map(({ name }, i) => (i === 0 ? '' : `.${name}`));
  return {
    calibration: { level, quantiles: calibrate(set, set.train, forecast, level) },
    metrics: Object.fromEntries(
      evaluation.rows.flatMap(({ mse, mae }, i) => [
        [`history.mse${names[i]}`, mse],
        [`history.mae${names[i]}`, mae],
      ]),
    ),
    evaluation,
  };
}

/** All windows of the history as one part; undefined where there is none. */
function windowsOf(
  history: Awaited<ReturnType<typeof requestedHistory>>,
  { windows }: ImportModelOptions,
  served: ServedModel,
): DataSet | undefined {
  const split = { train: 1, validation: 0 };
  const { shape } = served.artefact;
  try {
    return requestedSet(history, { ...windows, shape }, { scaler: 'rolling', split }, served);
  } catch (error) {
    if (isFleetcastError(error, 'TRAINING_TOO_LITTLE_DATA')) return undefined;
    throw error;
  }
}
