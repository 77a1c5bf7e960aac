import { setPriority } from 'node:os';

const NICENESS = 15;

/** Makes the calling thread give way to the stream. Call it at the beginning of a thread: those that it starts inherit it. */
export function lowPriority(niceness = NICENESS): void {
  // On Linux this is the niceness of the calling thread alone. Elsewhere it would be that of the whole process.
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, niceness);
  } catch {
    // Not allowed to: the thread then shares the processor as an equal.
  }
}
