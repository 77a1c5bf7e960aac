import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { FleetcastError, messageOf } from '../../errors.ts';
import { parseSequential } from '../../models/sequential/configuration.ts';
import type { SequentialSpec } from '../../models/sequential/layers.ts';

/**
 * A Sequential model in a file of its own, YAML or JSON: a list of layers, or an object with `name`, `input_shape` and
 * `layers`.
 * @throws CONFIG_UNREADABLE, MODEL_INVALID naming file, layer and setting
 */
export function readLayers(file: string, defaults: LayerDefaults): SequentialSpec {
  const value = readLayersFile(file);
  try {
    return layersOf(value, defaults);
  } catch (cause) {
    throw new FleetcastError('MODEL_INVALID', `${file}: ${messageOf(cause)}`, { cause });
  }
}

export interface LayerDefaults {
  readonly name: string;
  /** `[steps, features]` where nothing is said; Embeddings need none. */
  readonly inputShape?: readonly (number | null)[];
}

/** The model of a list of layers, or of an object as {@link readLayers} describes it. @throws MODEL_INVALID */
export function layersOf(value: unknown, { name, inputShape }: LayerDefaults): SequentialSpec {
  const model: Record<string, unknown> = { name, ...(Array.isArray(value) ? { layers: value } : (value as object)) };
  const first: unknown = Array.isArray(model['layers']) ? model['layers'][0] : undefined;
  const codes = typeof first === 'object' && first !== null && 'type' in first && first.type === 'Embedding';
  if (model['input_shape'] === undefined && inputShape !== undefined && !codes) model['input_shape'] = inputShape;
  return parseSequential(model);
}

/** The content of such a file, unchecked. @throws CONFIG_UNREADABLE */
export function readLayersFile(file: string): unknown {
  try {
    return parse(readFileSync(file, 'utf8'), { maxAliasCount: 50 });
  } catch (cause) {
    throw new FleetcastError('CONFIG_UNREADABLE', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}
