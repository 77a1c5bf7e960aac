import { availableParallelism } from 'node:os';

const MOST_THREADS = 8;

/** Threads of a training in the kernel: as many as the machine has processors, within bounds. */
export function defaultThreads(): number {
  return Math.min(MOST_THREADS, availableParallelism());
}

/** Threads of a training in the process that serves the stream: one processor is the stream's. */
export function threadsBesideStream(): number {
  return Math.max(1, Math.min(MOST_THREADS, availableParallelism() - 1));
}
