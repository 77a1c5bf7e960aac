import { readFileSync } from 'node:fs';
import type { Kernel } from './kernel.ts';

/** Bytes at the start of the memory for each thread: the panel of `setScratch`. */
const SCRATCH = 16 * 1024;
const PAGE = 65_536;

/** The module's functions: those of the kernel, with places and strides in bytes, and one product under both others. */
interface Exports extends Omit<Kernel, 'heap' | 'multiply' | 'multiplyTransposed'> {
  setScratch(at: number): void;
  gemm(
    rows: number,
    inner: number,
    cols: number,
    a: number,
    strideRow: number,
    strideInner: number,
    b: number,
    ldB: number,
    out: number,
    ldOut: number,
  ): void;
}

let compiled: WebAssembly.Module | undefined;

/** The module's code, read and compiled once for each thread. */
function kernelModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(readFileSync(new URL('./wasm/kernel.wasm', import.meta.url)));
  return compiled;
}

/** Memory for a heap of so many floats, used by up to `threads` kernels at a time. It can be sent to other threads. */
export function kernelMemory(floats: number, threads = 1): WebAssembly.Memory {
  const pages = Math.ceil((threads * SCRATCH + 4 * floats) / PAGE);
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/**
 * The kernel in WebAssembly SIMD on a memory of {@link kernelMemory}.
 * @param thread 0 ≤ thread < threads, one kernel for each
 */
export function wasmKernel(memory: WebAssembly.Memory, thread = 0, threads = 1): Kernel {
  const base = threads * SCRATCH;
  const wasm = instantiate(memory, thread * SCRATCH);
  return kernelAt(wasm, new Float32Array(memory.buffer, base), base);
}

/**
 * One memory and instance that all small kernels of a thread share: address space for a memory of its own costs far more
 * than its bytes, and the engine gives it back late.
 */
interface ThreadHeap {
  readonly memory: WebAssembly.Memory;
  readonly wasm: Exports;
  /** Bytes given out so far, and what came back, by size. */
  used: number;
  readonly free: Map<number, number[]>;
}

const HEAP_PAGES = 16_384;
let threadHeap: ThreadHeap | undefined;
const returned = new FinalizationRegistry<{ readonly base: number; readonly bytes: number }>(({ base, bytes }) => {
  const { free } = threadHeap!;
  if (free.has(bytes)) free.get(bytes)!.push(base);
  else free.set(bytes, [base]);
});

/** A kernel with a heap of so many floats, all zero, on the memory of this thread; on one of its own where that is full. */
export function threadKernel(floats: number): Kernel {
  const heap = openThreadHeap();
  const bytes = Math.ceil(floats / 4) * 16;
  const base = heap.free.get(bytes)?.pop() ?? extend(heap, bytes);
  if (base === undefined) return wasmKernel(kernelMemory(floats));
  const view = new Float32Array(heap.memory.buffer, base, bytes / 4).fill(0);
  const kernel = kernelAt(heap.wasm, view, base);
  returned.register(kernel, { base, bytes });
  return kernel;
}

function openThreadHeap(): ThreadHeap {
  if (threadHeap === undefined) {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: HEAP_PAGES, shared: true });
    threadHeap = { memory, wasm: instantiate(memory, 0), used: SCRATCH, free: new Map() };
  }
  return threadHeap;
}

/** @returns the first byte, or undefined where the memory cannot grow any more */
function extend(heap: ThreadHeap, bytes: number): number | undefined {
  const pages = Math.ceil((heap.used + bytes) / PAGE) - heap.memory.buffer.byteLength / PAGE;
  if (pages > 0) {
    try {
      // Views on the memory before it grew stay valid: a shared buffer is not detached.
      heap.memory.grow(pages);
    } catch {
      return undefined;
    }
  }
  heap.used += bytes;
  return heap.used - bytes;
}

function instantiate(memory: WebAssembly.Memory, scratch: number): Exports {
  const instance = new WebAssembly.Instance(kernelModule(), { env: { memory } });
  const wasm = instance.exports as unknown as Exports;
  wasm.setScratch(scratch);
  return wasm;
}

/** @param base first byte of the heap */
function kernelAt(wasm: Exports, heap: Float32Array, base: number): Kernel {
  const at = (place: number) => base + 4 * place;
  return {
    heap,
    fillRows: (rows, cols, row, out, ldOut) => wasm.fillRows(rows, cols, at(row), at(out), 4 * ldOut),
    gates: (rows, inputs, units, cols, bias, x, ldX, weights, h, ldH, recurrent, z) =>
      wasm.gates(
        rows,
        inputs,
        units,
        cols,
        at(bias),
        at(x),
        4 * ldX,
        at(weights),
        at(h),
        4 * ldH,
        at(recurrent),
        at(z),
      ),
    multiply: (rows, inner, cols, x, ldX, w, out, ldOut) =>
      wasm.gemm(rows, inner, cols, at(x), 4 * ldX, 4, at(w), 4 * cols, at(out), 4 * ldOut),
    multiplyTransposed: (rows, inner, cols, x, ldX, z, ldZ, out) =>
      wasm.gemm(inner, rows, cols, at(x), 4, 4 * ldX, at(z), 4 * ldZ, at(out), 4 * cols),
    sumRows: (rows, cols, z, ldZ, out) => wasm.sumRows(rows, cols, at(z), 4 * ldZ, at(out)),
    transpose: (rows, cols, a, out) => wasm.transpose(rows, cols, at(a), at(out)),
    add: (count, x, out) => wasm.add(count, at(x), at(out)),
    relu: (count, x) => wasm.relu(count, at(x)),
    reluGradient: (count, activated, gradient) => wasm.reluGradient(count, at(activated), at(gradient)),
    cell: (rows, units, z, cBefore, c, tanhC, h) => wasm.cell(rows, units, at(z), at(cBefore), at(c), at(tanhC), at(h)),
    cellGradient: (rows, units, gates, cBefore, tanhC, dh, dc) =>
      wasm.cellGradient(rows, units, at(gates), at(cBefore), at(tanhC), at(dh), at(dc)),
    adam: (count, weights, gradients, first, second, scale, rate, correction) =>
      wasm.adam(count, at(weights), at(gradients), at(first), at(second), scale, rate, correction),
  };
}
