import { createHash } from 'node:crypto';
import { FleetcastError } from '../../errors.ts';
import type { Tensor } from '../model.ts';
import type { ParameterLayout } from '../parameters.ts';
import type { TrainingSet, TrainSettings } from '../trainer.ts';

/** Where a training stands between two steps, but for the weights and the moments. */
export interface TrainingState {
  /** Steps done. */
  step: number;
  /** Losses of the epoch so far. */
  sum: number;
  count: number;
  /** Powers of Adam's decay rates. */
  moment1: number;
  moment2: number;
  /** Validation loss of the initial weights, and of the last epoch. */
  readonly before: number;
  validationLoss: number;
}

const MAGIC = 0x4643_4b31;
const FIELDS = ['step', 'sum', 'count', 'moment1', 'moment2', 'before', 'validationLoss'] as const;
const DIGEST_BYTES = 32;
const HEAD_BYTES = 8 + DIGEST_BYTES + 8 * FIELDS.length;

/** What a trainer keeps on its heap; see `GradientSource`. */
interface Saved {
  readonly layout: ParameterLayout;
  readonly weights: Float32Array;
  readonly moments: readonly [Float32Array, Float32Array];
}

/** What a checkpoint belongs to: everything that the result depends on. */
export function trainingDigest(
  { shape, values, measured, train, validation, inputs }: TrainingSet,
  settings: TrainSettings,
  initial: readonly Tensor[],
  trainer: string,
): Uint8Array {
  const hash = createHash('sha256');
  const sorted = Object.entries(settings).sort(([a], [b]) => (a < b ? -1 : 1));
  hash.update(JSON.stringify([trainer, shape, sorted, initial.map((tensor) => [tensor.name, tensor.shape])]));
  const indices = [train, validation].flatMap(({ starts, means, deviations }) => [starts, means, deviations]);
  for (const { inputs: own } of [train, validation]) {
    if (own !== undefined) indices.push(own.starts, own.origins, own.means, own.deviations, own.targets, own.devices);
  }
  if (inputs !== undefined) indices.push(inputs.statics);
  for (const array of [values, measured, ...indices, ...initial.map(({ data }) => data)]) {
    hash.update(`${array.length} `);
    hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  return hash.digest();
}

/** Bytes, little endian: magic number, floats a tensor run has, digest, state, weights, moments. */
export function writeCheckpoint(state: TrainingState, digest: Uint8Array, source: Saved): Uint8Array {
  const { size } = source.layout;
  const bytes = new Uint8Array(HEAD_BYTES + 12 * size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, size, true);
  bytes.set(digest, 8);
  FIELDS.forEach((field, i) => {
    view.setFloat64(8 + DIGEST_BYTES + 8 * i, state[field], true);
  });
  [source.weights, ...source.moments].forEach((run, part) => {
    const at = HEAD_BYTES + 4 * part * size;
    for (let i = 0; i < size; i++) view.setFloat32(at + 4 * i, run[i]!, true);
  });
  return bytes;
}

/**
 * Puts weights and moments back. @param steps of the whole training
 * @throws CHECKPOINT_UNUSABLE when it is damaged or was made with another digest
 */
export function readCheckpoint(bytes: Uint8Array, digest: Uint8Array, steps: number, source: Saved): TrainingState {
  const { size } = source.layout;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEAD_BYTES || view.getUint32(0, true) !== MAGIC) throw unusable('it is no checkpoint');
  if (!Buffer.from(bytes.subarray(8, 8 + DIGEST_BYTES)).equals(digest)) {
    throw unusable('it was made with other data, settings, initial weights or another trainer');
  }
  if (view.getUint32(4, true) !== size || bytes.length !== HEAD_BYTES + 12 * size) {
    throw unusable(`${bytes.length} bytes for ${size} parameters`);
  }
  const field = (name: (typeof FIELDS)[number]) => view.getFloat64(8 + DIGEST_BYTES + 8 * FIELDS.indexOf(name), true);
  const step = field('step');
  if (!Number.isInteger(step) || step < 1 || step > steps) throw unusable(`step ${step} of ${steps}`);
  [source.weights, ...source.moments].forEach((run, part) => {
    const at = HEAD_BYTES + 4 * part * size;
    for (let i = 0; i < size; i++) run[i] = view.getFloat32(at + 4 * i, true);
  });
  return {
    step,
    sum: field('sum'),
    count: field('count'),
    moment1: field('moment1'),
    moment2: field('moment2'),
    before: field('before'),
    validationLoss: field('validationLoss'),
  };
}

function unusable(why: string): FleetcastError {
  return new FleetcastError('CHECKPOINT_UNUSABLE', `the training cannot go on from the checkpoint: ${why}`);
}
