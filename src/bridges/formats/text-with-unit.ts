import { textOf } from './text.ts';

export interface TextWithUnit {
  /** The number, or the whole text where it does not begin with one. */
  readonly value: number | string;
  readonly unit: string;
}

/** The number, then a unit: not something that begins like a date, a clock, a version or an address. */
const NUMBER_FIRST =
  /^([+-]?[\d.,\u0020\u00a0\u2009\u202f']*\d[.,]?(?:[eE][+-]?\d+)?)\s*([^\d\s.,:;+/-][^:;]{0,30})?$/s;

/**
 * `21.5 °C`, `57%`, `1,013 hPa`, `21,5 °C`, `1 234.5 kWh`, `on`. One comma followed by exactly three digits separates
 * thousands, any other single comma is a decimal comma.
 */
export function decodeTextWithUnit(payload: Uint8Array): TextWithUnit {
  const text = textOf(payload)
    .trim()
    .replace(/^[\u2212\u2013]/, '-');
  // `0x1F` is no zero of the unit x1F.
  const found = text.length <= 100 && !/^[+-]?0[xXbBoO][\da-fA-F]/.test(text) ? NUMBER_FIRST.exec(text) : null;
  const value = found === null ? undefined : localNumber(found[1]!);
  return value === undefined ? { value: text, unit: '' } : { value, unit: (found?.[2] ?? '').trim() };
}

/** A number with separators of thousands and a decimal point or comma, or undefined where the text is none. */
export function localNumber(text: string): number | undefined {
  const [, sign = '', body = '', exponent = ''] = /^([+-]?)(.*?)([eE][+-]?\d+)?$/s.exec(text) ?? [];
  const digits = plainDigits(body);
  return digits === undefined ? undefined : Number(`${sign}${digits}${exponent}`);
}

function plainDigits(text: string): string | undefined {
  if (/^(\d+\.?\d*|\.\d+)$/.test(text)) return text;
  const spaced = /^\d{1,3}(?:[\u0020\u00a0\u2009\u202f']\d{3})+(?:([.,])(\d+))?$/.exec(text);
  if (spaced !== null) {
    const [whole = ''] = text.split(/[.,]/);
    return `${whole.replaceAll(/\D/g, '')}.${spaced[2] ?? '0'}`;
  }
  if (/^[1-9]\d{0,2}(,\d{3})+(\.\d+)?$/.test(text)) return text.replaceAll(',', '');
  if (/^[1-9]\d{0,2}(\.\d{3})+,\d+$/.test(text)) return text.replaceAll('.', '').replace(',', '.');
  if (/^[1-9]\d{0,2}(\.\d{3}){2,}$/.test(text)) return text.replaceAll('.', '');
  if (/^\d*,\d+$/.test(text)) return text.replace(',', '.');
  return undefined;
}
