import type { Tensor } from '../model.ts';
import type { Layer, SequentialSpec } from '../sequential/layers.ts';
import type { Origin } from '../sequential/parse.ts';
import { isRecord } from '../sequential/parse.ts';
import { checkWeights, type PlannedLayer, planSequential } from '../sequential/plan.ts';
import { readArchive } from './archive.ts';
import { type KerasDescription, readDescription } from './config.ts';
import { Hdf5 } from './hdf5.ts';
import { invalid, KERAS_LIMITS } from './limits.ts';

/** A model out of a Keras file. */
export interface KerasModel {
  readonly spec: SequentialSpec;
  /** In the order of `planSequential`. */
  readonly weights: readonly Tensor[];
  /** As the file says, or empty. */
  readonly kerasVersion: string;
  readonly format: 'keras' | 'h5';
}

/**
 * Reads a `.keras` or `.h5` file in this thread. For files that are not trusted use `importKeras`, which bounds the time
 * as well.
 * @throws MODEL_INVALID
 */
export async function readKeras(bytes: Uint8Array): Promise<KerasModel> {
  if (bytes.length > KERAS_LIMITS.fileBytes) throw invalid(`the file has ${bytes.length} bytes`);
  if (startsWith(bytes, [0x50, 0x4b, 0x03, 0x04])) return readKerasArchive(bytes);
  if (startsWith(bytes, [0x89, 0x48, 0x44, 0x46])) return readLegacy(bytes);
  throw invalid('the file is neither a .keras archive nor an HDF5 file');
}

async function readKerasArchive(bytes: Uint8Array): Promise<KerasModel> {
  const archive = readArchive(bytes);
  const kerasVersion = versionIn(archive.metadata);
  const description = readDescription(archive.config, originOf(kerasVersion));
  const file = await Hdf5.open(archive.weights);
  try {
    const plan = planSequential(description.spec);
    const weights = plan.flatMap((planned, i) => {
      const fixed = fixedNormalization(planned, description.settings[i]!);
      if (fixed !== undefined) return fixed;
      const places = placesOf(planned.layer);
      const each = planned.weights.length / places.length;
      return planned.weights.map(({ name, shape }, k) => {
        const place = `${places[Math.floor(k / each)]}/${k % each}`;
        return { name, shape, data: file.floats(`/layers/${description.groups[i]}${place}`, shape) };
      });
    });
    return finish(description, plan, weights, kerasVersion, 'keras');
  } finally {
    file.close();
  }
}

async function readLegacy(bytes: Uint8Array): Promise<KerasModel> {
  const file = await Hdf5.open(bytes);
  try {
    const json = file.strings('/', 'model_config')?.[0];
    if (json === undefined) throw invalid('the file holds weights without the model: save the whole model');
    const kerasVersion = file.strings('/', 'keras_version')?.[0] ?? '';
    const description = readDescription(json, originOf(kerasVersion));
    const plan = planSequential(description.spec);
    const weights = plan.flatMap((planned, i) => {
      const fixed = fixedNormalization(planned, description.settings[i]!);
      if (fixed !== undefined) return fixed;
      const group = `/model_weights/${planned.layer.name}`;
      const names = listOf(file, group, 'weight_names').filter(
        (name) => !/seed_generator|seed_state/.test(name) && !/(^|\/)count(:0)?$/.test(name),
      );
      if (names.length !== planned.weights.length) {
        throw invalid(
          `layer ${planned.layer.name} (${planned.layer.type}) has ${names.length} weights in the file and needs ${planned.weights.length}`,
        );
      }
      return planned.weights.map(({ name, shape }, k) => ({
        name,
        shape,
        data: file.floats(`${group}/${names[k]}`, shape),
      }));
    });
    return finish(description, plan, weights, kerasVersion, 'h5');
  } finally {
    file.close();
  }
}

function finish(
  { spec }: KerasDescription,
  plan: readonly PlannedLayer[],
  weights: readonly Tensor[],
  kerasVersion: string,
  format: KerasModel['format'],
): KerasModel {
  checkWeights(plan, weights);
  return { spec, weights, kerasVersion, format };
}

/** Where the weights of a layer lie below its group in a `.keras` file. */
export function placesOf(layer: Layer): readonly string[] {
  switch (layer.type) {
    case 'LSTM':
    case 'GRU':
    case 'SimpleRNN':
      return ['/cell/vars'];
    case 'Bidirectional':
      return ['/forward_layer/cell/vars', '/backward_layer/cell/vars'];
    case 'TimeDistributed':
      return ['/layer/vars'];
    default:
      return ['/vars'];
  }
}

/** A Normalization that was given its mean and variance has them in its settings instead of in the weights. */
function fixedNormalization(
  { layer, weights }: PlannedLayer,
  settings: Readonly<Record<string, unknown>>,
): Tensor[] | undefined {
  if (layer.type !== 'Normalization' || settings['mean'] === null || settings['mean'] === undefined) return undefined;
  return weights.map(({ name, shape }) => {
    const flat = [settings[name.endsWith('mean') ? 'mean' : 'variance']].flat(4) as unknown[];
    const values = flat.length === 1 ? new Array<unknown>(shape[0]!).fill(flat[0]) : flat;
    if (values.length !== shape[0] || !values.every((value) => typeof value === 'number' && Number.isFinite(value))) {
      throw invalid(`layer ${layer.name} (Normalization): mean or variance do not fit ${shape[0]} features`);
    }
    return { name, shape, data: Float32Array.from(values as number[]) };
  });
}

/** A list of names; long ones are cut into several attributes with a number behind the name. */
function listOf(file: Hdf5, group: string, name: string): string[] {
  const whole = file.strings(group, name);
  if (whole !== undefined) return whole;
  const parts: string[] = [];
  for (let i = 0; i < KERAS_LIMITS.layers; i++) {
    const part = file.strings(group, `${name}${i}`);
    if (part === undefined) break;
    parts.push(...part);
  }
  return parts;
}

function originOf(version: string): Origin {
  return /^[12]\./.test(version) ? 'keras2' : 'keras3';
}

function versionIn(metadata: string): string {
  try {
    const parsed: unknown = JSON.parse(metadata);
    const version = isRecord(parsed) ? parsed['keras_version'] : undefined;
    return typeof version === 'string' ? version.slice(0, 40) : '';
  } catch {
    return '';
  }
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}
