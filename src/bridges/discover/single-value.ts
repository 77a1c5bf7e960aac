import { NO_QUANTITY, TIME_NAME } from './fields.ts';

const VALUES = ['value', 'val', 'v'];

/** The field of the one value of a payload such as `{"value": 21.5, "unit": "°C", "ts": 1700000000}`; else undefined. */
export function singleValueOf(payload: unknown): string | undefined {
  if (payload === null || typeof payload !== 'object' || Array.isArray(payload)) return undefined;
  const fields = Object.entries(payload);
  const found = VALUES.find((name) => typeof (payload as Record<string, unknown>)[name] === 'number');
  if (found === undefined) return undefined;
  const beside = (name: string) =>
    TIME_NAME.test(name) || NO_QUANTITY.test(name) || /^(?:min|max|quality)$/i.test(name);
  const alone = fields.every(
    ([name, value]) => name === found || beside(name) || typeof value === 'string' || value === null,
  );
  return alone ? found : undefined;
}
