import { readFile, stat } from 'node:fs/promises';
import { invalid } from './limits.ts';

/**
 * A file's bytes. Pipes and devices are refused before they are opened: they say that they are empty and never end.
 * @throws MODEL_INVALID for anything but a file of at most `mostBytes`, and the errors of the file system
 */
export async function readBounded(path: string, mostBytes: number): Promise<Uint8Array> {
  const found = await stat(path);
  if (!found.isFile()) throw invalid('it is not a file');
  if (found.size > mostBytes) throw invalid(`the file has ${found.size} bytes, more than ${mostBytes}`);
  return readFile(path);
}
