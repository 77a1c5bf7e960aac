import { FleetcastError } from '../errors.ts';

const FREE = 0;
const INSIDE = 1;
const CONDEMNED = 2;
/** Places in a permit: one of the three, and how often the thread has gone in. */
const STATE = 0;
const ENTRIES = 1;

/**
 * Shared with a thread that may have to be ended by force. Where that happens within a transaction of LMDB, the thread
 * never ends: everybody who writes waits for it, and so does the end of the process. So the thread says when it is in one,
 * and who wants to end it condemns it before: from then on it does not go in any more.
 */
export type ThreadPermit = Int32Array;

export function newPermit(): ThreadPermit {
  return new Int32Array(new SharedArrayBuffer(8));
}

let carried: ThreadPermit | undefined;
let depth = 0;

/** For a thread, before it opens a log. */
export function carryPermit(permit: ThreadPermit): void {
  carried = permit;
}

/** Runs `work`, during which this thread must not be ended. @throws LOG_CLOSED where it is condemned */
export function unended<T>(work: () => T): T {
  if (carried === undefined || depth > 0) return work();
  if (Atomics.compareExchange(carried, STATE, FREE, INSIDE) === CONDEMNED) {
    throw new FleetcastError('LOG_CLOSED', 'this thread is being ended');
  }
  Atomics.add(carried, ENTRIES, 1);
  depth++;
  try {
    return work();
  } finally {
    depth--;
    Atomics.store(carried, STATE, FREE);
    Atomics.notify(carried, STATE);
  }
}

/** @returns whether the thread may be ended now; false while it is inside. */
export function condemn(permit: ThreadPermit): boolean {
  return Atomics.compareExchange(permit, STATE, FREE, CONDEMNED) !== INSIDE;
}

/** As `condemn`; blocks until the thread has come out, `ms` at most. */
export function condemnBlocking(permit: ThreadPermit, ms: number): boolean {
  if (!condemn(permit)) Atomics.wait(permit, STATE, INSIDE, ms);
  return condemn(permit);
}

/** @returns which time it is that the thread is inside; undefined while it is not. */
export function insideSince(permit: ThreadPermit): number | undefined {
  return Atomics.load(permit, STATE) === INSIDE ? Atomics.load(permit, ENTRIES) : undefined;
}
