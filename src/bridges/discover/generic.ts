import type { PartConfig, RuleConfig } from '../mapping/config.ts';
import { parseTopicFilter } from '../mapping/topic-filter.ts';
import type { Sample } from './collector.ts';
import { addFields, type Field, isQuantity, type TimeField, timeField } from './fields.ts';
import { type NamedList, namedListOf } from './named-list.ts';
import { PayloadDevices } from './payload-device.ts';
import { type Kind, kindOf } from './payload-kind.ts';
import { singleValueOf } from './single-value.ts';
import { isDataWord, isIdentifier, isWord, topicForm } from './topic-form.ts';

export interface FoundRule {
  readonly rule: RuleConfig;
  readonly time: TimeField | undefined;
  readonly notes: readonly string[];
}

interface Group {
  readonly topics: string[][];
  readonly peers: string[][];
  kind: Kind;
  /** JSON with one value and what belongs to it: the field of the value. */
  readonly single: string | undefined;
  readonly list: NamedList | undefined;
  readonly fields: Map<string, Field>;
  readonly devices: PayloadDevices;
  readonly seen: Set<string>;
}

/** Rules for messages that are of no family that is known: by the form of their topics and payloads. */
export function findRules(samples: readonly Sample[]): readonly FoundRule[] {
  const groups = new Map<string, Group>();
  const peers = new Map<string, string[][]>();
  const texts = new Map<string, string[]>();
  for (const { topic, payload, arrival } of samples) {
    const kind = kindOf(payload);
    const levels = topic.split('/');
    if (kind === undefined) {
      if (texts.size < 10_000) texts.set(topic, levels);
      continue;
    }
    const last = levels.at(-1)!;
    const list = kind.format === 'json' ? namedListOf(kind.value) : undefined;
    const wordy = levels.length > 1 && isWord(last) && !isDataWord(last);
    const single = list === undefined && wordy && kind.format === 'json' ? singleValueOf(kind.value) : undefined;
    const scalar = kind.shape === 'scalar';
    // Numbers, some of them with a unit, are one kind: the format that reads both.
    const form = scalar ? '' : JSON.stringify([kind.format, single, list]);
    // The first level tells applications apart; the rest is left to the comparison of the topics.
    const begin = levels.length > 1 && isIdentifier(levels[0]!) ? '+' : levels[0];
    const about = !scalar && single === undefined && isDataWord(last) ? last : '';
    const key = [begin, levels.length, form, kind.shape, about].join('|');
    const together = peers.get(begin!) ?? [];
    peers.set(begin!, together);
    const group: Group = groups.get(key) ?? newGroup(kind, single, list, together);
    groups.set(key, group);
    if (kind.format === 'text') group.kind = kind;
    if (!group.seen.has(topic)) {
      group.seen.add(topic);
      group.topics.push(levels);
      together.push(levels);
    }
    if (kind.shape === 'object') group.devices.add(topic, kind.value);
    else if (kind.format === 'json' && list === undefined) {
      for (const part of partsOf(kind, list)) group.devices.add(topic, part);
    }
    for (const part of partsOf(kind, list)) addFields(group.fields, part, arrival);
  }
  const all = [...groups.values()];
  return all
    .flatMap((group) => rulesOf(group, all, [...texts.values()]))
    .sort((a, b) => specificity(b.rule.topic) - specificity(a.rule.topic));
}

function newGroup(kind: Kind, single: string | undefined, list: NamedList | undefined, peers: string[][]): Group {
  return { topics: [], peers, kind, single, list, fields: new Map(), devices: new PayloadDevices(), seen: new Set() };
}

function partsOf({ shape, value }: Kind, list: NamedList | undefined): readonly unknown[] {
  if (shape === 'list') {
    const entries = (value as unknown[]).slice(0, 100);
    if (list === undefined) return entries;
    return entries.map((entry) => ({ ...(entry as object), [list.value]: undefined, [list.name]: undefined }));
  }
  if (list === undefined) return [value];
  // Beside the list only its time is of interest.
  const { [list.each.slice(0, -2)]: _, ...beside } = value as Record<string, unknown>;
  return [beside];
}

/** Most levels that are written out where wildcards would take another group's messages as well. */
const MAX_WRITTEN_OUT = 20;

/** One rule, or one for each last level where one for all would also take messages of another kind. */
function rulesOf(group: Group, all: readonly Group[], texts: readonly string[][]): FoundRule[] {
  const [found] = ruleOf(group, group.topics, texts);
  if (found === undefined) return [];
  const filter = parseTopicFilter(found.rule.topic);
  const takesOthers = all.some(
    (other) => other !== group && other.topics.some((levels) => filter.match(levels.join('/')) !== undefined),
  );
  const lasts = new Set(group.topics.map((levels) => levels.at(-1)!));
  if (!takesOthers || lasts.size > MAX_WRITTEN_OUT) return [found];
  return [...lasts].flatMap((last) =>
    ruleOf(
      group,
      group.topics.filter((levels) => levels.at(-1) === last),
      texts,
      true,
    ),
  );
}

/**
 * @param topics of the group that the rule is for; names of devices are those of all its topics, so that rules of one
 *   group agree
 * @param written the last level is written out.
 */
function ruleOf(group: Group, topics: readonly string[][], texts: readonly string[][], written = false): FoundRule[] {
  const { kind, fields, single, list } = group;
  const scalar = kind.shape === 'scalar' || single !== undefined;
  const { names, device: ofTopic, quantityAt } = topicForm(group.topics, group.peers, scalar, written);
  const inPayload = group.devices.field();
  // Below what the topic says: nobody can name the device of another.
  const device = inPayload === undefined ? ofTopic : `${ofTopic}/{${kind.shape === 'list' ? '' : '$.'}${inPayload}}`;
  const topic = topics[0]!.map((level, i) => (names[i] === undefined ? level : `+${names[i]}`)).join('/');
  const notes: string[] = [];
  const time = kind.shape === 'scalar' ? undefined : timeField(fields.values());
  if (kind.format === 'csv') notes.push('columns have no names: name them with `format: {type: csv, columns: […]}`');
  if (time?.needsZone === true) notes.push(`${time.path} says no zone: set time.zone, or the arrival counts`);
  const base = {
    topic,
    ...(kind.format === 'json' ? {} : { format: kind.format }),
    ...(device === '{device}' ? {} : { device }),
  };
  const timeIn = (before: string) =>
    time === undefined ? {} : { time: { path: `${before}${time.path}`, format: time.format, lenient: true } };
  if (scalar) {
    const quantity = names.includes('quantity') ? '{quantity}' : writtenQuantity(topics[0]!, names, quantityAt);
    if (kind.format === 'text') notes.push('numbers with units as text: add `units` to convert them');
    if (single !== undefined) {
      return [
        { rule: { ...base, ...timeIn(''), values: { [quantity]: { path: single, lenient: true } } }, time, notes },
      ];
    }
    // Texts of other topics that the filter takes are no measurements, and no faults either.
    const filter = parseTopicFilter(topic);
    const beside = kind.format === 'number' && texts.some((levels) => filter.match(levels.join('/')) !== undefined);
    const form = beside ? { ...base, format: 'json-or-text' as const } : base;
    return [
      { rule: { ...form, values: { [quantity]: { path: beside ? '$' : 'value', lenient: true } } }, time, notes },
    ];
  }
  const inside = inPart(kind, fields);
  const quantities = [...fields.values()].filter((field) => isQuantity(field) && field.path !== time?.path);
  const named = list && namedPart(list, timeIn(list.each === '*' ? '' : '$.'));
  if (quantities.length === 0 || list?.each === '*')
    return named === undefined ? [] : [{ rule: { ...base, ...named }, time, notes }];
  const others = [...fields.values()].filter((field) => field.numbers + field.numericTexts > 0 && !isQuantity(field));
  const excluded = new Set(others.map((field) => field.name));
  if (list !== undefined) excluded.add(list.each);
  if (inPayload !== undefined) excluded.add(inPayload);
  const exclude = [...excluded];
  const rest: PartConfig = {
    ...inside,
    ...timeIn(''),
    rest: 'numbers',
    ...(quantities.some((field) => field.numericTexts > 0) ? { numericText: true } : {}),
    ...(exclude.length === 0 ? {} : { exclude }),
  };
  const rule: RuleConfig = named === undefined ? { ...base, ...rest } : { ...base, branches: [named, rest] };
  return [{ rule, time, notes }];
}

/** `s0/Watt/1`: the last level counts, and what stands before it says what. */
function writtenQuantity(levels: readonly string[], names: readonly (string | undefined)[], at: number | undefined) {
  if (at !== undefined) return levels[at]!;
  return levels.findLast((level, i) => i > 0 && names[i] === undefined && isWord(level)) ?? 'value';
}

function namedPart({ each, name, value }: NamedList, time: PartConfig): PartConfig {
  return { each, ...time, values: { [`{${name}}`]: { path: value, lenient: true } } };
}

/** Lists: each entry is a part; line protocol keeps its values under `fields` and its time beside them. */
function inPart(kind: Kind, fields: ReadonlyMap<string, Field>): PartConfig {
  if (kind.format === 'line-protocol') {
    const tag = ['tags.device', 'tags.sensor', 'tags.host', 'tags.id', 'tags.name'].find((path) => fields.has(path));
    return { each: '*', under: 'fields', ...(tag === undefined ? {} : { device: `{${tag}}` }) };
  }
  return kind.shape === 'list' ? { each: '*' } : {};
}

function specificity(filter: string): number {
  return filter.split('/').filter((level) => !level.startsWith('+')).length * 100 + filter.split('/').length;
}
