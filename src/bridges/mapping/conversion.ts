import { FleetcastError } from '../../errors.ts';
import { converter } from '../units.ts';
import type { UnitConfig } from './config.ts';
import { globs } from './globs.ts';
import { compilePath } from './path.ts';
import { excerpt, Reject } from './reject.ts';

/** Converts a value of a quantity. Throws {@link Reject} `unknown-unit`. */
export type Conversion = (quantity: string, value: number, root: unknown, part: unknown) => number;

/** @throws CONFIG_INVALID for units that do not belong together. */
export function compileUnits(config: Readonly<Record<string, UnitConfig>>): Conversion {
  const rules = Object.entries(config).map(([name, { from, path: source, to }]) => {
    const fixed = from === undefined ? undefined : converter(from, to);
    if (from !== undefined && fixed === undefined) {
      throw new FleetcastError('CONFIG_INVALID', `${name}: ${from} cannot be turned into ${to}`);
    }
    return { matches: globs([name])!, fixed, path: source === undefined ? undefined : compilePath(source), to };
  });
  const known = new Map<string, ((value: number) => number) | undefined>();
  const named = (unit: string, to: string) => {
    const key = `${unit}\u0000${to}`;
    if (known.has(key)) return known.get(key);
    const found = converter(unit, to);
    if (known.size < 1000) known.set(key, found);
    return found;
  };

  return (quantity, value, root, part) => {
    const rule = rules.find((each) => each.matches(quantity));
    if (rule === undefined) return value;
    const unit = rule.path?.get(rule.path.fromRoot ? root : part);
    if (typeof unit !== 'string' || unit === '') return rule.fixed === undefined ? value : rule.fixed(value);
    const convert = named(unit, rule.to);
    if (convert === undefined) {
      throw new Reject(
        'unknown-unit',
        `${excerpt(quantity)} is in ${excerpt(unit)}, which is not turned into ${rule.to}`,
      );
    }
    return convert(value);
  };
}
