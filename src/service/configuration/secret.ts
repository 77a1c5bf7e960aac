import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { FleetcastError, messageOf } from '../../errors.ts';

/** Where a secret is kept; the configuration file never holds the secret itself. */
export type SecretReference = { readonly env: string } | { readonly file: string };

/** A reference to a secret: `{env: NAME}` or `{file: PATH}`. */
export const secret: z.ZodType<SecretReference> = z.custom<SecretReference>().superRefine((value: unknown, context) => {
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  const reference = keys.length === 1 ? (value as Record<string, unknown>)[keys[0]!] : undefined;
  if ((keys[0] === 'env' || keys[0] === 'file') && typeof reference === 'string' && reference !== '') return;
  // The value found may be the secret itself: it must not reach a message.
  context.addIssue({
    code: 'custom',
    message: 'a reference, {env: NAME} or {file: PATH}: secrets do not belong in this file',
    params: { hidden: true },
  });
});

/**
 * The secret behind a reference. A file's last line end is dropped. Relative paths are taken from `folder`.
 * @throws CONFIG_INVALID where the variable is not set, the file cannot be read, or nothing is in it: an empty secret is
 *   one that everybody knows.
 */
export function resolveSecret(field: string, reference: SecretReference, folder: string): string {
  if ('env' in reference) {
    const value = process.env[reference.env];
    if (value !== undefined && value.trim() !== '') return value;
    throw new FleetcastError(
      'CONFIG_INVALID',
      `${field}: the environment variable ${reference.env} is not set or empty`,
    );
  }
  let value: string;
  try {
    value = readFileSync(resolve(folder, reference.file), 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new FleetcastError('CONFIG_INVALID', `${field}: cannot read ${reference.file}: ${messageOf(cause)}`, {
      cause,
    });
  }
  if (value.trim() !== '') return value;
  throw new FleetcastError('CONFIG_INVALID', `${field}: the file ${reference.file} is empty`);
}
