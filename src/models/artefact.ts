import { FleetcastError } from '../errors.ts';
import { ARITHMETIC_VERSION } from './arithmetic.ts';
import { type ModelInputs, readInputs } from './inputs/spec.ts';
import type { ModelArtefact, ModelFamily, Tensor } from './model.ts';

/** Version of the artefact's format: goes up when a reader of today could misread an artefact of tomorrow. */
export const ARTEFACT_FORMAT = 2;

/** Formats that this version reads: 2 brought models that see more than their own series. */
const READABLE = [1, 2];

const FAMILIES: readonly ModelFamily[] = ['segment-lstm', 'lstm', 'ridge', 'sequential'];

/** Bounds that hostile artefacts are held to before anything is allocated by their sizes. */
export const ARTEFACT_LIMITS = {
  lookback: 20_000,
  horizon: 20_000,
  tensors: 1_000,
  rank: 4,
  /** Floats in all tensors together: 256 MiB. */
  weights: 64 * 1024 * 1024,
  series: 1_000_000,
  text: 10_000,
} as const;

/** What a caller has to say about a model; the rest is filled in. */
export type ArtefactDraft = Omit<ModelArtefact, 'formatVersion' | 'arithmetic'>;

/** @throws MODEL_INVALID */
export function buildArtefact(draft: ArtefactDraft): ModelArtefact {
  // A model that an older version can serve says so.
  const formatVersion = draft.architecture['inputs'] === undefined ? 1 : ARTEFACT_FORMAT;
  const artefact = { ...draft, formatVersion, arithmetic: ARITHMETIC_VERSION };
  validateArtefact(artefact);
  return artefact;
}

/**
 * Checks everything that can be checked without building the model. Whether the weights fit the architecture is the
 * family's matter (`loadModel`).
 * @throws MODEL_INVALID naming the field
 */
export function validateArtefact(artefact: ModelArtefact): void {
  const { shape, scaler, calibration } = artefact;
  if (!READABLE.includes(artefact.formatVersion)) {
    throw invalid('formatVersion', `${artefact.formatVersion}, this version reads ${READABLE.join(' and ')}`);
  }
  if (!FAMILIES.includes(artefact.family)) throw invalid('family', `unknown: ${artefact.family}`);
  checkInteger('shape.lookback', shape.lookback, 1, ARTEFACT_LIMITS.lookback);
  checkInteger('shape.horizon', shape.horizon, 1, ARTEFACT_LIMITS.horizon);
  checkInteger('shape.season', shape.season, 1, ARTEFACT_LIMITS.lookback);
  checkInteger('interval', artefact.interval, 1, Number.MAX_SAFE_INTEGER);
  for (const [field, text] of [
    ['name', artefact.name],
    ['note', artefact.note],
    ['licence', artefact.licence],
    ['training.trainer', artefact.training.trainer],
  ] as const) {
    if (text.length > ARTEFACT_LIMITS.text) throw invalid(field, `${text.length} characters`);
  }
  inputsOf(artefact);
  checkTensors(artefact.weights);
  if (scaler.series.size > ARTEFACT_LIMITS.series) throw invalid('scaler.series', `${scaler.series.size} entries`);
  for (const [series, { mean, deviation }] of scaler.series) {
    if (!Number.isFinite(mean) || !Number.isFinite(deviation) || deviation < 0) {
      throw invalid(`scaler.series ${series}`, `mean ${mean}, deviation ${deviation}`);
    }
  }
  if (!(calibration.level > 0 && calibration.level < 1)) throw invalid('calibration.level', `${calibration.level}`);
  if (calibration.quantiles.length !== shape.horizon) {
    throw invalid('calibration.quantiles', `${calibration.quantiles.length} for a horizon of ${shape.horizon}`);
  }
  if (!calibration.quantiles.every((q) => Number.isFinite(q) && q >= 0)) {
    throw invalid('calibration.quantiles', 'a value is negative or not finite');
  }
}

/** What the model sees beside its own series; undefined for nothing. @throws MODEL_INVALID */
export function inputsOf({ architecture }: Pick<ModelArtefact, 'architecture'>): ModelInputs | undefined {
  const text = architecture['inputs'] ?? '';
  if (typeof text !== 'string' || text.length > ARTEFACT_LIMITS.text) throw invalid('architecture.inputs', typeof text);
  return readInputs(text);
}

/** An integer of the architecture within bounds. @throws MODEL_INVALID */
export function architectureInteger(artefact: ModelArtefact, key: string, low: number, high: number): number {
  const value = artefact.architecture[key];
  checkInteger(`architecture.${key}`, value, low, high);
  return value as number;
}

/** One of a few words of the architecture. @throws MODEL_INVALID */
export function architectureChoice<C extends string>(artefact: ModelArtefact, key: string, choices: readonly C[]): C {
  const value = artefact.architecture[key] as C;
  if (!choices.includes(value))
    throw invalid(`architecture.${key}`, `${String(value)}, expected ${choices.join(', ')}`);
  return value;
}

function checkTensors(tensors: readonly Tensor[]): void {
  if (tensors.length > ARTEFACT_LIMITS.tensors) throw invalid('weights', `${tensors.length} tensors`);
  let total = 0;
  for (const { name, shape, data } of tensors) {
    if (shape.length > ARTEFACT_LIMITS.rank) throw invalid(`weights ${name}`, `${shape.length} dimensions`);
    let count = 1;
    for (const n of shape) {
      checkInteger(`weights ${name}`, n, 1, ARTEFACT_LIMITS.weights);
      count *= n;
    }
    if (count !== data.length) throw invalid(`weights ${name}`, `${data.length} values for shape [${shape}]`);
    total += count;
    if (total > ARTEFACT_LIMITS.weights) throw invalid('weights', `more than ${ARTEFACT_LIMITS.weights} values`);
  }
}

function checkInteger(field: string, value: unknown, low: number, high: number): void {
  if (!Number.isInteger(value) || (value as number) < low || (value as number) > high) {
    throw invalid(field, `${String(value)}, expected an integer from ${low} to ${high}`);
  }
}

function invalid(field: string, found: string): FleetcastError {
  return new FleetcastError('MODEL_INVALID', `artefact field ${field}: ${found}`, { details: { field } });
}
