import type { PartConfig, RuleConfig } from '../mapping/config.ts';
import { parseTopicFilter } from '../mapping/topic-filter.ts';
import type { Sample } from './collector.ts';
import { addFields, type Field, isQuantity, type TimeField, timeField } from './fields.ts';
import { type Kind, kindOf } from './payload-kind.ts';

export interface FoundRule {
  readonly rule: RuleConfig;
  readonly time: TimeField | undefined;
  readonly notes: readonly string[];
}

interface Group {
  readonly topics: string[][];
  kind: Kind;
  readonly fields: Map<string, Field>;
  readonly seen: Set<string>;
}

/** Rules for messages that are of no family that is known: by the form of their topics and payloads. */
export function findRules(samples: readonly Sample[]): readonly FoundRule[] {
  const groups = new Map<string, Group>();
  for (const { topic, payload, arrival } of samples) {
    const kind = kindOf(payload);
    if (kind === undefined) continue;
    const levels = topic.split('/');
    // The first level tells applications apart; the rest is left to the comparison of the topics.
    // Numbers, some of them with a unit, are one kind: the format that reads both.
    const form = kind.shape === 'scalar' ? '' : JSON.stringify(kind.format);
    const key = `${levels[0]}|${levels.length}|${form}|${kind.shape}`;
    const group: Group = groups.get(key) ?? { topics: [], kind, fields: new Map(), seen: new Set() };
    groups.set(key, group);
    if (kind.format === 'text') group.kind = kind;
    if (!group.seen.has(topic)) {
      group.seen.add(topic);
      group.topics.push(levels);
    }
    for (const part of partsOf(kind)) addFields(group.fields, part, arrival);
  }
  const all = [...groups.values()];
  return all
    .flatMap((group) => rulesOf(group, all))
    .sort((a, b) => specificity(b.rule.topic) - specificity(a.rule.topic));
}

function partsOf({ shape, value }: Kind): readonly unknown[] {
  return shape === 'list' ? (value as unknown[]).slice(0, 100) : [value];
}

/** Most levels that are written out where wildcards would take another group's messages as well. */
const MAX_WRITTEN_OUT = 20;

/** One rule, or one for each last level where one for all would also take messages of another kind. */
function rulesOf(group: Group, all: readonly Group[]): FoundRule[] {
  const [found] = ruleOf(group);
  if (found === undefined) return [];
  const filter = parseTopicFilter(found.rule.topic);
  const takesOthers = all.some(
    (other) => other !== group && other.topics.some((levels) => filter.match(levels.join('/')) !== undefined),
  );
  const lasts = new Set(group.topics.map((levels) => levels.at(-1)!));
  if (!takesOthers || lasts.size > MAX_WRITTEN_OUT) return [found];
  return [...lasts].flatMap((last) =>
    ruleOf({ ...group, topics: group.topics.filter((levels) => levels.at(-1) === last) }, true),
  );
}

/** @param written the last level is written out. */
function ruleOf(group: Group, written = false): FoundRule[] {
  const { topics, kind, fields } = group;
  const scalar = kind.shape === 'scalar';
  const names = nameLevels(topics, scalar, written);
  const topic = topics[0]!.map((level, i) => (names[i] === undefined ? level : `+${names[i]}`)).join('/');
  const found = names.filter((name): name is string => name !== undefined && name !== 'quantity');
  const device = found.length > 0 ? found.map((name) => `{${name}}`).join('/') : deviceText(topics[0]!, scalar);
  const notes: string[] = [];
  const time = scalar ? undefined : timeField(fields.values());
  if (kind.format === 'csv') notes.push('columns have no names: name them with `format: {type: csv, columns: […]}`');
  if (time?.needsZone === true) notes.push(`${time.path} says no zone: set time.zone, or the arrival counts`);
  const base = {
    topic,
    ...(kind.format === 'json' ? {} : { format: kind.format }),
    ...(device === '{device}' ? {} : { device }),
  };
  if (scalar) {
    const quantity = names.includes('quantity') ? '{quantity}' : (topics[0]!.at(-1) ?? 'value');
    if (kind.format === 'text') notes.push('numbers with units as text: add `units` to convert them');
    return [{ rule: { ...base, values: { [quantity]: { path: 'value', lenient: true } } }, time, notes }];
  }
  const inside = inPart(kind, fields);
  const quantities = [...fields.values()].filter((field) => isQuantity(field) && field.path !== time?.path);
  if (quantities.length === 0) return [];
  const others = [...fields.values()].filter((field) => field.numbers + field.numericTexts > 0 && !isQuantity(field));
  const rule: RuleConfig = {
    ...base,
    ...inside,
    ...(time === undefined ? {} : { time: { path: time.path, format: time.format, lenient: true } }),
    rest: 'numbers',
    ...(quantities.some((field) => field.numericTexts > 0) ? { numericText: true } : {}),
    ...(others.length === 0 ? {} : { exclude: others.map((field) => field.name) }),
  };
  return [{ rule, time, notes }];
}

/** Lists: each entry is a part; line protocol keeps its values under `fields` and its time beside them. */
function inPart(kind: Kind, fields: ReadonlyMap<string, Field>): PartConfig {
  if (kind.format === 'line-protocol') {
    const tag = ['tags.device', 'tags.sensor', 'tags.host', 'tags.id', 'tags.name'].find((path) => fields.has(path));
    return { each: '*', under: 'fields', ...(tag === undefined ? {} : { device: `{${tag}}` }) };
  }
  return kind.shape === 'list' ? { each: '*' } : {};
}

/** Names of the wildcard at each level: those that differ among the topics; the last of a bare value is its quantity. */
function nameLevels(topics: readonly string[][], scalar: boolean, written: boolean): readonly (string | undefined)[] {
  const count = topics[0]!.length;
  const varying = Array.from({ length: count }, (_, i) => new Set(topics.map((levels) => levels[i])).size > 1);
  const wordy = topics.every((levels) => /^[A-Za-z][A-Za-z_ .-]*\d{0,2}$/.test(levels.at(-1)!));
  const names: (string | undefined)[] = Array(count).fill(undefined);
  if (scalar && count > 1 && wordy && !written) names[count - 1] = 'quantity';
  const rest = varying.flatMap((differs, i) => (differs && names[i] === undefined ? [i] : []));
  // A single topic: what stands last, before the quantity, is most likely the device.
  if (rest.length === 0 && count > 1) {
    const at = names[count - 1] === 'quantity' || written ? count - 2 : count - 1;
    if (at > 0) rest.push(at);
  }
  rest.forEach((at, i) => {
    names[at] = i === rest.length - 1 ? 'device' : `level${at + 1}`;
  });
  return names;
}

function deviceText(levels: readonly string[], scalar: boolean): string {
  const own = scalar && levels.length > 1 ? levels.slice(0, -1) : levels;
  return own.join('/').replaceAll(/[{}]/g, '_');
}

function specificity(filter: string): number {
  return filter.split('/').filter((level) => !level.startsWith('+')).length * 100 + filter.split('/').length;
}
