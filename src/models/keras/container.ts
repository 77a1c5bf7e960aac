import { strToU8, zipSync } from 'fflate';
import h5wasm, { File, type Group } from 'h5wasm';
import type { Tensor } from '../model.ts';
import { snakeCase } from '../sequential/configuration.ts';

export const DTYPE = { module: 'keras', class_name: 'DTypePolicy', config: { name: 'float32' }, registered_name: null };

/** Zip has no earlier date. */
const EPOCH = new Date(1980, 0, 1);

/** A layer's weights by the places below its group where Keras looks for them. */
export interface WrittenLayer {
  /** Keras's class. */
  readonly type: string;
  readonly weights: readonly { readonly place: string; readonly tensors: readonly Pick<Tensor, 'shape' | 'data'>[] }[];
}

let written = 0;

/**
 * A `.keras` file.
 * @param config the model as Keras describes it
 * @param layers in Keras's order: groups are called after the class and counted
 * @param savedAt milliseconds, for the date in the file
 */
export async function writeContainer(
  config: unknown,
  layers: readonly WrittenLayer[],
  savedAt: number,
): Promise<Uint8Array> {
  const saved = new Date(savedAt).toISOString().slice(0, 19).replace('T', '@');
  const metadata = JSON.stringify({ keras_version: '3.0.0', date_saved: saved });
  return zipSync(
    {
      'metadata.json': strToU8(metadata),
      'config.json': strToU8(JSON.stringify(config)),
      'model.weights.h5': await weightsFile(layers),
    },
    { level: 0, mtime: EPOCH },
  );
}

async function weightsFile(layers: readonly WrittenLayer[]): Promise<Uint8Array> {
  const { FS } = await h5wasm.ready;
  const path = `/export-${written++}.h5`;
  const file = new File(path, 'w');
  try {
    const root = file.create_group('layers');
    file.create_group('vars');
    const used = new Map<string, number>();
    for (const { type, weights } of layers) {
      const base = snakeCase(type);
      const count = used.get(base) ?? 0;
      used.set(base, count + 1);
      const group = root.create_group(count === 0 ? base : `${base}_${count}`);
      group.create_group('vars');
      for (const { place, tensors } of weights) {
        const vars = groupAt(group, place);
        tensors.forEach(({ data, shape }, i) => {
          vars.create_dataset({ name: String(i), data, shape: [...shape], dtype: '<f' });
        });
        // How many rows the mean was taken over; Keras expects it and does not use it in predictions.
        if (type === 'Normalization') vars.create_dataset({ name: '2', data: [0], shape: [], dtype: '<i' });
      }
    }
    file.flush();
  } finally {
    file.close();
  }
  const bytes = FS.readFile(path) as Uint8Array;
  FS.unlink(path);
  return bytes;
}

function groupAt(group: Group, path: string): Group {
  return path
    .split('/')
    .filter((part) => part !== '')
    .reduce((at, part) => (at.keys().includes(part) ? (at.get(part) as Group) : at.create_group(part)), group);
}
