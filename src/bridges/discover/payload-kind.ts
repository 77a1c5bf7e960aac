import { isUtf8 } from 'node:buffer';
import { compileFormat, type PayloadFormat } from '../formats/format.ts';
import { Reject } from '../mapping/reject.ts';

/** Tab, line feed, carriage return: other bytes below 0x20 stand for a binary form. */
const WHITE = [0x09, 0x0a, 0x0d];
const LIMITS = { maxDepth: 16, maxNodes: 20_000 };

export interface Kind {
  readonly format: PayloadFormat;
  /** What a path walks through: the decoded payload, or the list of its parts. */
  readonly shape: 'object' | 'list' | 'scalar';
  readonly value: unknown;
}

type Attempt = readonly [format: PayloadFormat, right: (value: unknown, text: string) => boolean];

const isObject = (value: unknown): value is object =>
  value !== null && typeof value === 'object' && !Array.isArray(value);
const hasNumber = (value: unknown): boolean =>
  typeof value === 'number' || (value !== null && typeof value === 'object' && Object.values(value).some(hasNumber));

const isNumber = (value: unknown): boolean => typeof (value as { value: unknown }).value === 'number';

/** From the strictest form to the loosest: the first that reads the payload and finds what it should is it. */
const TEXTS: readonly Attempt[] = [
  ['json', (value) => value !== null && typeof value === 'object'],
  ['number', () => true],
  // `t=21.5 h=40` has no measurement at its beginning.
  ['line-protocol', (_, text) => !/^[^\s,]*=/.test(text)],
  ['relaxed-json', (value, text) => /^[[{]/.test(text) && value !== null && typeof value === 'object'],
  ['key-value', (value, text) => /[=:]/.test(text) && hasNumber(value)],
  // `12,5` is one number, whatever separates columns elsewhere.
  ['text', (value, text) => /^[+-]?\d+,\d+(?:\s*[^\d\s,;]\S*)?$/.test(text) && isNumber(value)],
  ['csv', (value) => (value as object[]).every((row) => Object.keys(row).length > 1) && hasNumber(value)],
  ['text', isNumber],
];
const BINARIES: readonly Attempt[] = [
  ['msgpack', (value) => isObject(value) && hasNumber(value)],
  ['cbor', (value) => isObject(value) && hasNumber(value)],
];

/** The format of a payload, or undefined where it is no format that holds a number. */
export function kindOf(payload: Uint8Array): Kind | undefined {
  const text = Buffer.from(payload).toString('utf8').trim();
  const binary = !isUtf8(payload) || payload.some((byte) => byte < 0x20 && !WHITE.includes(byte));
  for (const [format, right] of binary ? BINARIES : [...TEXTS, ...BINARIES]) {
    try {
      const value = compileFormat(format, LIMITS)(payload);
      if (!right(value, text)) continue;
      const shape = Array.isArray(value) ? 'list' : format === 'number' || format === 'text' ? 'scalar' : 'object';
      return { format, shape, value };
    } catch (error) {
      if (!(error instanceof Reject)) throw error;
    }
  }
  return undefined;
}
