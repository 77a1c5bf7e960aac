import { FleetcastError } from '../../errors.ts';
import type { Layer, RowShape, SequentialSpec } from './layers.ts';
import { isRecord, parseLayer, shown } from './parse.ts';
import { planSequential } from './plan.ts';

/**
 * A Sequential model from its configuration, Keras's words and defaults:
 *
 *     name: next-event
 *     input_shape: [null]
 *     layers:
 *       - { type: Embedding, input_dim: 1000, output_dim: 64 }
 *       - { type: LSTM, units: 128 }
 *       - { type: Dense, units: 10 }
 *
 * @param input anything; nothing is trusted
 * @throws MODEL_INVALID naming layer and setting
 */
export function parseSequential(input: unknown): SequentialSpec {
  if (!isRecord(input)) throw new FleetcastError('MODEL_INVALID', `a model is an object, not ${shown(input)}`);
  for (const key of Object.keys(input)) {
    if (!['name', 'input_shape', 'layers'].includes(key)) {
      throw new FleetcastError('MODEL_INVALID', `${key} is not a setting of a model: name, input_shape, layers are`);
    }
  }
  const { layers: items, name = 'sequential' } = input;
  if (typeof name !== 'string' || name.length === 0 || name.length > 200) {
    throw new FleetcastError('MODEL_INVALID', `name: ${shown(name)}`);
  }
  if (!Array.isArray(items)) throw new FleetcastError('MODEL_INVALID', `layers: ${shown(items)}, expected a list`);
  const used = new Map<string, number>();
  const layers = items.map((item: unknown): Layer => {
    const type = isRecord(item) ? item['type'] : undefined;
    return parseLayer(type, item, nextName(used, typeof type === 'string' ? type : 'layer'), 'configuration');
  });
  const spec = { name, layers, inputShape: inputShape(input['input_shape'], layers) };
  planSequential(spec);
  return spec;
}

/** Keras's own names: the class in snake case, then `_1`, `_2` … */
export function nextName(used: Map<string, number>, type: string): string {
  const base = snakeCase(type);
  const count = used.get(base) ?? 0;
  used.set(base, count + 1);
  return count === 0 ? base : `${base}_${count}`;
}

export function snakeCase(type: string): string {
  return type
    .replace(/\W+/g, '')
    .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();
}

function inputShape(value: unknown, layers: readonly Layer[]): RowShape {
  if (value === undefined && layers[0]?.type === 'Embedding') return [null];
  if (!Array.isArray(value) || value.length === 0 || value.length > 3) {
    throw new FleetcastError('MODEL_INVALID', `input_shape: ${shown(value)}, expected [steps, features]`);
  }
  return value.map((n: unknown, i) => {
    if (n === null && i === 0) return null;
    if (!Number.isInteger(n) || (n as number) < 1) {
      throw new FleetcastError('MODEL_INVALID', `input_shape: ${shown(n)}, expected a positive integer`);
    }
    return n as number;
  });
}
