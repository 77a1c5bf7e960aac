import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ABORT, open, type RootDatabase } from 'lmdb';

/** Lets one process at a time through. One that dies inside lets the next one in. */
export interface Gate {
  /** Waits for its turn, blocking the thread, and runs `work` alone on the folder. Not within `work`. */
  pass<T>(work: () => T): T;
}

interface Opened {
  readonly inode: number;
  readonly gate: Gate;
}

/** By path. They stay open until the process ends: to close one would need a gate again. */
const opened = new Map<string, Opened>();

/**
 * The gate of a log's folder, for whoever opens, writes or closes its database.
 *
 * LMDB needs it. A process that opens a database puts the number of the transaction that it found into the lock file,
 * where the next writer takes it from, and no lock is held meanwhile: what another process commits in between is
 * overwritten (LMDB's issue ITS#9496, which the bindings have not mended). And one that opens it while the last other
 * user closes it may find locks that are destroyed. This is a database of its own which is never written to and never
 * closed, so that neither can happen to it; what serves is its lock for writers, which survives the death of its holder.
 */
export function gateOf(folder: string): Gate {
  const file = join(folder, 'gate.mdb');
  const inode = statSync(file, { throwIfNoEntry: false })?.ino;
  const known = opened.get(file);
  if (known !== undefined && known.inode === inode) return known.gate;
  const database = open<Buffer, string>({ path: file, noSubdir: true, mapSize: 2 ** 20, overlappingSync: false });
  const gate: Gate = { pass: (work) => alone(database, work) };
  opened.set(file, { inode: statSync(file).ino, gate });
  return gate;
}

function alone<T>(database: RootDatabase<Buffer, string>, work: () => T): T {
  let result: { value: T } | undefined;
  database.transactionSync(() => {
    result = { value: work() };
    return ABORT;
  });
  return result!.value;
}
