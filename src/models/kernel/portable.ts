import { sigmoid, tanh } from '../arithmetic.ts';
import type { Kernel } from './kernel.ts';

const f = Math.fround;
const BETA1 = f(0.9);
const REST1 = f(0.1);
const BETA2 = f(0.999);
const REST2 = f(0.001);
const EPSILON = f(1e-8);

/** The kernel on plain typed arrays. Slower than WebAssembly, the same bits. @param floats size of the heap */
export function portableKernel(floats: number): Kernel {
  const heap = new Float32Array(floats);
  const kernel: Kernel = {
    heap,

    gates(rows, inputs, units, cols, bias, x, ldX, weights, h, ldH, recurrent, z) {
      kernel.fillRows(rows, cols, bias, z, cols);
      kernel.multiply(rows, inputs, cols, x, ldX, weights, z, cols);
      kernel.multiply(rows, units, cols, h, ldH, recurrent, z, cols);
    },

    fillRows(rows, cols, row, out, ldOut) {
      for (let r = 0; r < rows; r++) heap.copyWithin(out + r * ldOut, row, row + cols);
    },

    multiply(rows, inner, cols, x, ldX, w, out, ldOut) {
      for (let r = 0; r < rows; r++) {
        const xRow = x + r * ldX;
        const outRow = out + r * ldOut;
        let k = 0;
        for (; k + 3 < inner; k += 4) {
          const a = heap[xRow + k]!;
          const b = heap[xRow + k + 1]!;
          const c = heap[xRow + k + 2]!;
          const d = heap[xRow + k + 3]!;
          const w0 = w + k * cols;
          const w1 = w0 + cols;
          const w2 = w1 + cols;
          const w3 = w2 + cols;
          for (let j = 0; j < cols; j++) {
            let sum = heap[outRow + j]!;
            sum = f(sum + f(a * heap[w0 + j]!));
            sum = f(sum + f(b * heap[w1 + j]!));
            sum = f(sum + f(c * heap[w2 + j]!));
            heap[outRow + j] = f(sum + f(d * heap[w3 + j]!));
          }
        }
        for (; k < inner; k++) {
          const a = heap[xRow + k]!;
          const wRow = w + k * cols;
          for (let j = 0; j < cols; j++) heap[outRow + j] = f(heap[outRow + j]! + f(a * heap[wRow + j]!));
        }
      }
    },

    multiplyTransposed(rows, inner, cols, x, ldX, z, ldZ, out) {
      for (let r = 0; r < rows; r++) {
        for (let k = 0; k < inner; k++) {
          const a = heap[x + r * ldX + k]!;
          const zRow = z + r * ldZ;
          const outRow = out + k * cols;
          for (let j = 0; j < cols; j++) heap[outRow + j] = f(heap[outRow + j]! + f(a * heap[zRow + j]!));
        }
      }
    },

    sumRows(rows, cols, z, ldZ, out) {
      for (let r = 0; r < rows; r++) {
        for (let j = 0; j < cols; j++) heap[out + j] = f(heap[out + j]! + heap[z + r * ldZ + j]!);
      }
    },

    transpose(rows, cols, a, out) {
      for (let r = 0; r < rows; r++) for (let j = 0; j < cols; j++) heap[out + j * rows + r] = heap[a + r * cols + j]!;
    },

    add(count, x, out) {
      for (let i = 0; i < count; i++) heap[out + i] = f(heap[out + i]! + heap[x + i]!);
    },

    relu(count, x) {
      for (let i = x; i < x + count; i++) if (!(heap[i]! > 0)) heap[i] = 0;
    },

    reluGradient(count, activated, gradient) {
      for (let i = 0; i < count; i++) if (!(heap[activated + i]! > 0)) heap[gradient + i] = 0;
    },

    cell(rows, units, z, cBefore, c, tanhC, h) {
      for (let r = 0; r < rows; r++) {
        for (let u = 0; u < units; u++) {
          const zAt = z + r * 4 * units + u;
          const at = r * units + u;
          const input = sigmoid(heap[zAt]!);
          const forget = sigmoid(heap[zAt + units]!);
          const candidate = tanh(heap[zAt + 2 * units]!);
          const output = sigmoid(heap[zAt + 3 * units]!);
          const state = f(f(forget * heap[cBefore + at]!) + f(input * candidate));
          const squashed = tanh(state);
          heap[zAt] = input;
          heap[zAt + units] = forget;
          heap[zAt + 2 * units] = candidate;
          heap[zAt + 3 * units] = output;
          heap[c + at] = state;
          heap[tanhC + at] = squashed;
          heap[h + at] = f(output * squashed);
        }
      }
    },

    cellGradient(rows, units, gates, cBefore, tanhC, dh, dc) {
      for (let r = 0; r < rows; r++) {
        for (let u = 0; u < units; u++) {
          const zAt = gates + r * 4 * units + u;
          const at = r * units + u;
          const input = heap[zAt]!;
          const forget = heap[zAt + units]!;
          const candidate = heap[zAt + 2 * units]!;
          const output = heap[zAt + 3 * units]!;
          const squashed = heap[tanhC + at]!;
          const dHidden = heap[dh + at]!;
          const dState = f(heap[dc + at]! + f(f(dHidden * output) * f(1 - f(squashed * squashed))));
          heap[zAt] = f(f(dState * candidate) * f(input * f(1 - input)));
          heap[zAt + units] = f(f(dState * heap[cBefore + at]!) * f(forget * f(1 - forget)));
          heap[zAt + 2 * units] = f(f(dState * input) * f(1 - f(candidate * candidate)));
          heap[zAt + 3 * units] = f(f(dHidden * squashed) * f(output * f(1 - output)));
          heap[dc + at] = f(dState * forget);
        }
      }
    },

    adam(count, weights, gradients, first, second, scale, rate, correction) {
      const s = f(scale);
      const step = f(rate);
      const c = f(correction);
      for (let i = 0; i < count; i++) {
        const g = f(heap[gradients + i]! * s);
        const m = f(f(BETA1 * heap[first + i]!) + f(REST1 * g));
        const v = f(f(BETA2 * heap[second + i]!) + f(REST2 * f(g * g)));
        heap[first + i] = m;
        heap[second + i] = v;
        heap[weights + i] = f(heap[weights + i]! - f(f(step * m) / f(f(Math.sqrt(f(v * c))) + EPSILON)));
      }
    },
  };
  return kernel;
}
