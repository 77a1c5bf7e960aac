import { Reject } from '../mapping/reject.ts';
import { compileTime, type TimeFormat } from '../mapping/time.ts';
import { dimensionOf } from '../units.ts';

/** What one place of a payload holds over many messages. */
export interface Field {
  /** As a path of the mapping. */
  readonly path: string;
  readonly name: string;
  numbers: number;
  numericTexts: number;
  texts: number;
  min: number;
  max: number;
  /** Some values with the arrival of their message. */
  readonly examples: { readonly value: unknown; readonly arrival: number }[];
}

export interface TimeField {
  readonly path: string;
  readonly format: TimeFormat;
  /** It says no zone: the arrival counts until the mapping names one. */
  readonly needsZone: boolean;
  /** 0 to 1: how many values read as a time near their arrival. */
  readonly confidence: number;
}

const MAX_FIELDS = 500;
const MAX_EXAMPLES = 50;

/** Adds the plain values of one decoded part to the fields, by path. */
export function addFields(fields: Map<string, Field>, part: unknown, arrival: number): void {
  const visit = (value: unknown, path: string, name: string, depth: number): void => {
    if (value === null || value === undefined) return;
    if (typeof value === 'object' && !(value instanceof Date) && !(value instanceof Uint8Array)) {
      if (depth >= 8) return;
      for (const key of Object.keys(value)) {
        const plain = /^[^.[\]*'"$]+$/.test(key);
        const step = plain ? (path === '' ? key : `.${key}`) : `['${key.replaceAll(/['\\]/g, '\\$&')}']`;
        visit((value as Record<string, unknown>)[key], path + step, name === '' ? key : `${name}.${key}`, depth + 1);
      }
      return;
    }
    let field = fields.get(path);
    if (field === undefined) {
      if (fields.size >= MAX_FIELDS || path === '') return;
      field = { path, name, numbers: 0, numericTexts: 0, texts: 0, min: Infinity, max: -Infinity, examples: [] };
      fields.set(path, field);
    }
    const number = typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : undefined;
    if (number !== undefined) {
      field.numbers++;
      field.min = Math.min(field.min, number);
      field.max = Math.max(field.max, number);
    } else if (typeof value === 'string' && /^\s*[+-]?\d+(\.\d+)?\s*$/.test(value)) field.numericTexts++;
    else field.texts++;
    if (field.examples.length < MAX_EXAMPLES) field.examples.push({ value, arrival });
  };
  visit(part, '', '', 0);
}

export const TIME_NAME =
  /(^|[._-])(time|timestamp|ts|datetime|date|epoch|unixtime|utc|measured|measuredat|sampled|recorded|created|received|at|when|t)(_?(ms|s|us|ns|utc|at))?$/i;
const NEAR = 400 * 86_400_000;

/** The field that is most likely the time of the measurement, or undefined. */
export function timeField(fields: Iterable<Field>): TimeField | undefined {
  let best: (TimeField & { readonly score: number }) | undefined;
  for (const field of fields) {
    const named = TIME_NAME.test(field.name);
    const found = readsAsTime(field);
    if (found === undefined || found.share < 0.8 || (!named && (found.format !== 'iso' || found.needsZone))) continue;
    // Of several the nearest to the arrival is the measurement's own, and the plainest name wins a draw.
    const score =
      found.share -
      Math.min(0.3, Math.log10(1 + found.distance / 60_000) / 20) +
      (named ? 0.2 : 0) -
      field.name.length / 1000;
    if (best !== undefined && best.score >= score) continue;
    const confidence = Math.round(Math.min(1, found.share * (named ? 1 : 0.7)) * 100) / 100;
    best = { path: field.path, format: found.format, needsZone: found.needsZone, confidence, score };
  }
  if (best === undefined) return undefined;
  const { score: _, ...result } = best;
  return result;
}

function readsAsTime(
  field: Field,
): { format: TimeFormat; needsZone: boolean; share: number; distance: number } | undefined {
  const parse = compileTime('auto', 'UTC');
  let right = 0;
  let distance = 0;
  let local = 0;
  const formats = new Map<TimeFormat, number>();
  for (const { value, arrival } of field.examples) {
    let time: number;
    try {
      time = parse(value);
    } catch (error) {
      if (error instanceof Reject) continue;
      throw error;
    }
    if (Math.abs(time - arrival) > NEAR) continue;
    right++;
    distance += Math.abs(time - arrival);
    const number = Number(value);
    const format = Number.isNaN(number) || value instanceof Date ? 'iso' : epochOf(Math.abs(number));
    formats.set(format, (formats.get(format) ?? 0) + 1);
    if (format === 'iso' && typeof value === 'string' && !/(Z|z|[+-]\d\d(:?\d\d)?)$/.test(value.slice(10).trim()))
      local++;
  }
  if (right === 0) return undefined;
  const [format] = [...formats].sort((a, b) => b[1] - a[1])[0]!;
  return { format, needsZone: local > right / 2, share: right / field.examples.length, distance: distance / right };
}

function epochOf(size: number): TimeFormat {
  return size < 1e11 ? 'epoch-s' : size < 1e14 ? 'epoch-ms' : size < 1e17 ? 'epoch-us' : 'epoch-ns';
}

/** Fields that identify or count messages rather than measure. */
export const NO_QUANTITY =
  /(^|[._])(id|mac|eui|dev_?eui|imei|serial|serial_?no|seq|seqno|sequence|fcnt|f_?cnt|msg_?id|version|port|channel|uptime|crc|checksum)$/i;

export function isQuantity(field: Field): boolean {
  return field.numbers + field.numericTexts > field.texts && !NO_QUANTITY.test(field.name);
}

const SUFFIX = /(?:[_.-]|(?<=[a-z])(?=[A-Z]))([A-Za-z%°µ/0-9]{1,8})$/;
/** How units are written, where names can only hint at it. */
const WRITTEN: Readonly<Record<string, string>> = { c: '°C', C: '°C', f: '°F', F: '°F' };
/** Counters and flags, whatever they count. */
const NO_UNIT = /(count|counter|_ok|_low|status|state|index)$/i;
const BY_NAME: readonly (readonly [RegExp, string, number, number])[] = [
  [/^(?:t|temp.*)f$/i, '°F', -80, 270],
  [/temp|dew_?point|^t[cC]?$/i, '°C', -60, 130],
  [/hum(?!an)|^rh$|moisture/i, '%', 0, 100],
  [/batt?ery|^batt?$|^soc$|level_?pct/i, '%', 0, 100],
  [/press|baro/i, 'hPa', 300, 1100],
  [/press|baro/i, 'Pa', 30_000, 110_000],
  [/rssi|signal/i, 'dBm', -130, 0],
  [/co2|carbon_?dioxide/i, 'ppm', 200, 40_000],
  [/volt/i, 'V', 0, 1000],
  [/volt/i, 'mV', 1000, 5000],
  [/current|amps?$/i, 'A', -1000, 1000],
  [/power/i, 'W', -1e6, 1e6],
  [/energy/i, 'kWh', 0, 1e7],
  [/lux|illumin|lumin/i, 'lx', 0, 200_000],
];

/** The unit of a quantity by its name and range: a guess with its confidence, or undefined. */
export function unitOf(
  name: string,
  min: number,
  max: number,
): { readonly unit: string; readonly confidence: number } | undefined {
  const leaf = name.split(/[./]/).at(-1) ?? name;
  // wind_avg_km_h: a slash cannot stand in a name.
  const ratio = /_([A-Za-z]+)_([A-Za-z0-9]+)$/.exec(leaf);
  const joined = ratio === null ? '' : `${ratio[1]}/${ratio[2]}`;
  if (dimensionOf(joined) !== undefined) return { unit: joined, confidence: 0.9 };
  // `kWh`, `W`: the name is the unit.
  if (/[A-Z]/.test(leaf) && leaf.length <= 4 && dimensionOf(leaf) !== undefined) {
    return { unit: WRITTEN[leaf] ?? leaf, confidence: 0.6 };
  }
  const suffix = SUFFIX.exec(leaf)?.[1];
  if (
    suffix !== undefined &&
    suffix.length < leaf.length &&
    dimensionOf(suffix) !== undefined &&
    !/^(?:\d+|in)$/.test(suffix)
  ) {
    return { unit: WRITTEN[suffix] ?? suffix, confidence: 0.9 };
  }
  if (NO_UNIT.test(leaf)) return undefined;
  const found = BY_NAME.find(([pattern, , low, high]) => pattern.test(leaf) && min >= low && max <= high);
  return found === undefined ? undefined : { unit: found[1], confidence: 0.6 };
}
