import { join } from 'node:path';
import { findDamage } from './check-database.ts';
import { damaged, holdsLog } from './data-folder.ts';
import { Gate } from './gate.ts';
import { closeRoot, openRoot, type Root } from './open-database.ts';

/** Folders that handles of this process have open, with their number: what they use was verified. */
const held = new Map<string, number>();

/**
 * Looks for damage within an existing log before LMDB reads its tables, which would end the process.
 * @param bytes of chunks whose checksums are verified, the latest first.
 * @throws DATA_FOLDER_DAMAGED, DATA_FOLDER_NEWER; the folder is left as it was.
 */
export async function verifyFolder(path: string, bytes: number): Promise<void> {
  if (held.has(path) || !holdsLog(path)) return;
  let root: Root;
  try {
    const gate = new Gate(path);
    root = gate.pass(() => openRoot(path, gate));
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
    await closeRoot(root);
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
