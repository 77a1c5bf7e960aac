import { excerpt, Reject } from '../mapping/reject.ts';
import { DECIMAL, isNotFinite, textOf } from './text.ts';

/** A bare number: `{ value }`. */
export function decodeNumber(payload: Uint8Array): { value: number } {
  const text = textOf(payload).trim();
  if (text.length > 60 || !DECIMAL.test(text)) {
    throw new Reject(isNotFinite(text) ? 'not-finite' : 'not-a-number', `${excerpt(text)} is not a number`);
  }
  return { value: Number(text) };
}
