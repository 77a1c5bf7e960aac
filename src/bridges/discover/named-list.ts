/** A list whose entries name their quantity: `{"values": [{"name": "level", "value": 1.5}, …]}`. */
export interface NamedList {
  /** Path of the mapping to the entries. */
  readonly each: string;
  readonly name: string;
  readonly value: string;
}

const NAMES = [
  'name',
  'n',
  'key',
  'id',
  'metric',
  'tag',
  'sensor',
  'quantity',
  'parameter',
  'variable',
  'point',
  'type',
];
const VALUES = ['value', 'v', 'val', 'reading'];

/** Where the payload is such a list or holds one, at its top. */
export function namedListOf(payload: unknown): NamedList | undefined {
  if (Array.isArray(payload)) return listAt(payload, '*');
  if (payload === null || typeof payload !== 'object') return undefined;
  for (const [key, value] of Object.entries(payload)) {
    const found = Array.isArray(value) && /^[A-Za-z_]\w*$/.test(key) ? listAt(value, `${key}.*`) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function listAt(list: readonly unknown[], each: string): NamedList | undefined {
  const entries = list.slice(0, 100);
  if (entries.length === 0 || !entries.every(isRecord)) return undefined;
  const name = NAMES.find((field) => entries.every((entry) => isName(entry[field])));
  const value = VALUES.find((field) => entries.some((entry) => typeof entry[field] === 'number'));
  if (name === undefined || value === undefined) return undefined;
  // The same name twice: it tells something else than the quantity.
  return new Set(entries.map((entry) => entry[name])).size === entries.length ? { each, name, value } : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= 64;
}
