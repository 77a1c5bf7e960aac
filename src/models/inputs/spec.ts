import { FleetcastError } from '../../errors.ts';
import { CALENDAR, type CalendarInput } from './calendar.ts';

/** A number that a device has once and for all, standardised over the devices of the training. */
export interface StaticInput {
  readonly name: string;
  readonly mean: number;
  readonly deviation: number;
}

/** What a model sees beside the series that it forecasts. */
export interface ModelInputs {
  /** Quantities of the same device whose windows it sees, in its order. One that a device lacks is masked. */
  readonly quantities: readonly string[];
  /** Quantities that it forecasts; empty for all. */
  readonly targets: readonly string[];
  readonly calendar: readonly CalendarInput[];
  readonly statics: readonly StaticInput[];
}

export const INPUT_LIMITS = { quantities: 32, statics: 64, name: 256 } as const;

/** The text that settings and artefacts carry: '' for a model that sees its own series alone. */
export function writeInputs({ quantities, targets, calendar, statics }: ModelInputs): string {
  if (quantities.length + calendar.length + statics.length + targets.length === 0) return '';
  return JSON.stringify({ quantities, targets, calendar, statics });
}

/** @throws MODEL_INVALID for a text that {@link writeInputs} does not write */
export function readInputs(text: string): ModelInputs | undefined {
  if (text === '') return undefined;
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch (cause) {
    throw new FleetcastError('MODEL_INVALID', 'inputs: no JSON', { cause, details: { field: 'inputs' } });
  }
  if (typeof found !== 'object' || found === null) throw invalid('', 'an object');
  const { quantities, targets, calendar, statics } = found as Record<string, unknown>;
  return {
    quantities: names('quantities', quantities, INPUT_LIMITS.quantities),
    targets: names('targets', targets, INPUT_LIMITS.quantities),
    calendar: names('calendar', calendar, CALENDAR.length).map((name) => {
      const known = CALENDAR.find((one) => one === name);
      if (known === undefined) throw invalid('calendar', CALENDAR.join(' or '));
      return known;
    }),
    statics: list('statics', statics, INPUT_LIMITS.statics).map((one) => {
      const { name, mean, deviation } = (one ?? {}) as Partial<StaticInput>;
      if (!isName(name) || !Number.isFinite(mean) || !(deviation! >= 0))
        throw invalid('statics', 'name, mean, deviation');
      return { name, mean: mean!, deviation: deviation! };
    }),
  };
}

function names(field: string, value: unknown, most: number): string[] {
  const all = list(field, value, most);
  if (!all.every(isName) || new Set(all).size !== all.length) throw invalid(field, 'different names');
  return all as string[];
}

function list(field: string, value: unknown, most: number): unknown[] {
  if (!Array.isArray(value) || value.length > most) throw invalid(field, `a list of at most ${most}`);
  return value;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= INPUT_LIMITS.name;
}

function invalid(field: string, expected: string): FleetcastError {
  const path = field === '' ? 'inputs' : `inputs.${field}`;
  return new FleetcastError('MODEL_INVALID', `${path}: expected ${expected}`, { details: { field: path } });
}
