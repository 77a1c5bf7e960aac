import { FleetcastError, isFleetcastError } from '../errors.ts';
import type { ModelArtefact } from '../models/model.ts';
import type { TrainSettings } from '../models/trainer.ts';
import type { ServedModel } from '../operators/served-model.ts';
import type { ModelSource } from '../pipelines/activation.ts';
import type { PipelineConfig } from '../pipelines/pipeline-config.ts';
import type { Borders } from './data-set.ts';
import type { Desk } from './publisher.ts';
import type { TrainingRequest } from './request.ts';
import { trainRequest } from './train.ts';
import type { TrainingHooks } from './training-job.ts';

export interface Rebuilt {
  /** Every weight has the same bits. */
  readonly identical: boolean;
  /** Name and index of the first weight that differs, or why the training set cannot be had again, or empty. */
  readonly difference: string;
  readonly weights: number;
}

/**
 * Trains a model again from the history offsets, seed and settings that its artefact records, and compares the weights
 * bit for bit.
 */
export async function rebuild(
  desk: Pick<Desk, 'log' | 'topics'>,
  { artefact }: ServedModel,
  models: ModelSource,
  hooks: TrainingHooks = {},
  statics: PipelineConfig['statics'] = {},
): Promise<Rebuilt> {
  const { shape, interval, scaler, calibration, training, parent } = artefact;
  const minMeasured = Number(training.settings['minMeasured'] ?? 0.5);
  const windows = { shape, interval, scaleLength: scaler.length, minMeasured, level: calibration.level, statics };
  const others = parent === '' ? {} : { parent: await models.load(parent, hooks.signal) };
  const request = requestOf(artefact);
  const { testEnd: cut } = request.split as Borders;
  const recorded = { held: training.set, cut, digest: training.settings['dataDigest'] as string | undefined };
  const difference = await trainRequest(desk, windows, request, hooks, { ...others, recorded }).then(
    (trained) => firstDifference(artefact, trained.artefact),
    (error: unknown) => {
      if (isFleetcastError(error, 'NOT_REPRODUCED')) return error.message;
      throw error;
    },
  );
  const weights = artefact.weights.reduce((sum, { data }) => sum + data.length, 0);
  return { identical: difference === '', difference, weights };
}

/** The request that an artefact was made from. */
export function requestOf(artefact: ModelArtefact): TrainingRequest {
  const { training, name, scaler, parent, note, createdAt } = artefact;
  const { backend, minMeasured: _, dataDigest: __, testEnd, series, from, to, since, ...settings } = training.settings;
  return {
    name,
    family: rebuildable(artefact),
    trainer: String(backend),
    ranges: training.ranges,
    flushed: true,
    // What older versions did not write down was so.
    settings: { huberDelta: 0.25, inputs: '', ...(settings as Partial<TrainSettings>) },
    scaler: scaler.kind,
    split: { trainEnd: training.trainEnd, validationEnd: training.validationEnd, testEnd: Number(testEnd) },
    series: JSON.parse(String(series)) as string[],
    from: from === '' ? null : Number(from),
    to: to === '' ? null : Number(to),
    since: since === undefined || since === '' ? null : Number(since),
    parent,
    reason: note,
    byHand: false,
    buckets: 0,
    total: 0,
    seriesCount: 0,
    time: createdAt,
  };
}

/** @throws MODEL_INVALID for a model that no trainer of ours has made */
function rebuildable({ family, training }: ModelArtefact): TrainingRequest['family'] {
  if (family !== 'sequential' || training.settings['sequential'] !== undefined) return family;
  throw new FleetcastError('MODEL_INVALID', 'the model was not trained on the history: it cannot be rebuilt');
}

function firstDifference(one: ModelArtefact, other: ModelArtefact): string {
  for (const { name, data } of one.weights) {
    const again = other.weights.find((tensor) => tensor.name === name)?.data;
    if (again === undefined) return `${name} is missing`;
    const at = data.findIndex((value, i) => !Object.is(value, again[i]));
    if (at >= 0) return `${name}[${at}]: ${data[at]} and ${again[at]}`;
  }
  return '';
}
