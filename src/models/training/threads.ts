import { availableParallelism } from 'node:os';

const MOST_THREADS = 8;

/** Threads of a training in the kernel: as many as the machine has processors, within bounds. */
export function defaultThreads(): number {
  return Math.min(MOST_THREADS, availableParallelism());
}
