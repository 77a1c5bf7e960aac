import { isUtf8 } from 'node:buffer';
import type { PayloadFormat } from './config.ts';
import { excerpt, Reject } from './reject.ts';

/** Bytes of a payload to a value that paths can walk through. Throws {@link Reject}. */
export type Decoder = (payload: Uint8Array) => unknown;

export const DECODERS: Readonly<Record<PayloadFormat, Decoder>> = {
  json: decodeJson,
  number: (payload) => ({ value: plainNumber(textOf(payload)) }),
  text: (payload) => textWithUnit(textOf(payload)),
  'key-value': (payload) => keyValue(textOf(payload)),
};

/** A number as programs write it; hexadecimal, empty and `Infinity` are none. */
export const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

export function textOf(payload: Uint8Array): string {
  if (!isUtf8(payload)) throw new Reject('not-utf8', 'the payload is not UTF-8 text');
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8');
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function decodeJson(payload: Uint8Array): unknown {
  const text = textOf(payload);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    if (payload.length < 65_536 && onlyNotFinite(text)) {
      throw new Reject('not-finite', `NaN or Infinity in ${excerpt(text)}`);
    }
    throw new Reject('not-json', `${excerpt(text)} is not JSON`);
  }
}

/** JSON but for the words NaN and Infinity, as Python's json module writes them. */
function onlyNotFinite(text: string): boolean {
  const words = /"(?:[^"\\]|\\.)*"|-?\b(?:NaN|nan|Infinity|inf)\b/g;
  let found = false;
  const mended = text.replaceAll(words, (word) => {
    if (word.startsWith('"')) return word;
    found = true;
    return 'null';
  });
  if (!found) return false;
  try {
    JSON.parse(mended);
    return true;
  } catch {
    return false;
  }
}

function plainNumber(text: string): number {
  const trimmed = text.trim();
  if (!DECIMAL.test(trimmed)) {
    const reason = /^[+-]?(nan|inf(inity)?)$/i.test(trimmed) ? 'not-finite' : 'not-a-number';
    throw new Reject(reason, `${excerpt(trimmed)} is not a number`);
  }
  return Number(trimmed);
}

/** `21.5 °C`, `57%`, `on`: the number (if there is one), the text and the unit. */
function textWithUnit(text: string): { value: number | string; unit: string } {
  const trimmed = text.trim();
  const found = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\D.{0,30})?$/s.exec(trimmed);
  if (found === null) return { value: trimmed, unit: '' };
  return { value: Number(found[1]), unit: (found[2] ?? '').trim() };
}

/** `t=21.5,h=40;ok=1` and the like: separated by comma, semicolon, ampersand or white space. */
function keyValue(text: string): Record<string, unknown> {
  const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const pair of text.trim().split(/[,;&\s]+/)) {
    if (pair === '') continue;
    const at = pair.search(/[=:]/);
    if (at < 1) throw new Reject('malformed', `${excerpt(pair)} is not key=value`);
    const value = pair.slice(at + 1);
    result[pair.slice(0, at)] = DECIMAL.test(value) ? Number(value) : value;
  }
  return result;
}
