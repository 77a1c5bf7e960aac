import { FleetcastError } from '../../errors.ts';
import { compilePath } from './path.ts';
import { Reject } from './reject.ts';

export interface TemplateInput {
  readonly captures: ReadonlyMap<string, string>;
  readonly root: unknown;
  readonly part: unknown;
  /** Key of the part, where `each` made it. */
  readonly key: string;
  /** Key one wildcard of `each` above it. */
  readonly parentKey: string;
}

/**
 * Compiles `{site}-{$.mac}`: braces hold the name of a wildcard, `key`, `parentKey`, or a path into the payload.
 *
 * @throws CONFIG_INVALID for braces without end or a path that does not parse.
 */
export function compileTemplate(template: string, wildcards: readonly string[]): (input: TemplateInput) => string {
  const pieces: ((input: TemplateInput) => string)[] = [];
  for (const text of template.split(/(\{[^{}]*\})/)) {
    if (text === '') continue;
    if (!text.startsWith('{') || !text.endsWith('}')) {
      if (/[{}]/.test(text)) {
        throw new FleetcastError('CONFIG_INVALID', `template ${JSON.stringify(template)}: a brace is left open`, {
          details: { template },
        });
      }
      pieces.push(() => text);
      continue;
    }
    pieces.push(piece(text.slice(1, -1), wildcards));
  }
  if (pieces.length === 1) return pieces[0]!;
  return (input) => pieces.map((make) => make(input)).join('');
}

/** Whether the topic alone says what a template becomes. */
export function isOfTopic(template: string, wildcards: readonly string[]): boolean {
  return [...template.matchAll(/\{([^{}]*)\}/g)].every(([, name]) => wildcards.includes(name!));
}

function piece(name: string, wildcards: readonly string[]): (input: TemplateInput) => string {
  if (wildcards.includes(name)) return ({ captures }) => captures.get(name) ?? '';
  if (name === 'key') return ({ key }) => key;
  if (name === 'parentKey') return ({ parentKey }) => parentKey;
  const path = compilePath(name);
  return ({ root, part }) => {
    const value = path.get(path.fromRoot ? root : part);
    if (typeof value === 'string') return value;
    if (typeof value === 'number' && Number.isFinite(value)) return String(value);
    throw new Reject('missing-field', `no text or number at ${name}, which the device's name needs`);
  };
}
