import { readdirSync, readFileSync } from 'node:fs';

/**
 * Every schema that was ever released, in `schemas/released/`: NAME.VERSION.FINGERPRINT.avsc, where the fingerprint is
 * the one in the records' headers, in hex. They are never changed or removed: data written with them may be anywhere.
 */
const FOLDER = new URL('../../schemas/released/', import.meta.url);

export interface ReleasedSchema {
  /** File name without version, as of the file in `schemas/`. */
  readonly name: string;
  readonly version: number;
  readonly fingerprint: string;
  readonly text: string;
}

let files: readonly string[] | undefined;

/** The schema of a fingerprint, or undefined. */
export function releasedSchema(fingerprint: string): string | undefined {
  files ??= readdirSync(FOLDER);
  const file = files.find((each) => each.endsWith(`.${fingerprint}.avsc`));
  return file === undefined ? undefined : readFileSync(new URL(file, FOLDER), 'utf8');
}

export function releasedSchemas(): ReleasedSchema[] {
  return readdirSync(FOLDER).map((file) => {
    const [name, version, fingerprint] = file.split('.') as [string, string, string];
    return { name, version: Number(version), fingerprint, text: readFileSync(new URL(file, FOLDER), 'utf8') };
  });
}
