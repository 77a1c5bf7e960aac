import { activate } from './activations.ts';
import type { Activation, DenseLayer, Layer } from './layers.ts';
import type { Place, Step, StepContext } from './step.ts';

const f = Math.fround;

/** Every layer that has no state over the steps. In forecasts, dropout does nothing. */
export function simpleStep(layer: Layer, input: Place, outputShape: readonly number[], context: StepContext): Step {
  switch (layer.type) {
    case 'Dense':
      return dense(layer, layer.name, input, outputShape, context);
    case 'TimeDistributed':
      return dense(layer.layer, layer.name, input, outputShape, context);
    case 'Embedding':
      return embedding(layer.name, layer.inputDim, layer.outputDim, layer.maskZero, input, outputShape, context);
    case 'Activation':
      return activation(layer.activation, input, outputShape, context);
    case 'ReLU':
      return activation('relu', input, outputShape, context);
    case 'Softmax':
      return activation('softmax', input, outputShape, context);
    case 'Masking':
      return masking(layer.maskValue, input, context);
    case 'LayerNormalization':
      return layerNormalization(layer, input, context);
    case 'BatchNormalization':
      return batchNormalization(layer, input, context);
    case 'Normalization':
      return normalization(layer.name, layer.invert, input, context);
    case 'GlobalAveragePooling1D':
    case 'GlobalMaxPooling1D':
      return pooling(layer.type === 'GlobalMaxPooling1D', input, outputShape, context);
    case 'RepeatVector':
      return repeat(layer.n, input, outputShape, context);
    case 'Flatten':
    case 'Reshape':
      return { output: { at: input.at, shape: outputShape }, run: () => undefined };
    default:
      // Dropout and its kin.
      return { output: input, run: (_rows, mask) => mask };
  }
}

function dense(layer: DenseLayer, name: string, input: Place, shape: readonly number[], context: StepContext): Step {
  const { kernel, arena, rows: capacity, weight } = context;
  const { units } = layer;
  const inner = input.shape.at(-1)!;
  const vectors = input.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const out = arena.take(capacity * vectors * units);
  const w = weight(`${name}/kernel`);
  const b = layer.useBias ? weight(`${name}/bias`) : arena.take(units);
  return {
    output: { at: out, shape },
    run(rows, mask) {
      kernel.fillRows(rows * vectors, units, b, out, units);
      kernel.multiply(rows * vectors, inner, units, input.at, inner, w, out, units);
      activate(layer.activation, kernel.heap, out, rows * vectors, units);
      return mask;
    },
  };
}

function embedding(
  name: string,
  codes: number,
  width: number,
  maskZero: boolean,
  input: Place,
  shape: readonly number[],
  { kernel, arena, rows: capacity, weight }: StepContext,
): Step {
  const steps = input.shape[0]!;
  const out = arena.take(capacity * steps * width);
  const table = weight(`${name}/embeddings`);
  return {
    output: { at: out, shape },
    run(rows) {
      const { heap } = kernel;
      const mask = maskZero ? new Uint8Array(rows * steps) : undefined;
      for (let i = 0; i < rows * steps; i++) {
        const code = Math.trunc(heap[input.at + i]!);
        const place = out + i * width;
        if (code >= 0 && code < codes) heap.copyWithin(place, table + code * width, table + (code + 1) * width);
        else heap.fill(Number.NaN, place, place + width);
        if (mask !== undefined) mask[i] = code === 0 ? 0 : 1;
      }
      return mask;
    },
  };
}

function activation(fn: Activation, input: Place, shape: readonly number[], context: StepContext): Step {
  const { kernel, arena, rows: capacity } = context;
  const width = input.shape.at(-1)!;
  const vectors = input.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const out = arena.take(capacity * vectors * width);
  return {
    output: { at: out, shape },
    run(rows, mask) {
      kernel.heap.copyWithin(out, input.at, input.at + rows * vectors * width);
      activate(fn, kernel.heap, out, rows * vectors, width);
      return mask;
    },
  };
}

/** A step all of whose features are `value` is left out: its features become zero, as in Keras. */
function masking(value: number, input: Place, { kernel, arena, rows: capacity }: StepContext): Step {
  const [steps, features] = input.shape as [number, number];
  const out = arena.take(capacity * steps * features);
  const wanted = f(value);
  return {
    output: { at: out, shape: input.shape },
    run(rows) {
      const { heap } = kernel;
      const mask = new Uint8Array(rows * steps);
      for (let i = 0; i < rows * steps; i++) {
        let counts = 0;
        for (let k = 0; k < features; k++) if (heap[input.at + i * features + k] !== wanted) counts = 1;
        mask[i] = counts;
        for (let k = 0; k < features; k++) {
          heap[out + i * features + k] = counts === 1 ? heap[input.at + i * features + k]! : 0;
        }
      }
      return mask;
    },
  };
}

function layerNormalization(
  layer: Extract<Layer, { type: 'LayerNormalization' }>,
  input: Place,
  { kernel, arena, rows: capacity, weight }: StepContext,
): Step {
  const width = input.shape.at(-1)!;
  const vectors = input.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const out = arena.take(capacity * vectors * width);
  const gamma = layer.scale ? weight(`${layer.name}/gamma`) : -1;
  const beta = layer.center ? weight(`${layer.name}/beta`) : -1;
  const epsilon = f(layer.epsilon);
  return {
    output: { at: out, shape: input.shape },
    run(rows, mask) {
      const { heap } = kernel;
      for (let r = 0; r < rows * vectors; r++) {
        const x = input.at + r * width;
        let sum = 0;
        for (let i = 0; i < width; i++) sum = f(sum + heap[x + i]!);
        const mean = f(sum / width);
        let squares = 0;
        for (let i = 0; i < width; i++) {
          const d = f(heap[x + i]! - mean);
          squares = f(squares + f(d * d));
        }
        const deviation = f(Math.sqrt(f(f(squares / width) + epsilon)));
        for (let i = 0; i < width; i++) {
          let y = f(f(heap[x + i]! - mean) / deviation);
          if (gamma >= 0) y = f(y * heap[gamma + i]!);
          heap[out + r * width + i] = beta >= 0 ? y + heap[beta + i]! : y;
        }
      }
      return mask;
    },
  };
}

/** With the moving mean and variance: `y = x · scale + shift`, both of which follow from the weights alone. */
function batchNormalization(
  { name, epsilon, center, scale }: Extract<Layer, { type: 'BatchNormalization' }>,
  input: Place,
  { kernel, arena, rows: capacity, weight }: StepContext,
): Step {
  const width = input.shape.at(-1)!;
  const vectors = input.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const out = arena.take(capacity * vectors * width);
  const mean = weight(`${name}/moving_mean`);
  const variance = weight(`${name}/moving_variance`);
  const gamma = scale ? weight(`${name}/gamma`) : -1;
  const beta = center ? weight(`${name}/beta`) : -1;
  return {
    output: { at: out, shape: input.shape },
    run(rows, mask) {
      const { heap } = kernel;
      for (let i = 0; i < width; i++) {
        const inverse = f(1 / f(Math.sqrt(f(heap[variance + i]! + f(epsilon)))));
        const factor = gamma >= 0 ? f(inverse * heap[gamma + i]!) : inverse;
        const shift = f((beta >= 0 ? heap[beta + i]! : 0) - f(heap[mean + i]! * factor));
        for (let r = 0; r < rows * vectors; r++) {
          heap[out + r * width + i] = f(heap[input.at + r * width + i]! * factor) + shift;
        }
      }
      return mask;
    },
  };
}

/** Keras's own epsilon bounds the deviation from below. */
const EPSILON = f(1e-7);

function normalization(
  name: string,
  invert: boolean,
  input: Place,
  { kernel, arena, rows: capacity, weight }: StepContext,
): Step {
  const width = input.shape.at(-1)!;
  const vectors = input.shape.slice(0, -1).reduce((product, n) => product * n, 1);
  const out = arena.take(capacity * vectors * width);
  const mean = weight(`${name}/mean`);
  const variance = weight(`${name}/variance`);
  return {
    output: { at: out, shape: input.shape },
    run(rows, mask) {
      const { heap } = kernel;
      for (let i = 0; i < width; i++) {
        const deviation = Math.max(f(Math.sqrt(heap[variance + i]!)), EPSILON);
        for (let r = 0; r < rows * vectors; r++) {
          const x = heap[input.at + r * width + i]!;
          heap[out + r * width + i] = invert ? f(x * deviation) + heap[mean + i]! : f(x - heap[mean + i]!) / deviation;
        }
      }
      return mask;
    },
  };
}

function pooling(
  largest: boolean,
  input: Place,
  shape: readonly number[],
  { kernel, arena, rows: capacity }: StepContext,
): Step {
  const [steps, features] = input.shape as [number, number];
  const out = arena.take(capacity * features);
  return {
    output: { at: out, shape },
    run(rows, mask) {
      const { heap } = kernel;
      for (let r = 0; r < rows; r++) {
        for (let k = 0; k < features; k++) {
          let value = largest ? Number.NEGATIVE_INFINITY : 0;
          let count = 0;
          for (let t = 0; t < steps; t++) {
            const x = heap[input.at + (r * steps + t) * features + k]!;
            if (largest) value = Math.max(value, x);
            else if (mask === undefined || mask[r * steps + t] !== 0) {
              value = f(value + x);
              count += 1;
            }
          }
          heap[out + r * features + k] = largest ? value : value / count;
        }
      }
      return undefined;
    },
  };
}

function repeat(
  n: number,
  input: Place,
  shape: readonly number[],
  { kernel, arena, rows: capacity }: StepContext,
): Step {
  const width = input.shape[0]!;
  const out = arena.take(capacity * n * width);
  return {
    output: { at: out, shape },
    run(rows) {
      for (let r = 0; r < rows; r++) {
        for (let t = 0; t < n; t++) {
          const from = input.at + r * width;
          kernel.heap.copyWithin(out + (r * n + t) * width, from, from + width);
        }
      }
      return undefined;
    },
  };
}
