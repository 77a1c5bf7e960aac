import { sigmoid, tanh } from '../arithmetic.ts';
import { exp } from './exponential.ts';
import type { Activation } from './layers.ts';

const f = Math.fround;
const SELU_SCALE = f(1.05070098735548);
const SELU_ALPHA = f(1.67326324235437);
/** Keras's own default; that of the function, not of the layer LeakyReLU. */
const LEAKY_SLOPE = f(0.2);
const SIXTH = f(1 / 6);
const FIFTH = f(0.2);

const POINTWISE: Record<Exclude<Activation, 'softmax'>, (x: number) => number> = {
  linear: (x) => x,
  relu: (x) => Math.max(x, 0),
  relu6: (x) => clip(x, 6),
  leaky_relu: (x) => (x >= 0 ? x : f(LEAKY_SLOPE * x)),
  sigmoid,
  tanh,
  hard_sigmoid: (x) => clip(f(f(x * SIXTH) + 0.5), 1),
  hard_sigmoid_2: (x) => clip(f(f(x * FIFTH) + 0.5), 1),
  silu: (x) => f(x * sigmoid(x)),
  elu: (x) => (x > 0 ? x : f(exp(x) - 1)),
  selu: (x) => f(SELU_SCALE * (x > 0 ? x : f(SELU_ALPHA * f(exp(x) - 1)))),
  exponential: exp,
};

/** The function for a single value. @param activation any but softmax, which needs a whole row */
export function pointwise(activation: Activation): (x: number) => number {
  return POINTWISE[activation as Exclude<Activation, 'softmax'>];
}

/** Applies an activation in place to `count` vectors of `width` values that stand one after the other. */
export function activate(activation: Activation, heap: Float32Array, at: number, count: number, width: number): void {
  if (activation === 'linear') return;
  if (activation === 'softmax') {
    for (let i = 0; i < count; i++) softmaxInPlace(heap, at + i * width, width);
    return;
  }
  const fn = pointwise(activation);
  for (let i = at; i < at + count * width; i++) heap[i] = fn(heap[i]!);
}

/** Probabilities of logits. */
export function softmax(logits: Float32Array): Float32Array {
  const out = Float32Array.from(logits);
  softmaxInPlace(out, 0, out.length);
  return out;
}

function softmaxInPlace(heap: Float32Array, at: number, width: number): void {
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = at; i < at + width; i++) largest = Math.max(largest, heap[i]!);
  let sum = 0;
  for (let i = at; i < at + width; i++) {
    const e = exp(f(heap[i]! - largest));
    heap[i] = e;
    sum = f(sum + e);
  }
  for (let i = at; i < at + width; i++) heap[i] = heap[i]! / sum;
}

function clip(x: number, high: number): number {
  return Math.max(0, Math.min(x, high));
}
