import { FleetcastError } from '../../errors.ts';
import type { MappingConfig, PresetConfig, RuleConfig } from '../mapping/config.ts';
import { compileMapping } from '../mapping/mapping.ts';
import { contains } from '../mapping/subscriptions.ts';
import { parseTopicFilter, type TopicFilter } from '../mapping/topic-filter.ts';
import { expandPreset } from '../presets/presets.ts';

export interface Finding {
  /** `error`: it does not run. `warning`: it hardly does what is meant. `note`: good to know. */
  readonly level: 'error' | 'warning' | 'note';
  /** Index of the entry under `rules`, from 0. */
  readonly rule: number;
  /** Its preset or its topic filter. */
  readonly name: string;
  readonly message: string;
}

/** What can be said of a mapping without a message: what does not compile, and what hardly can be meant. */
export function lintMapping(config: MappingConfig): readonly Finding[] {
  const findings: Finding[] = [];
  const before: { readonly filter: string; readonly name: string }[] = [];
  config.rules.forEach((entry, i) => {
    const name = 'preset' in entry ? entry.preset : entry.topic;
    const say = (level: Finding['level'], message: string) => findings.push({ level, rule: i, name, message });
    let rules: readonly RuleConfig[];
    try {
      compileMapping({ ...config, rules: [entry] });
      rules = 'preset' in entry ? expandPreset(entry) : [entry];
    } catch (error) {
      if (!(error instanceof FleetcastError)) throw error;
      say('error', error.message);
      return;
    }
    const hidden = rules.flatMap((rule) => {
      const by = before.find(({ filter }) => covers(filter, rule.topic));
      return by === undefined ? [] : [{ topic: rule.topic, by: by.name }];
    });
    if (hidden.length === rules.length) {
      say('warning', `it never gets a message: ${hidden[0]!.by} comes before it and takes them all`);
    }
    if (!('preset' in entry)) lintRule(entry, say);
    else if (entry.preset === 'tasmota' && entry.zone === undefined) {
      say('note', 'Tasmota sends local times without a zone: without `zone` the arrival counts');
    }
    for (const rule of rules) before.push({ filter: rule.topic, name: nameIn(entry, rule) });
  });
  return findings;
}

function lintRule(rule: RuleConfig, say: (level: Finding['level'], message: string) => void): void {
  if (rule.ignore !== undefined && rule.ignore !== false) return;
  if (rule.sparkplug !== undefined) return;
  const filter = parseTopicFilter(rule.topic);
  for (const part of rule.branches ?? [{}]) {
    const device = part.device ?? rule.device ?? '{device}';
    if (!device.includes('{')) say('note', `all its messages are of one device, ${JSON.stringify(device)}`);
    lintDevice(device, filter, say);
    if (device === '{device}' && !filter.names.includes('device')) {
      say(
        'warning',
        'the device is read from the field `device` of the payload: no wildcard of the topic has that name',
      );
    }
    const wanted = { ...rule, ...part };
    const rest = wanted.rest ?? (Object.keys(wanted.values ?? {}).length === 0 ? 'numbers' : 'ignore');
    if (rest === 'ignore' && Object.keys(wanted.values ?? {}).length === 0) say('warning', 'it takes no value');
    if (rest === 'ignore') {
      const useless = (
        ['exclude', 'include', 'prefix', 'under', 'booleans', 'numericText', 'skipWith'] as const
      ).filter((field) => wanted[field] !== undefined);
      if (useless.length > 0) say('warning', `${useless.join(', ')} mean something with \`rest\` only`);
    }
    if (wanted.time === undefined) say('note', 'no time: the arrival counts');
  }
  if (rule.topic === '#' || rule.topic.startsWith('+')) {
    say('note', `it subscribes to ${filter.mqtt}: the broker sends the bridge everything that matches`);
  }
  if (rule.qos === 0) say('note', 'with QoS 0 the broker keeps no message while the bridge is away');
}

/** Names that different clients could both reach. */
function lintDevice(
  device: string,
  { names, source }: TopicFilter,
  say: (level: Finding['level'], message: string) => void,
): void {
  const pieces = device.split(/(\{[^{}]*\})/);
  const fromTopic = pieces.filter((piece) => piece.startsWith('{') && names.includes(piece.slice(1, -1)));
  if (device.includes('{') && device !== '{device}' && fromTopic.length === 0 && names.length > 0) {
    say(
      'note',
      'the device is named by the payload alone: whoever may publish there may write to any device; a wildcard of the topic before it (`{gateway}/{id}`) keeps each to its own',
    );
  }
  // Two wildcards of one level each are told apart by a slash only, which neither of them can hold.
  for (let i = 1; i + 2 < pieces.length; i += 2) {
    const [left, between, right] = [pieces[i]!, pieces[i + 1]!, pieces[i + 2]!];
    if (!fromTopic.includes(left) || between.includes('/')) continue;
    say(
      'warning',
      `${left}${between}${right} runs names together: ${excerptName(between)}; put a / between them (topic ${source})`,
    );
  }
}

/** Two pairs that give the same name. */
function excerptName(between: string): string {
  return between === ''
    ? 'those of "ab" and "c", and of "a" and "bc", are the same'
    : `those of "a${between}b" and "c", and of "a" and "b${between}c", are the same`;
}

/** Every topic that `inner` matches goes to `outer`: told where both are plain MQTT filters, or the same. */
function covers(outer: string, inner: string): boolean {
  const wide = parseTopicFilter(outer);
  const narrow = parseTopicFilter(inner);
  const plain = wide.mqtt.split('/').length === outer.split('/').length;
  return plain ? contains(wide.mqtt, narrow.mqtt) : withoutNames(outer) === withoutNames(inner);
}

function withoutNames(filter: string): string {
  return filter.replaceAll(/(^|\/)([+#])[\w-]*/g, '$1$2');
}

function nameIn(entry: RuleConfig | PresetConfig, rule: RuleConfig): string {
  return 'preset' in entry ? `${entry.preset} (${rule.topic})` : rule.topic;
}
