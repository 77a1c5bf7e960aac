import type { OnRest } from '../formats/bounds.ts';
import type { MappingLimits, PartConfig } from './config.ts';
import { compileUnits } from './conversion.ts';
import { compileInner } from './inner.ts';
import { compileEach, compilePath, type Path } from './path.ts';
import { Reject, type RejectReason } from './reject.ts';
import { compileTemplate, type TemplateInput } from './template.ts';
import { compileTime } from './time.ts';
import { compileRest, compileValue, type OnLeftOut } from './values.ts';
import { compileWhere } from './where.ts';

export interface MappedReading {
  readonly device: string;
  /** Event time. */
  readonly time: number;
  readonly values: Record<string, number>;
}

export interface Rejected {
  readonly reason: RejectReason;
  readonly message: string;
  /** The device, as far as it was known. */
  readonly device: string;
}

/** Adds what the parts of a decoded message hold to `readings` and `rejected`. Throws {@link Reject} for all of it. */
export type PartReader = (
  root: unknown,
  captures: ReadonlyMap<string, string>,
  arrival: number,
  readings: MappedReading[],
  rejected: Rejected[],
) => void;

/** @throws CONFIG_INVALID. */
export function compilePart(
  config: PartConfig,
  wildcards: readonly string[],
  limits: MappingLimits,
  onLeftOut?: OnLeftOut,
): PartReader {
  const deviceOf = compileTemplate(config.device ?? '{device}', wildcards);
  const each = config.each === undefined ? undefined : compileEach(config.each);
  const where = config.where === undefined ? undefined : compileWhere(config.where, wildcards);
  const inner = config.inner === undefined ? undefined : compileInner(config.inner, limits);
  const timeOf = compileTimeOf(config, limits);
  const fill = compileValues(config, timeOf.path, wildcards, limits, onLeftOut);

  const read = (
    input: TemplateInput,
    arrival: number,
    onDevice: (device: string) => void,
    onRest: OnRest,
  ): MappedReading => {
    const device = deviceOf(input);
    onDevice(device);
    const at = inner === undefined ? input : { ...input, part: inner(input.root, input.part, onRest) };
    const time = timeOf.read(at, arrival);
    const values: Record<string, number> = {};
    const count = fill(at, values);
    if (count === 0) throw new Reject('no-values', 'no field holds a number');
    if (count > limits.maxValues) throw new Reject('too-many-values', `${count} values; at most ${limits.maxValues}`);
    return { device, time, values };
  };

  return (root, captures, arrival, readings, rejected) => {
    const parts = each === undefined ? [{ value: root, key: '', parentKey: '' }] : each(root, limits.maxParts);
    if (parts === undefined) throw new Reject('too-many-parts', `more than ${limits.maxParts} parts in one message`);
    for (const { value, key, parentKey } of parts) {
      const input: TemplateInput = { captures, root, part: value, key, parentKey };
      if (where !== undefined && !where(input)) continue;
      let device = '';
      const refuse = ({ reason, message }: Reject): void => {
        rejected.push({ reason, message, device });
      };
      const onDevice = (known: string): void => {
        device = known;
      };
      try {
        readings.push(read(input, arrival, onDevice, refuse));
      } catch (error) {
        if (!(error instanceof Reject)) throw error;
        refuse(error);
      }
    }
  };
}

function compileTimeOf(config: PartConfig, limits: MappingLimits) {
  const { time: options } = config;
  if (options === undefined) return { path: undefined, read: (_: TemplateInput, arrival: number) => arrival };
  const path = compilePath(options.path);
  const { optional = false, lenient = false } = options;
  // A zone is needed at compile time for patterns only: where the arrival may stand in, a missing one is no mistake.
  const parse = compileTime(options.format, options.zone);
  const right = (time: number, arrival: number) => time >= limits.earliestTime && time <= arrival + limits.maxAheadMs;
  return {
    path,
    read: ({ root, part }: TemplateInput, arrival: number): number => {
      const found = path.get(path.fromRoot ? root : part);
      if (found === undefined || found === null) {
        if (optional || lenient) return arrival;
        throw new Reject('missing-field', `the time is missing: nothing at ${JSON.stringify(path.source)}`);
      }
      if (!lenient) return parse(found);
      try {
        const time = parse(found);
        return right(time, arrival) ? time : arrival;
      } catch (error) {
        if (error instanceof Reject) return arrival;
        throw error;
      }
    },
  };
}

/** Fills in named values and the rest; returns how many. Throws {@link Reject}. */
function compileValues(
  config: PartConfig,
  timePath: Path | undefined,
  wildcards: readonly string[],
  limits: MappingLimits,
  onLeftOut: OnLeftOut | undefined,
): (input: TemplateInput, values: Record<string, number>) => number {
  const wanted = Object.entries(config.values ?? {}).map(([quantity, value]) => ({
    ...compileValue(quantity, value),
    name: quantity.includes('{') ? compileTemplate(quantity, wildcards) : () => quantity,
  }));
  const mode = config.rest ?? (wanted.length === 0 ? 'numbers' : 'ignore');
  const taken = [timePath, ...wanted.map((value) => value.path)].filter((path) => path !== undefined);
  const rest = mode === 'ignore' ? undefined : compileRest(config, mode, taken, limits, onLeftOut);
  const prefix = config.prefix === undefined ? undefined : compileTemplate(config.prefix, wildcards);
  const convert = config.units === undefined ? undefined : compileUnits(config.units);

  return (input, values) => {
    const { root, part } = input;
    let count = 0;
    for (const each of wanted) {
      const value = each.read(root, part);
      if (value === undefined) continue;
      set(values, each.name(input), value);
      count++;
    }
    if (rest !== undefined && prefix === undefined) count += rest(part, values);
    else if (rest !== undefined) {
      const found: Record<string, number> = {};
      count += rest(part, found);
      const before = prefix!(input);
      for (const name of Object.keys(found)) set(values, before + name, found[name]!);
    }
    if (convert !== undefined) {
      for (const name of Object.keys(values)) values[name] = convert(name, values[name]!, root, part);
    }
    return count;
  };
}

function set(values: Record<string, number>, name: string, value: number): void {
  if (name === '' || name === '__proto__') throw new Reject('bad-quantity-name', `${JSON.stringify(name)} is no name`);
  values[name] = value;
}
