import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { FleetcastError, messageOf } from '../../errors.ts';
import { inconsistencies } from './consistency.ts';
import { allowedFields, expectation } from './expectation.ts';
import { type Configuration, configurationSchema } from './schema.ts';
import { closest } from './suggestion.ts';

export interface LoadedConfiguration extends Configuration {
  /** The file, or undefined where the defaults are used. */
  readonly file: string | undefined;
  /** Relative paths of the configuration are taken from here. */
  readonly folder: string;
}

/** One thing that is wrong with a configuration file. Lines count from 1; 0 where there is no line. */
export interface ConfigurationIssue {
  readonly file: string;
  readonly line: number;
  readonly field: string;
  readonly message: string;
}

/**
 * Reads and checks a configuration file; without a file, the defaults.
 * @throws CONFIG_UNREADABLE where it cannot be read or is no YAML; CONFIG_INVALID with every issue in `details.issues`,
 *   each with file, line, field, what was found and what is allowed.
 */
export function loadConfiguration(file?: string): LoadedConfiguration {
  if (file === undefined) return { ...parseConfiguration('', 'defaults'), file, folder: process.cwd() };
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new FleetcastError('CONFIG_UNREADABLE', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  return { ...parseConfiguration(text, basename(file)), file: resolve(file), folder: dirname(resolve(file)) };
}

/** @param name what the messages call the file. See {@link loadConfiguration} for the errors. */
export function parseConfiguration(text: string, name: string): Configuration {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true, version: '1.2' });
  const broken = document.errors[0];
  if (broken !== undefined) {
    const line = lines.linePos(broken.pos[0]).line;
    throw new FleetcastError('CONFIG_UNREADABLE', `${name}:${line}: ${broken.message}`, {
      details: { file: name, line },
    });
  }
  let value: unknown;
  try {
    value = withoutEmptySections(document.toJS({ maxAliasCount: 50 }) ?? {});
  } catch (cause) {
    throw new FleetcastError('CONFIG_UNREADABLE', `${name}: ${messageOf(cause)}`, { cause });
  }
  const result = configurationSchema.safeParse(value);
  const issues = result.success
    ? inconsistencies(result.data).map(({ path, message }) => ({
        file: name,
        line: lineOf(document, lines, path),
        field: fieldText(path),
        message,
      }))
    : result.error.issues.flatMap((issue) => describe(issue, document, lines, name, value));
  if (result.success && issues.length === 0) return result.data;
  issues.sort((a, b) => a.line - b.line);
  const first = issues[0]!;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  throw new FleetcastError('CONFIG_INVALID', `${issueText(first)}${more}`, { details: { issues } });
}

/** Finds the line of a field in the text of a configuration, 0 where it has none. */
export function lineFinder(text: string): (path: readonly (string | number)[]) => number {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  return (path) => lineOf(document, lines, path);
}

/** A section whose fields are all commented out reads as null: it means the defaults. */
function withoutEmptySections(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, section]) => section !== null));
}

export function issueText(issue: ConfigurationIssue): string {
  const at = issue.line > 0 ? `${issue.file}:${issue.line}` : issue.file;
  return `${at}: ${issue.field === '' ? '' : `${issue.field}: `}${issue.message}`;
}

function describe(
  issue: z.core.$ZodIssue,
  document: Document,
  lines: LineCounter,
  file: string,
  value: unknown,
): ConfigurationIssue[] {
  const path = issue.path as (string | number)[];
  if (issue.code === 'unrecognized_keys') {
    const allowed = allowedFields(configurationSchema, path);
    return issue.keys.map((key) => {
      const near = closest(key, allowed);
      const hint = near === undefined ? `allowed are ${allowed.join(', ')}` : `did you mean ${near}?`;
      return {
        file,
        line: lineOf(document, lines, [...path, key]),
        field: fieldText([...path, key]),
        message: `unknown field; ${hint}`,
      };
    });
  }
  const hidden = issue.code === 'custom' && issue.params?.['hidden'] === true;
  const found = valueAt(value, path);
  const seen = hidden ? '' : `found ${foundText(found)}, `;
  return [
    {
      file,
      line: lineOf(document, lines, path),
      field: fieldText(path),
      message: `${seen}expected ${expectation(issue)}`,
    },
  ];
}

/** Line of the field's key; of the closest enclosing field that is in the file where the field itself is missing. */
function lineOf(document: Document, lines: LineCounter, path: readonly (string | number)[]): number {
  let node: unknown = document.contents;
  let offset: number | undefined;
  for (const part of path) {
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => isPair(item) && isScalar(item.key) && String(item.key.value) === String(part),
      );
      offset = start(pair?.key) ?? offset;
      next = pair?.value;
    } else if (isNode(node) && 'get' in node) {
      next = (node as unknown as { get(key: unknown, keep: boolean): unknown }).get(part, true);
      offset = start(next) ?? offset;
    }
    if (next === undefined || next === null) break;
    node = next;
  }
  return offset === undefined ? 0 : lines.linePos(offset).line;
}

function start(node: unknown): number | undefined {
  return isNode(node) ? (node as Node).range?.[0] : undefined;
}

function fieldText(path: readonly (string | number)[]): string {
  return path.map((part, i) => (typeof part === 'number' ? `[${part}]` : i === 0 ? part : `.${part}`)).join('');
}

function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  let at = value;
  for (const part of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Record<string | number, unknown>)[part];
  }
  return at;
}

function foundText(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object') return `an object with ${Object.keys(value).join(', ') || 'no fields'}`;
  // What stands before an @ may be a user and a password, wherever they do not belong.
  const text = JSON.stringify(value).replace(/^".*@/s, '"…@');
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
