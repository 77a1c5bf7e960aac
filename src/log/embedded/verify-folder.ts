import { join } from 'node:path';
import { findDamage } from './check-database.ts';
import { damaged, holdsLog } from './data-folder.ts';
import { type Gate, gateOf } from './gate.ts';
import { openRoot } from './tables.ts';

/** Folders that handles of this process have open, with their number: what they use was verified. */
const held = new Map<string, number>();

/**
 * Looks for damage within an existing log before LMDB reads its tables, which would end the process.
 * @param bytes of chunks whose checksums are verified, the latest first.
 * @throws DATA_FOLDER_DAMAGED, DATA_FOLDER_NEWER; the folder is left as it was.
 */
export async function verifyFolder(path: string, bytes: number): Promise<void> {
  if (held.has(path) || !holdsLog(path)) return;
  let gate: Gate;
  let root: ReturnType<typeof openRoot>;
  try {
    gate = gateOf(path);
    root = gate.pass(() => openRoot(path));
  } catch {
    // Opening it in earnest tells why.
    return;
  }
  let damage: string | undefined;
  try {
    // Keeps what is looked at from being reused by other processes.
    const snapshot = root.useReadTransaction();
    try {
      damage = await findDamage(join(path, 'data.mdb'), bytes);
    } finally {
      snapshot.done();
    }
  } finally {
    await gate.pass(() => root.close());
  }
  if (damage !== undefined) throw damaged(path, damage);
}

/** Says that the folder is open in this process. @returns call it when it is closed. */
export function hold(path: string): () => void {
  held.set(path, (held.get(path) ?? 0) + 1);
  return () => {
    const left = held.get(path)! - 1;
    if (left > 0) held.set(path, left);
    else held.delete(path);
  };
}
