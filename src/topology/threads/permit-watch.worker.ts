import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { insideSince, type ThreadPermit } from '../../log/thread-permit.ts';

/** What the watch is given. */
export interface PermitWatch {
  readonly permits: readonly ThreadPermit[];
  /** Milliseconds. */
  readonly limitMs: number;
}

/**
 * Ends the process where a thread has been in one and the same write of the log for too long: it ran out of memory there,
 * and nothing in this process can write or end any more. In a thread of its own, because the main thread may wait for the
 * log as well. It counts looks, not time: a process that stood still is none that hangs.
 */
const { permits, limitMs } = workerData as PermitWatch;
const LOOKS = 10;
const seen = permits.map(() => ({ entry: -1, looks: 0 }));

setInterval(() => {
  for (const [thread, permit] of permits.entries()) {
    const entry = insideSince(permit) ?? -1;
    const last = seen[thread]!;
    last.looks = entry !== -1 && entry === last.entry ? last.looks + 1 : 0;
    last.entry = entry;
    if (last.looks < LOOKS) continue;
    writeSync(
      2,
      `fleetcast: thread ${thread} has been within a write of the log for ${limitMs} ms, and was ended there or hangs: ` +
        'the process ends at once. Nothing is lost; the next start goes on from the last commit.\n',
    );
    process.kill(process.pid, 'SIGKILL');
  }
}, limitMs / LOOKS);
