import type { MappingConfig, PresetConfig, RuleConfig } from '../mapping/config.ts';
import { compileMapping } from '../mapping/mapping.ts';
import { withCodec } from './codec.ts';
import type { Sample } from './collector.ts';
import { candidates } from './families.ts';
import { type TimeField, unitOf } from './fields.ts';
import { findRules } from './generic.ts';

export interface FoundEntry {
  readonly entry: PresetConfig | RuleConfig;
  /** For people: the name of the preset, or the topic filter. */
  readonly name: string;
  readonly messages: number;
  /** 0 to 1: the share of its messages that it reads or rightly leaves out. */
  readonly confidence: number;
  readonly time: TimeField | undefined;
  readonly notes: readonly string[];
}

export interface FoundQuantity {
  readonly name: string;
  readonly count: number;
  readonly min: number;
  readonly max: number;
  /** A guess by name and range. */
  readonly unit: string | undefined;
  readonly unitConfidence: number;
}

export interface FoundDevice {
  readonly device: string;
  /** Name of the entry that reads it. */
  readonly from: string;
  readonly readings: number;
  /** Median time between its messages, or undefined for fewer than two. */
  readonly intervalMs: number | undefined;
  readonly quantities: readonly FoundQuantity[];
}

export interface Discovery {
  readonly messages: number;
  readonly topics: number;
  readonly entries: readonly FoundEntry[];
  readonly devices: readonly FoundDevice[];
  /** What the mapping below makes of the messages: readings, and refusals by reason. */
  readonly outcome: Readonly<Record<string, number>>;
  /** Topics that nothing reads. */
  readonly unread: readonly string[];
  readonly mapping: MappingConfig;
}

/**
 * Understands what was heard: families of devices by their presets, the rest by the form of topics and payloads. The
 * mapping that comes out has been tried on all of it, and the numbers say how well it does.
 */
export function discover(samples: readonly Sample[]): Discovery {
  const entries: FoundEntry[] = [];
  let left: readonly Sample[] = samples;
  for (const candidate of candidates(samples)) {
    const { taken, others, good } = claim(candidate, left);
    // Half of its own messages misread: the family was a wrong guess.
    if (taken === 0 || good / taken < 0.5) continue;
    const { entry, notes } = withCodec(candidate, left);
    entries.push(describeEntry(entry, entry.preset, taken, good, undefined, [...zoneNote(entry, left), ...notes]));
    left = others;
  }
  for (const { rule, time, notes } of findRules(left)) {
    const { taken, others, good } = claim(rule, left);
    if (taken === 0 || good === 0) continue;
    entries.push(describeEntry(rule, rule.topic, taken, good, time, notes));
    left = others;
  }
  const rules = entries.map(({ entry }) => entry);
  const mapping: MappingConfig = { rules: rules.length > 0 ? rules : [{ topic: '#', ignore: true }] };
  return {
    messages: samples.length,
    topics: new Set(samples.map(({ topic }) => topic)).size,
    entries,
    ...result(entries, samples),
    unread: [...new Set(left.map(({ topic }) => topic))].slice(0, 1000),
    mapping,
  };
}

/** Which messages an entry is for, and how many of them it gets right. */
function claim(entry: PresetConfig | RuleConfig, samples: readonly Sample[]) {
  const mapping = compileMapping({ rules: [entry] });
  const others: Sample[] = [];
  let taken = 0;
  let good = 0;
  for (const sample of samples) {
    const { readings, rejected } = mapping.map(sample.topic, sample.payload, sample.arrival);
    if (rejected.some((each) => each.reason === 'no-mapping')) {
      others.push(sample);
      continue;
    }
    taken++;
    // Before its birth was heard, an alias of Sparkplug is unknown through no fault of the mapping.
    const fine = rejected.every(({ reason }) => ['no-values', 'ignored', 'unknown-alias'].includes(reason));
    if (readings.length > 0 || fine) good++;
  }
  return { taken, others, good };
}

function describeEntry(
  entry: PresetConfig | RuleConfig,
  name: string,
  messages: number,
  good: number,
  time: TimeField | undefined,
  notes: readonly string[],
): FoundEntry {
  // A handful of messages proves less than many.
  const confidence = Math.round((good / messages) * (1 - 0.5 / (messages + 1)) * 100) / 100;
  return { entry, name, messages, confidence, time, notes };
}

/** A local time without a zone, with what its clock is ahead of UTC now, where the messages agree. */
function zoneNote(entry: PresetConfig, samples: readonly Sample[]): readonly string[] {
  if (entry.preset !== 'tasmota') return [];
  const ahead: number[] = [];
  for (const { topic, payload, arrival, retained } of samples) {
    if (!topic.endsWith('/SENSOR') && !/\/SENSOR\//.test(topic)) continue;
    const local = /"Time"\s*:\s*"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)"/.exec(Buffer.from(payload).toString('utf8'));
    if (local !== null && !retained) ahead.push(Date.parse(`${local[1]}Z`) - arrival);
  }
  const middle = median(ahead);
  if (middle === undefined) return [];
  const quarters = Math.round(middle / 900_000);
  const agree = Math.abs(middle - quarters * 900_000) < 120_000 && Math.abs(quarters) <= 56;
  const clock = agree ? `; the clocks show UTC${offsetText(quarters * 15)} now` : '';
  return [`the times say no zone${clock}: add \`zone\` to use them, or the arrival counts`];
}

function offsetText(minutes: number): string {
  if (minutes === 0) return '';
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${Math.floor(size / 60)}${size % 60 === 0 ? '' : `:${size % 60}`}`;
}

function median(numbers: readonly number[]): number | undefined {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}

function result(entries: readonly FoundEntry[], samples: readonly Sample[]): Pick<Discovery, 'devices' | 'outcome'> {
  const outcome: Record<string, number> = {};
  const devices = new Map<string, Gathered>();
  const mapped = entries.map(({ entry, name }) => ({ name, mapping: compileMapping({ rules: [entry] }) }));
  for (const { topic, payload, arrival, retained } of samples) {
    let read = { readings: [], rejected: [{ reason: 'no-mapping' }] } as Pick<
      ReturnType<(typeof mapped)[number]['mapping']['map']>,
      'readings'
    > & { rejected: readonly { reason: string }[] };
    let from = '';
    for (const { name, mapping } of mapped) {
      read = mapping.map(topic, payload, arrival);
      from = name;
      if (!read.rejected.some((each) => each.reason === 'no-mapping')) break;
    }
    for (const { reason } of read.rejected) outcome[reason] = (outcome[reason] ?? 0) + 1;
    for (const reading of read.readings) {
      outcome['readings'] = (outcome['readings'] ?? 0) + 1;
      const device = devices.get(reading.device) ?? {
        from,
        readings: 0,
        lastArrivals: new Map(),
        gaps: [],
        quantities: new Map(),
      };
      devices.set(reading.device, device);
      gather(device, reading.values, topic, retained ? undefined : arrival);
    }
  }
  return {
    outcome,
    devices: [...devices].map(([device, { from, readings, gaps, quantities }]) => ({
      device,
      from,
      readings,
      intervalMs: median(gaps),
      quantities: [...quantities].map(([name, { count, min, max }]) => {
        const unit = unitOf(name, min, max);
        return { name, count, min, max, unit: unit?.unit, unitConfidence: unit?.confidence ?? 0 };
      }),
    })),
  };
}

interface Gathered {
  readonly from: string;
  readings: number;
  /** By topic: a device with three topics does not send three times as often. */
  readonly lastArrivals: Map<string, number>;
  readonly gaps: number[];
  readonly quantities: Map<string, { count: number; min: number; max: number }>;
}

function gather(
  device: Gathered,
  values: Readonly<Record<string, number>>,
  topic: string,
  arrival: number | undefined,
): void {
  device.readings++;
  if (arrival !== undefined) {
    const last = device.lastArrivals.get(topic);
    if (last !== undefined && arrival > last) device.gaps.push(arrival - last);
    device.lastArrivals.set(topic, arrival);
  }
  for (const [name, value] of Object.entries(values)) {
    const before = device.quantities.get(name);
    if (before === undefined) device.quantities.set(name, { count: 1, min: value, max: value });
    else {
      before.count++;
      before.min = Math.min(before.min, value);
      before.max = Math.max(before.max, value);
    }
  }
}
