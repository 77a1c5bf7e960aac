import type { Kernel } from './kernel.ts';
import { kernelMemory, wasmKernel } from './wasm.ts';

/** A kernel of its own with a heap of so many floats, all zero. */
export function createKernel(floats: number): Kernel {
  return wasmKernel(kernelMemory(floats));
}
