import type { Kernel } from './kernel.ts';
import { portableKernel } from './portable.ts';

/** The fastest kernel of this machine with a heap of so many floats. All kernels give the same bits. */
export function createKernel(floats: number): Kernel {
  return portableKernel(floats);
}
