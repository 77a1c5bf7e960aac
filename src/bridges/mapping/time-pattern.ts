import { FleetcastError } from '../../errors.ts';
import { offsetMillis, wallTime } from './wall-time.ts';

export interface TimePattern {
  /** The pattern itself says the zone (`XXX`). */
  readonly hasZone: boolean;
  parse(text: string): { readonly wall: number; readonly offset: number | undefined } | undefined;
}

/** Letters of a pattern, as in Unicode TR 35 and Java: what they match and which field they fill. */
const LETTERS: Readonly<Record<string, readonly [string, Field]>> = {
  yyyy: ['(\\d{4})', 'year'],
  yy: ['(\\d\\d)', 'shortYear'],
  MM: ['(\\d\\d)', 'month'],
  M: ['(\\d\\d?)', 'month'],
  dd: ['(\\d\\d)', 'day'],
  d: ['(\\d\\d?)', 'day'],
  HH: ['(\\d\\d)', 'hour'],
  H: ['(\\d\\d?)', 'hour'],
  hh: ['(\\d\\d)', 'hour12'],
  h: ['(\\d\\d?)', 'hour12'],
  mm: ['(\\d\\d)', 'minute'],
  ss: ['(\\d\\d)', 'second'],
  S: ['(\\d{1,9})', 'fraction'],
  a: ['([AaPp])\\.?[Mm]\\.?', 'half'],
  XXX: ['(Z|z|[+-]\\d\\d:?\\d\\d|[+-]\\d\\d)', 'offset'],
};
type Field =
  | 'year'
  | 'shortYear'
  | 'month'
  | 'day'
  | 'hour'
  | 'hour12'
  | 'minute'
  | 'second'
  | 'fraction'
  | 'half'
  | 'offset';

/** Compiles `dd.MM.yyyy HH:mm:ss`; text in single quotes stands for itself. @throws CONFIG_INVALID. */
export function compilePattern(pattern: string): TimePattern {
  const fields: Field[] = [];
  let expression = '^';
  const token = /'([^']*)'|([A-Za-z])\2*|[^A-Za-z']/g;
  for (const [text, quoted] of pattern.matchAll(token)) {
    if (quoted !== undefined) {
      expression += literal(quoted);
      continue;
    }
    if (!/^[A-Za-z]/.test(text)) {
      expression += text === ' ' ? '\\s+' : literal(text);
      continue;
    }
    const known = LETTERS[/^S+$/.test(text) ? 'S' : text];
    if (known === undefined) {
      throw new FleetcastError(
        'CONFIG_INVALID',
        `time format ${JSON.stringify(pattern)}: ${JSON.stringify(text)} is none of ${Object.keys(LETTERS).join(', ')}`,
        { details: { format: pattern } },
      );
    }
    expression += known[0];
    fields.push(known[1]);
  }
  if (!fields.some((field) => field === 'year' || field === 'shortYear')) {
    throw new FleetcastError('CONFIG_INVALID', `time format ${JSON.stringify(pattern)} has no year`, {
      details: { format: pattern },
    });
  }
  const matcher = new RegExp(`${expression}$`);
  return {
    hasZone: fields.includes('offset'),
    parse: (text) => {
      if (text.length > 100) return undefined;
      const found = matcher.exec(text);
      if (found === null) return undefined;
      const at: Partial<Record<Field, string>> = {};
      fields.forEach((field, i) => {
        at[field] = found[i + 1]!;
      });
      return assemble(at);
    },
  };
}

function assemble(at: Partial<Record<Field, string>>): { wall: number; offset: number | undefined } | undefined {
  const year = at.year !== undefined ? Number(at.year) : 2000 + Number(at.shortYear);
  let hour = Number(at.hour ?? 0);
  if (at.hour12 !== undefined) {
    const twelve = Number(at.hour12);
    if (twelve < 1 || twelve > 12) return undefined;
    hour = (twelve % 12) + (/p/i.test(at.half ?? '') ? 12 : 0);
  }
  const wall = wallTime(
    year,
    Number(at.month ?? 1),
    Number(at.day ?? 1),
    hour,
    Number(at.minute ?? 0),
    Number(at.second ?? 0),
  );
  if (wall === undefined) return undefined;
  const millis = at.fraction === undefined ? 0 : Math.floor(Number(`0.${at.fraction}`) * 1000 + 1e-9);
  return { wall: wall + millis, offset: at.offset === undefined ? undefined : offsetMillis(at.offset) };
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
