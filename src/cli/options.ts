import { InvalidArgumentError } from 'commander';
import { parseDuration } from '../service/configuration/units.ts';

/** Parsers of option values. They throw what commander reports with the name of the option. */

export function whole(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < min) {
      throw new InvalidArgumentError(`a whole number, at least ${min}.`);
    }
    return value;
  };
}

export function oneOf<T extends string>(allowed: readonly T[]): (text: string) => T {
  return (text) => {
    const found = allowed.find((each) => each === text);
    if (found === undefined) throw new InvalidArgumentError(`one of ${allowed.join(', ')}.`);
    return found;
  };
}

/** Milliseconds. */
export function duration(text: string): number {
  const value = parseDuration(text);
  if (value === undefined) throw new InvalidArgumentError('a duration such as 30s, 15m or 1h.');
  return value;
}

/** `3600x` or `3600`. */
export function factor(text: string): number {
  const value = Number(/^(\d+(?:\.\d+)?)x?$/.exec(text)?.[1]);
  if (!(value > 0)) throw new InvalidArgumentError('a factor such as 3600x.');
  return value;
}

/** A date, a time in ISO 8601 (UTC where it says no zone), or milliseconds since the epoch. */
export function time(text: string): number {
  const iso = /^\d{4}-\d{2}-\d{2}T[\d:.]+$/.test(text) ? `${text}Z` : text;
  const value = /^\d{10,}$/.test(text) ? Number(text) : Date.parse(iso);
  if (Number.isNaN(value)) throw new InvalidArgumentError('a time such as 2026-01-31 or 2026-01-31T12:00:00Z.');
  return value;
}

export function list(text: string): string[] {
  return text.split(',').map((each) => each.trim());
}

/** Without the fields that are undefined. */
export function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
