import { readFile, stat } from 'node:fs/promises';
import { FleetcastError, isFleetcastError, messageOf } from '../../errors.ts';
import { invalid } from './limits.ts';

/**
 * A file's bytes. Pipes and devices are refused before they are opened: they say that they are empty and never end.
 * @throws USAGE where there is no such file or it may not be read, MODEL_INVALID for anything but a file with at least one
 * byte and at most `mostBytes`; both name the file
 */
export async function readBounded(path: string, mostBytes: number): Promise<Uint8Array> {
  try {
    const found = await stat(path);
    if (!found.isFile()) throw invalid('it is not a file');
    if (found.size === 0) throw invalid('the file is empty');
    if (found.size > mostBytes) throw invalid(`the file has ${found.size} bytes, more than ${mostBytes}`);
    return await readFile(path);
  } catch (cause) {
    const details = { path };
    if (isFleetcastError(cause)) {
      throw new FleetcastError('MODEL_INVALID', `${path}: ${cause.message}`, { cause, details });
    }
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const why = missing ? 'there is no such file' : `cannot be read: ${messageOf(cause)}`;
    throw new FleetcastError('USAGE', `${path}: ${why}`, { cause, details });
  }
}
