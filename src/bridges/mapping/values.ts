import { FleetcastError } from '../../errors.ts';
import { DECIMAL } from '../formats/text.ts';
import type { MappingLimits, PartConfig, ValueConfig } from './config.ts';
import { globs } from './globs.ts';
import { compilePath, type Path } from './path.ts';
import { excerpt, Reject } from './reject.ts';

export interface CompiledValue {
  readonly quantity: string;
  readonly path: Path;
  /** The number, or undefined where it is missing and may be. Throws {@link Reject}. */
  read(root: unknown, part: unknown): number | undefined;
}

export function compileValue(quantity: string, config: string | ValueConfig): CompiledValue {
  const options: ValueConfig = typeof config === 'string' ? { path: config } : config;
  if (quantity === '' || quantity === '__proto__') {
    throw new FleetcastError('CONFIG_INVALID', `${JSON.stringify(quantity)} cannot be the name of a quantity`);
  }
  const path = compilePath(options.path);
  const { scale = 1, offset = 0, states } = options;
  return {
    quantity,
    path,
    read: (root, part) => {
      const found = path.get(path.fromRoot ? root : part);
      if (found === undefined || found === null) {
        if (options.optional === true || found === null) return undefined;
        throw new Reject('missing-field', `no ${quantity} at ${options.path}`);
      }
      const state = typeof found === 'string' || typeof found === 'boolean' ? states?.[String(found)] : undefined;
      const number = state ?? toNumber(found, options.numericText ?? false, states !== undefined);
      if (number === undefined || Number.isNaN(number)) {
        if (options.lenient === true) return undefined;
        throw new Reject(
          Number.isNaN(number) ? 'not-finite' : 'not-a-number',
          `${quantity} at ${options.path} is ${excerpt(found)}, not a number`,
        );
      }
      const value = scale === 1 && offset === 0 ? number : number * scale + offset;
      if (!Number.isFinite(value)) throw new Reject('not-finite', `${quantity} at ${options.path} is ${value}`);
      return value;
    },
  };
}

function toNumber(value: unknown, text: boolean, booleans: boolean): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  if (text && typeof value === 'string' && DECIMAL.test(value.trim())) return Number(value);
  if (booleans && typeof value === 'boolean') return value ? 1 : 0;
  return undefined;
}

/** Told of each field that `rest: numbers` has found and that is no number. */
export type OnLeftOut = (name: string, value: unknown) => void;

/**
 * Takes every number below a place, named by its path (`BME280.Temperature`). `taken` are the paths that the mapping has
 * used already.
 *
 * @returns a function that fills `values` and returns how many it has added; it throws {@link Reject}.
 */
export function compileRest(
  config: PartConfig,
  mode: 'strict' | 'numbers',
  taken: readonly Path[],
  limits: MappingLimits,
  onLeftOut?: OnLeftOut,
): (part: unknown, values: Record<string, number>) => number {
  const under = config.under === undefined ? undefined : compilePath(config.under);
  // What stands at a place that is used is left out whole, and what stands beside it is not.
  const skip = new Set(under === undefined ? taken.map((path) => path.name) : []);
  const excluded = globs(config.exclude);
  const included = config.include === undefined ? undefined : globs(config.include);
  const text = config.numericText ?? false;
  const booleans =
    typeof config.booleans === 'object' ? (globs(config.booleans) ?? (() => false)) : () => config.booleans === true;
  const skipWith = config.skipWith ?? [];

  return (part, values) => {
    const start = under === undefined ? part : under.get(part);
    if (start === undefined || start === null) {
      if (mode === 'strict') throw new Reject('missing-field', `nothing at ${config.under}`);
      return 0;
    }
    if (typeof start !== 'object') {
      if (mode === 'numbers') {
        onLeftOut?.('', start);
        return 0;
      }
      throw new Reject('not-a-number', `${excerpt(start)} holds no named values`);
    }
    let count = 0;
    const visit = (value: unknown, name: string, depth: number): void => {
      if (value === null || (depth > 0 && skip.has(name)) || excluded?.(name) === true) return;
      if (typeof value === 'object' && !(value instanceof Uint8Array) && !(value instanceof Date)) {
        if (depth > 0 && skipWith.some((field) => Object.hasOwn(value, field))) return;
        if (depth >= limits.maxDepth) throw new Reject('too-deep', `nested more than ${limits.maxDepth} levels`);
        for (const key of Object.keys(value)) {
          visit((value as Record<string, unknown>)[key], name === '' ? key : `${name}.${key}`, depth + 1);
        }
        return;
      }
      if (included?.(name) === false) return;
      const number = toNumber(value, text, typeof value === 'boolean' && booleans(name));
      if (number === undefined || Number.isNaN(number)) {
        if (mode === 'numbers') {
          onLeftOut?.(name, value);
          return;
        }
        throw new Reject('not-a-number', `${excerpt(name)} is ${excerpt(value)}, not a number`);
      }
      if (!Number.isFinite(number)) throw new Reject('not-finite', `${excerpt(name)} is ${number}`);
      if (name === '' || name === '__proto__') throw new Reject('bad-quantity-name', `${excerpt(name)} is no name`);
      values[name] = number;
      if (++count > limits.maxValues) {
        throw new Reject('too-many-values', `more than ${limits.maxValues} values in one reading`);
      }
    };
    visit(start, '', 0);
    return count;
  };
}
