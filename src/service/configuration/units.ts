import { z } from 'zod';

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};
const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1000,
  KiB: 1024,
  MB: 1_000_000,
  MiB: 1024 ** 2,
  GB: 1_000_000_000,
  GiB: 1024 ** 3,
};

/** Milliseconds of a text such as `250ms`, `30s`, `15m`, `1h`, `7d`, `2w`; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  return parse(text, DURATION_UNITS);
}

/** Bytes of a text such as `64KiB`, `1MB`, `2GiB`; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  return parse(text, SIZE_UNITS);
}

/** The shortest text that `parseDuration` reads back as `ms`. */
export function durationText(ms: number): string {
  for (const unit of ['w', 'd', 'h', 'm', 's'] as const) {
    const length = DURATION_UNITS[unit]!;
    if (ms >= length && ms % length === 0) return `${ms / length}${unit}`;
  }
  return `${ms}ms`;
}

export function sizeText(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB'] as const) {
    const length = SIZE_UNITS[unit]!;
    if (bytes >= length && bytes % length === 0) return `${bytes / length}${unit}`;
  }
  return `${bytes}B`;
}

/** A duration of the configuration, in milliseconds once parsed. */
export function duration(limits: { min?: string; max?: string } = {}): z.ZodType<number, string> {
  return quantity('a duration such as 250ms, 30s, 15m, 1h or 7d', parseDuration, limits);
}

/** A size of the configuration, in bytes once parsed. */
export function size(limits: { min?: string; max?: string } = {}): z.ZodType<number, string> {
  return quantity('a size such as 64KiB, 1MiB or 2GiB', parseSize, limits);
}

function quantity(
  wanted: string,
  read: (text: string) => number | undefined,
  limits: { min?: string; max?: string },
): z.ZodType<number, string> {
  const { min, max } = limits;
  const range = min && max ? `, from ${min} to ${max}` : min ? `, at least ${min}` : max ? `, at most ${max}` : '';
  return z
    .custom<string>(() => true)
    .transform((value: unknown, context) => {
      const parsed = typeof value === 'string' ? read(value) : undefined;
      const tooSmall = parsed !== undefined && min !== undefined && parsed < read(min)!;
      const tooLarge = parsed !== undefined && max !== undefined && parsed > read(max)!;
      if (parsed === undefined || tooSmall || tooLarge) {
        context.addIssue({ code: 'custom', message: `${wanted}${range}`, input: value });
        return z.NEVER;
      }
      return parsed;
    }) as unknown as z.ZodType<number, string>;
}

function parse(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([a-zA-Z]+)$/.exec(text.trim());
  const unit = match ? units[match[2]!] : undefined;
  if (!match || unit === undefined) return undefined;
  const value = Number(match[1]) * unit;
  return Number.isSafeInteger(value) ? value : undefined;
}
