import type { StoreCodec } from './store.ts';

/** What JSON cannot say, by the names under which it is kept. */
const SPECIAL: Readonly<Record<string, unknown>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  '-0': -0,
  undefined: undefined,
};

/** Their contents are no properties. Dates and bytes are found by other marks. */
const EXOTIC = [Map, Set, WeakMap, WeakSet, ArrayBuffer, RegExp, Promise];

/** Comes before the text where it has special values: no JSON begins with it. */
const MARK = 1;

type Path = readonly (string | number)[];
type Patch = readonly [path: Path, name: string];

/**
 * Any JSON value, and numbers to the bit: NaN, infinities and -0 as well. A property that is undefined is left out, and an
 * object of a class comes back as a plain one with its properties.
 * @param migrate reads the value of an older version.
 * @throws TypeError at encoding what would not come back as it was (a Map, a Date, bytes, a BigInt): an operator
 * would go on with something else after a restart. Use a codec of your own for it.
 */
export function jsonCodec<V>(version = 1, migrate?: (old: unknown, version: number) => V): StoreCodec<V> {
  const codec: StoreCodec<V> = {
    version,
    encode,
    decode: (bytes) => decode(bytes) as V,
  };
  if (migrate !== undefined) codec.migrate = (bytes, from) => migrate(decode(bytes), from);
  return codec;
}

function encode(value: unknown): Uint8Array {
  const patches: Patch[] = [];
  collect(value, [], patches);
  if (patches.length === 0) return Buffer.from(JSON.stringify(value), 'utf8');
  return Buffer.from(`\u0001${JSON.stringify([value ?? null, patches])}`, 'utf8');
}

function decode(bytes: Uint8Array): unknown {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer[0] !== MARK) return JSON.parse(buffer.toString('utf8'));
  const holder = JSON.parse(buffer.toString('utf8', 1)) as [unknown, Patch[]];
  for (const [path, name] of holder[1]) {
    const steps: Path = [0, ...path];
    let at = holder as unknown as Record<string | number, unknown>;
    for (const step of steps.slice(0, -1)) at = at[step] as Record<string | number, unknown>;
    at[steps.at(-1)!] = SPECIAL[name];
  }
  return holder[0];
}

/** Finds the special values. */
function collect(value: unknown, path: (string | number)[], patches: Patch[]): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return;
    case 'number':
      if (!Number.isFinite(value)) patches.push([[...path], String(value)]);
      else if (Object.is(value, -0)) patches.push([[...path], '-0']);
      return;
    case 'undefined':
      patches.push([[...path], 'undefined']);
      return;
    case 'object':
      if (value !== null) collectWithin(value, path, patches);
      return;
    default:
      refuse(typeof value, path);
  }
}

function collectWithin(value: object, path: (string | number)[], patches: Patch[]): void {
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      path.push(i);
      collect(value[i], path, patches);
      path.pop();
    }
    return;
  }
  if (EXOTIC.some((type) => value instanceof type) || ArrayBuffer.isView(value) || 'toJSON' in value) {
    refuse(`an object of ${value.constructor?.name}`, path);
  }
  for (const [name, of] of Object.entries(value)) {
    if (of === undefined) continue;
    path.push(name);
    collect(of, path, patches);
    path.pop();
  }
}

function refuse(what: string, path: Path): never {
  const where = path.length === 0 ? 'the value' : path.join('.');
  throw new TypeError(`${where} is ${what}, which JSON does not give back; the state needs a codec of its own`);
}
