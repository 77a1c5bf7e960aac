import { FleetcastError } from '../../errors.ts';

/** A place in a decoded payload, compiled once: `data.temp`, `['a.b'].x`, `rxInfo[0].rssi`. */
export interface Path {
  readonly source: string;
  /** The value there, or undefined. Follows own properties only. */
  get(value: unknown): unknown;
  /** True where the path starts at the message (`$.…`) and not at the part that `each` has picked. */
  readonly fromRoot: boolean;
  /** Its steps with dots between them, as `rest` names a quantity there; empty for the whole payload. */
  readonly name: string;
}

/** One step: an own property, an index, or every element. */
type Step = string | number | typeof EVERY;
const EVERY: unique symbol = Symbol('every');

/** @throws CONFIG_INVALID for a path that does not parse or that holds a wildcard. */
export function compilePath(source: string): Path {
  const { steps, fromRoot } = parse(source);
  if (steps.includes(EVERY)) fail(source, 'a wildcard is allowed in `each` only');
  const plain = steps as (string | number)[];
  const only = plain.length === 1 ? plain[0] : undefined;
  return {
    source,
    fromRoot,
    name: plain.join('.'),
    get: only === undefined ? (value) => walk(value, plain) : (value) => step(value, only),
  };
}

export interface Part {
  readonly value: unknown;
  /** The key or index that the last wildcard stood for. */
  readonly key: string;
  /** What the wildcard before it stood for; empty where there is only one. */
  readonly parentKey: string;
}

/** Compiles `each`: a path with `*` or `[*]` for every element of an object or array (`ZbReceived.*`, `tags[*]`). */
export function compileEach(source: string): (value: unknown, limit: number) => readonly Part[] | undefined {
  const { steps } = parse(source);
  const all: readonly Step[] = steps.includes(EVERY) ? steps : [...steps, EVERY];
  return (value, limit) => {
    const found: Part[] = [];
    return collect(value, all, 0, { key: '', parentKey: '' }, found, limit) ? found : undefined;
  };
}

/** False where there are more parts than the limit. */
function collect(
  value: unknown,
  steps: readonly Step[],
  at: number,
  keys: Omit<Part, 'value'>,
  out: Part[],
  limit: number,
): boolean {
  if (at === steps.length) {
    out.push({ value, ...keys });
    return out.length <= limit;
  }
  const next = steps[at]!;
  if (next !== EVERY) {
    const inner = step(value, next);
    return inner === undefined || collect(inner, steps, at + 1, keys, out, limit);
  }
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return true;
  for (const name of Object.keys(value)) {
    const below = { key: name, parentKey: keys.key };
    if (!collect((value as Record<string, unknown>)[name], steps, at + 1, below, out, limit)) return false;
  }
  return true;
}

function walk(value: unknown, steps: readonly (string | number)[]): unknown {
  let current = value;
  for (const each of steps) {
    current = step(current, each);
    if (current === undefined) return undefined;
  }
  return current;
}

function step(value: unknown, name: string | number): unknown {
  if (value === null || typeof value !== 'object') return undefined;
  return Object.hasOwn(value, name) ? (value as Record<string | number, unknown>)[name] : undefined;
}

function parse(source: string): { steps: Step[]; fromRoot: boolean } {
  const steps: Step[] = [];
  const token = /\.?\*|\[\*\]|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]|\.?([^.[\]*'"]+)/y;
  const fromRoot = source.startsWith('$');
  let at = fromRoot ? 1 : 0;
  while (at < source.length) {
    token.lastIndex = at;
    const found = token.exec(source);
    if (found === null) fail(source, `cannot be read from character ${at + 1} on`);
    const [text, index, single, double, name] = found!;
    if (name !== undefined && !text.startsWith('.') && steps.length > 0) {
      fail(source, `a dot is missing before ${JSON.stringify(name)}`);
    }
    if (text.endsWith('*') || text === '[*]') steps.push(EVERY);
    else if (index !== undefined) steps.push(Number(index));
    else steps.push(name ?? (single ?? double ?? '').replaceAll(/\\(.)/g, '$1'));
    at = token.lastIndex;
  }
  if (steps.length === 0 && !fromRoot) fail(source, 'is empty');
  return { steps, fromRoot };
}

function fail(source: string, why: string): never {
  throw new FleetcastError('CONFIG_INVALID', `path ${JSON.stringify(source)}: ${why}`, { details: { path: source } });
}
