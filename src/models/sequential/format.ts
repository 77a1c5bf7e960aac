import type { Layer, SequentialSpec } from './layers.ts';

/** The configuration that `parseSequential` reads as this model. */
export function formatSequential(spec: SequentialSpec): Record<string, unknown> {
  return { name: spec.name, input_shape: spec.inputShape, layers: spec.layers.map(formatLayer) };
}

/** Every field of a layer has Keras's name, but for the case. */
function formatLayer(layer: Layer): Record<string, unknown> {
  const entries = Object.entries(layer).map(([key, value]): [string, unknown] => [
    key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    typeof value === 'object' && 'type' in value ? formatLayer(value as Layer) : value,
  ]);
  return Object.fromEntries(entries);
}
