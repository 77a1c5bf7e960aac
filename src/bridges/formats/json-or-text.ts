import type { Decoder, FormatLimits } from './bounds.ts';
import { jsonDecoder } from './json.ts';
import { textOf } from './text.ts';

/** JSON where the payload begins like it (object, list, quoted text, number, true, false, null); otherwise bare text. */
export function jsonOrTextDecoder(limits: FormatLimits): Decoder {
  const json = jsonDecoder(limits);
  return (payload) => {
    const text = textOf(payload).trim();
    return /^(?:[[{"]|-?\d[\d.eE+-]*$|(?:true|false|null)$)/.test(text) ? orText(json, payload, text) : text;
  };
}

/** `007` or `1.2.3` begin like numbers and are none. */
function orText(json: Decoder, payload: Uint8Array, text: string): unknown {
  if (/^[[{"]/.test(text)) return json(payload);
  try {
    return json(payload);
  } catch {
    return text;
  }
}
