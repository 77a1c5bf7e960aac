import { stringify } from 'yaml';
import { z } from 'zod';
import { unwrap } from './expectation.ts';
import { configurationSchema } from './schema.ts';

const HEAD = `# Configuration of fleetcast. Every field may be left out: what stands here are the defaults.
# Lines that begin with "#" and a field show what else there is. Times: 250ms, 30s, 15m, 1h, 7d. Sizes: 64KiB, 1GiB.
# Secrets are never written here, only where they are kept: {env: NAME} or {file: PATH}.
`;

/** The commented example that `fleetcast init` writes, made from the schema: it cannot differ from it. */
export function exampleConfiguration(): string {
  const lines: string[] = [HEAD];
  for (const [name, field] of Object.entries(configurationSchema.shape) as [string, z.ZodType][]) {
    lines.push(...comment(field, ''));
    const object = unwrap(field);
    const example = field.meta()?.['example'];
    if (object instanceof z.ZodObject && example === undefined) {
      lines.push(`${name}:`);
      for (const [key, child] of Object.entries(object.shape) as [string, z.ZodType][])
        lines.push(...entry(key, child));
    } else {
      lines.push(`# ${name}: ${example}`);
    }
    lines.push('');
  }
  return lines.join('\n');
}

function entry(key: string, field: z.ZodType): string[] {
  const example = field.meta()?.['example'];
  const value = example === undefined ? `  ${key}: ${flow(defaultOf(field))}` : `  # ${key}: ${example}`;
  return [...comment(field, '  '), value];
}

function comment(field: z.ZodType, indent: string): string[] {
  const text = descriptionOf(field);
  return text === undefined ? [] : [`${indent}# ${text}`];
}

function descriptionOf(field: z.ZodType): string | undefined {
  let at: z.ZodType | undefined = field;
  while (at !== undefined) {
    const text = at.meta()?.description;
    if (text !== undefined) return text;
    at = 'innerType' in at.def ? (at.def.innerType as z.ZodType) : undefined;
  }
  return undefined;
}

/** The default as it is written in the file (before durations become milliseconds). */
function defaultOf(field: z.ZodType): unknown {
  if ('defaultValue' in field.def) return field.def.defaultValue;
  throw new TypeError('a field of the configuration has neither a default nor an example');
}

function flow(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 }).trim();
}
