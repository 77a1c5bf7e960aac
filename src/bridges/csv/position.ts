import { createHash } from 'node:crypto';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { FleetcastError, messageOf } from '../../errors.ts';

interface Position {
  readonly version: 1;
  /** Which file and how it was played: another one begins anew. */
  readonly of: string;
  /** Rows from the start that need not be played again. */
  readonly rows: number;
}

/** Identity of a file and of what is published of it; a file that has grown at its end stays the same. */
export function playIdentity(firstBytes: Uint8Array, settings: unknown): string {
  return createHash('sha256').update(firstBytes).update(JSON.stringify(settings)).digest('hex').slice(0, 32);
}

/** @returns rows that were acknowledged in an earlier run, 0 where there was none. @throws CSV_INVALID */
export async function readPosition(path: string, of: string): Promise<number> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw new FleetcastError('CSV_INVALID', `cannot read the position file ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  let position: Partial<Position>;
  try {
    position = JSON.parse(text) as Partial<Position>;
  } catch (cause) {
    throw new FleetcastError('CSV_INVALID', `${path} is no position file of fleetcast; remove it to begin anew`, {
      cause,
    });
  }
  if (position.version !== 1 || typeof position.of !== 'string' || !Number.isSafeInteger(position.rows)) {
    throw new FleetcastError('CSV_INVALID', `${path} is no position file of fleetcast; remove it to begin anew`);
  }
  if (position.of !== of) {
    throw new FleetcastError(
      'CSV_INVALID',
      `the position in ${path} belongs to another file or to other options; remove it to begin anew`,
    );
  }
  return position.rows!;
}

/** Replaces the file in one step: a crash leaves the old position or the new one. */
export async function writePosition(path: string, of: string, rows: number): Promise<void> {
  const position: Position = { version: 1, of, rows };
  await writeFile(`${path}.new`, `${JSON.stringify(position)}\n`);
  await rename(`${path}.new`, path);
}

/** Rows that are done without a gap from the start, whatever the order in which they were done. */
export class DoneRows {
  #next: number;
  readonly #ahead = new Set<number>();

  constructor(from: number) {
    this.#next = from;
  }

  get rows(): number {
    return this.#next;
  }

  done(row: number): void {
    if (row !== this.#next) {
      this.#ahead.add(row);
      return;
    }
    this.#next++;
    while (this.#ahead.delete(this.#next)) this.#next++;
  }
}

export async function fileSize(path: string): Promise<number> {
  return (await stat(path)).size;
}
