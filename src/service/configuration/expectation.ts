import { z } from 'zod';

/** What would have been allowed, in words that go on from "expected". */
export function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return TYPES[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return issue.values.length === 1
        ? String(issue.values[0])
        : `one of ${issue.values.map((value) => String(value)).join(', ')}`;
    case 'too_small':
      return limit('at least', issue.minimum, issue.origin);
    case 'too_big':
      return limit('at most', issue.maximum, issue.origin);
    case 'invalid_format':
      return /^Invalid/.test(issue.message) ? `text of the form ${issue.pattern ?? issue.format}` : issue.message;
    case 'invalid_union':
      return [...new Set(issue.errors.flat().map(expectation))].join(', or ') || 'another value';
    default:
      return issue.message;
  }
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'an object with fields',
  record: 'an object with fields',
};

function limit(bound: string, value: number | bigint, origin: string): string {
  if (origin === 'string')
    return bound === 'at least' && value === 1 ? 'text that is not empty' : `${bound} ${value} characters`;
  if (origin === 'array') return `a list of ${bound} ${value}`;
  return `a number ${bound} ${value}`;
}

/** Names of the fields that the object at `path` may have. */
export function allowedFields(schema: z.ZodType, path: readonly (string | number)[]): readonly string[] {
  let at: z.ZodType | undefined = unwrap(schema);
  for (const part of path) {
    if (at instanceof z.ZodObject) at = unwrap(at.shape[part] as z.ZodType | undefined);
    else if (at instanceof z.ZodArray) at = unwrap(at.element as z.ZodType);
    else if (at instanceof z.ZodRecord) at = unwrap(at.valueType as z.ZodType);
    else return [];
  }
  if (at instanceof z.ZodObject) return Object.keys(at.shape);
  if (at instanceof z.ZodRecord && at.keyType instanceof z.ZodEnum) return at.keyType.options.map(String);
  return (at?.meta()?.['fields'] as readonly string[] | undefined) ?? [];
}

/** The schema under defaults and options. */
export function unwrap(schema: z.ZodType | undefined): z.ZodType | undefined {
  let at = schema;
  while (at !== undefined && 'innerType' in at.def) at = at.def.innerType as z.ZodType;
  return at;
}
