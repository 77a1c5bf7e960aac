import type { WhereConfig, WhereValues } from './config.ts';
import { globs } from './globs.ts';
import { compilePath } from './path.ts';
import { Reject } from './reject.ts';
import { compileTemplate, type TemplateInput } from './template.ts';

type Test = (input: TemplateInput) => boolean;

/** @throws CONFIG_INVALID for a path that does not parse. */
export function compileWhere(config: WhereConfig, wildcards: readonly string[]): Test {
  const list = Array.isArray(config) ? (config as readonly (string | WhereValues)[]) : [config as string | WhereValues];
  const tests = list.flatMap((each) =>
    typeof each === 'string'
      ? [presence(each)]
      : Object.entries(each).map(([at, values]) => {
          const test = oneOf(at.startsWith('!') ? at.slice(1) : at, values, wildcards);
          return at.startsWith('!') ? (input: TemplateInput) => !test(input) : test;
        }),
  );
  return (input) => tests.every((test) => test(input));
}

function presence(source: string): Test {
  const wanted = !source.startsWith('!');
  const path = compilePath(wanted ? source : source.slice(1));
  return ({ root, part }) => {
    const found = path.get(path.fromRoot ? root : part);
    return (found !== undefined && found !== null) === wanted;
  };
}

function oneOf(at: string, values: readonly (string | number | boolean)[], wildcards: readonly string[]): Test {
  const matches = globs(values.map(String)) ?? (() => false);
  if (at.includes('{')) {
    const text = compileTemplate(at, wildcards);
    return (input) => {
      try {
        return matches(text(input));
      } catch (error) {
        if (error instanceof Reject) return false;
        throw error;
      }
    };
  }
  const path = compilePath(at);
  return ({ root, part }) => {
    const found = path.get(path.fromRoot ? root : part);
    return found !== null && typeof found !== 'object' && matches(String(found));
  };
}
