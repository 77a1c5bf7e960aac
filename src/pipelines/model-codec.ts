import { createHash } from 'node:crypto';
import { FleetcastError } from '../errors.ts';
import { decode, encode } from '../events/codec.ts';
import { validateArtefact } from '../models/artefact.ts';
import type { ModelArtefact, ModelFamily, OffsetRange, Scaler } from '../models/model.ts';

/** Most bytes of an encoded artefact; checked before anything is decoded. */
const MAX_BYTES = 300 * 1024 * 1024;

/** The schema's flat record (schemas/model-artefact.avsc). */
interface ArtefactRecord {
  formatVersion: number;
  family: string;
  name: string;
  lookback: number;
  horizon: number;
  season: number;
  interval: number;
  architecture: Record<string, number | string | boolean>;
  weights: { name: string; shape: number[]; data: Buffer }[];
  scaler: { kind: string; length: number; series: { series: string; mean: number; deviation: number }[] };
  calibrationLevel: number;
  calibrationQuantiles: number[];
  ranges: OffsetRange[];
  trainEnd: number;
  validationEnd: number;
  seed: number;
  trainer: string;
  settings: Record<string, number | string | boolean>;
  windows: number;
  metrics: Record<string, number>;
  parent: string;
  arithmetic: number;
  createdAt: number;
  note: string;
  licence: string;
  set: Uint8Array;
}

/** The key on topic `models`, and the value. */
export interface EncodedModel {
  /** SHA-256 of `bytes`, 64 hex digits. */
  readonly id: string;
  readonly bytes: Buffer;
}

/**
 * Encodes an artefact. Maps are written in the order of their keys, so that equal artefacts have equal ids.
 * @throws MODEL_INVALID
 */
export function encodeModel(artefact: ModelArtefact): EncodedModel {
  validateArtefact(artefact);
  const { shape, training, calibration, scaler } = artefact;
  const record: ArtefactRecord = {
    formatVersion: artefact.formatVersion,
    family: artefact.family,
    name: artefact.name,
    ...shape,
    interval: artefact.interval,
    architecture: sorted(artefact.architecture),
    weights: artefact.weights.map(({ name, shape, data }) => ({ name, shape: [...shape], data: floatBytes(data) })),
    scaler: {
      kind: scaler.kind,
      length: scaler.length,
      series: [...scaler.series]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([series, { mean, deviation }]) => ({ series, mean, deviation })),
    },
    calibrationLevel: calibration.level,
    calibrationQuantiles: [...calibration.quantiles],
    ranges: [...training.ranges],
    trainEnd: training.trainEnd,
    validationEnd: training.validationEnd,
    seed: training.seed,
    trainer: training.trainer,
    settings: sorted(training.settings),
    windows: training.windows,
    metrics: sorted(artefact.metrics),
    parent: artefact.parent,
    arithmetic: artefact.arithmetic,
    createdAt: artefact.createdAt,
    note: artefact.note,
    licence: artefact.licence,
    set: Buffer.from(training.set ?? []),
  };
  const bytes = encode('ModelArtefact', record);
  return { id: modelId(bytes), bytes };
}

/** The id of an encoded artefact: the SHA-256 of its bytes. */
export function modelId(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** @throws MODEL_INVALID for an inconsistent artefact, CODEC_UNKNOWN_SCHEMA, CODEC_MALFORMED for other bytes */
export function decodeModel(bytes: Uint8Array): ModelArtefact {
  if (bytes.length > MAX_BYTES) throw new FleetcastError('MODEL_INVALID', `an artefact of ${bytes.length} bytes`);
  const record = decode<ArtefactRecord>('ModelArtefact', bytes);
  const artefact: ModelArtefact = {
    formatVersion: record.formatVersion,
    family: record.family as ModelFamily,
    name: record.name,
    shape: { lookback: record.lookback, horizon: record.horizon, season: record.season },
    interval: record.interval,
    architecture: { ...record.architecture },
    weights: record.weights.map(({ name, shape, data }) => ({ name, shape, data: bytesToFloats(name, data) })),
    scaler: {
      kind: record.scaler.kind as Scaler['kind'],
      length: record.scaler.length,
      series: new Map(record.scaler.series.map(({ series, mean, deviation }) => [series, { mean, deviation }])),
    },
    calibration: { level: record.calibrationLevel, quantiles: record.calibrationQuantiles },
    training: {
      ranges: record.ranges.map((range) => ({ ...range })),
      trainEnd: record.trainEnd,
      validationEnd: record.validationEnd,
      seed: record.seed,
      trainer: record.trainer,
      settings: { ...record.settings },
      windows: record.windows,
      ...(record.set.length === 0 ? {} : { set: record.set }),
    },
    metrics: { ...record.metrics },
    parent: record.parent,
    arithmetic: record.arithmetic,
    createdAt: record.createdAt,
    note: record.note,
    licence: record.licence,
  };
  validateArtefact(artefact);
  return artefact;
}

function sorted<V>(map: Readonly<Record<string, V>>): Record<string, V> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function floatBytes(data: Float32Array): Buffer {
  const bytes = Buffer.allocUnsafe(data.length * 4);
  data.forEach((value, i) => {
    bytes.writeFloatLE(value, i * 4);
  });
  return bytes;
}

function bytesToFloats(name: string, bytes: Buffer): Float32Array {
  if (bytes.length % 4 !== 0) throw new FleetcastError('MODEL_INVALID', `tensor ${name} has ${bytes.length} bytes`);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
}
