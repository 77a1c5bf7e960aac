import { isUtf8 } from 'node:buffer';
import { Reject } from '../mapping/reject.ts';

/** A number as programs write it; hexadecimal, empty and `Infinity` are none. */
export const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

const WORD_NOT_FINITE = /^[+-]?(nan|inf(inity)?)$/i;

/** The text of a payload without a byte order mark. @throws Reject `not-utf8`. */
export function textOf(payload: Uint8Array): string {
  if (!isUtf8(payload)) throw new Reject('not-utf8', 'the payload is not UTF-8 text');
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8');
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** `nan`, `-Infinity` and the like: a sensor's way to say that it has no value. */
export function isNotFinite(text: string): boolean {
  return WORD_NOT_FINITE.test(text);
}

/** The number that a text is, or the text. */
export function numberOrText(text: string): number | string {
  return text.length <= 40 && DECIMAL.test(text) ? Number(text) : text;
}
