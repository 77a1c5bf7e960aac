import type { Kernel } from './kernel.ts';
import { threadKernel } from './wasm.ts';

/** A kernel with a heap of so many floats, all zero, for use on this thread only. */
export function createKernel(floats: number): Kernel {
  return threadKernel(floats);
}
