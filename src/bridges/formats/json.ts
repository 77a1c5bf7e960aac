import { excerpt, Reject } from '../mapping/reject.ts';
import { checkBounds, type Decoder, type FormatLimits } from './bounds.ts';
import { textOf } from './text.ts';

/** JSON (RFC 8259). The words NaN and Infinity, which some programs write, are refused as `not-finite`. */
export function jsonDecoder(limits: FormatLimits): Decoder {
  return (payload) => {
    const text = textOf(payload);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      if (payload.length < 65_536 && onlyNotFinite(text)) {
        throw new Reject('not-finite', `NaN or Infinity in ${excerpt(text)}`);
      }
      throw new Reject('not-json', `${excerpt(text)} is not JSON`);
    }
    checkBounds(value, limits);
    return value;
  };
}

/** JSON but for the words NaN and Infinity, as Python's json module writes them. */
function onlyNotFinite(text: string): boolean {
  // Text without an end is taken to the end of all: to try again at each of its quotes would take quadratic time.
  const words = /"(?:[^"\\]|\\.)*(?:"|\\?$)|-?\b(?:NaN|nan|Infinity|inf)\b/g;
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
