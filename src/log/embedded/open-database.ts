import { open, type RootDatabase } from 'lmdb';
import type { Gate } from './gate.ts';

export type Root = RootDatabase<Buffer, string>;

/** Address space, not disk: LMDB maps so much and grows the file as needed. */
const MAP_BYTES = 128 * 2 ** 30;
const MAX_READERS = 512;

/** What this thread has open. LMDB's bindings would close it past the gate when the thread ends. */
const opened = new Map<Root, Gate>();

/**
 * Opens the environment and none of its tables; this reads nothing but the meta pages and changes nothing. To be called
 * within the folder's gate.
 */
export function openRoot(path: string, gate: Gate): Root {
  const root = open<Buffer, string>({
    path,
    noSubdir: false,
    encoding: 'binary',
    maxDbs: 12,
    maxReaders: MAX_READERS,
    mapSize: MAP_BYTES,
    overlappingSync: false,
    remapChunks: false,
  });
  if (opened.size === 0) process.on('exit', closeAll);
  opened.set(root, gate);
  return root;
}

/** Closes it within the gate, and the gate after it. */
export async function closeRoot(root: Root): Promise<void> {
  const gate = opened.get(root);
  opened.delete(root);
  if (opened.size === 0) process.off('exit', closeAll);
  await gate?.pass(() => root.close());
  gate?.close();
}

function closeAll(): void {
  for (const [root, gate] of opened) gate.pass(() => void root.close());
}
