import { DECIMAL } from '../formats/text.ts';
import type { MappingConfig } from '../mapping/config.ts';
import { compileMapping, type Mapped } from '../mapping/mapping.ts';
import { excerpt } from '../mapping/reject.ts';
import { matchesFilter, parseTopicFilter } from '../mapping/topic-filter.ts';

export interface SampleMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Milliseconds since the epoch. */
  readonly arrival: number;
}

export interface Explanation {
  readonly topic: string;
  readonly arrival: number;
  /** What the wildcards of the filter stand for. */
  readonly captures: Readonly<Record<string, string>>;
  readonly mapped: Mapped;
  /** What becomes of the message: `readings`, `dead-letter`, `dropped`. */
  readonly fate: 'readings' | 'dead-letter' | 'dropped';
  /** All of it, or a part, goes to the dead letters. */
  readonly kept: boolean;
  /** Why, in sentences for people. */
  readonly why: readonly string[];
}

/** What each message becomes under a mapping, and why. @throws CONFIG_INVALID for a mapping that does not compile. */
export function explainMessages(config: MappingConfig, messages: readonly SampleMessage[]): readonly Explanation[] {
  const leftOut = new Map<string, unknown>();
  const mapping = compileMapping(config, (name, value) => {
    if (name !== '') leftOut.set(name, value);
  });
  const filters = mapping.filters.map(parseTopicFilter);
  return messages.map(({ topic, payload, arrival }) => {
    leftOut.clear();
    const mapped = mapping.map(topic, payload, arrival);
    const at = filters.findIndex((filter) => filter.source === mapped.rule);
    const captures = Object.fromEntries(at < 0 ? [] : (filters[at]!.match(topic) ?? []));
    const kept = mapped.rejected.some((each) => mapping.policy(each.reason) === 'dead-letter');
    const why: string[] = [];
    if (at < 0) why.push(...nearest(topic, mapping.filters));
    else {
      const names = Object.entries(captures).map(([name, value]) => `${name} = ${excerpt(value)}`);
      why.push(
        `rule ${at + 1} of ${filters.length}, ${mapped.rule}${names.length === 0 ? '' : `: ${names.join(', ')}`}`,
      );
    }
    for (const { device, time, values } of mapped.readings) {
      const list = Object.entries(values).map(([name, value]) => `${name} = ${value}`);
      const clock = time === arrival ? 'the arrival' : new Date(time).toISOString();
      why.push(`${device} at ${clock}: ${list.join(', ')}`);
    }
    for (const { reason, message, device } of mapped.rejected) {
      const fate = mapping.policy(reason) === 'dead-letter' ? 'goes to the dead letters' : 'is counted and dropped';
      why.push(`${reason}${device === '' ? '' : ` (${device})`}: ${message}; it ${fate}`);
    }
    if (leftOut.size > 0) why.push(leftOutText(leftOut));
    return {
      topic,
      arrival,
      captures,
      mapped,
      kept,
      fate: mapped.readings.length > 0 ? 'readings' : kept ? 'dead-letter' : 'dropped',
      why,
    };
  });
}

/** Names of fields that one line of an explanation has. */
const NAMED = 8;

/** `left out, because they are no numbers: status = "ok", on = true` */
function leftOutText(fields: ReadonlyMap<string, unknown>): string {
  const named = [...fields].slice(0, NAMED).map(([name, value]) => `${name} = ${excerpt(value)}`);
  const more = fields.size > NAMED ? ` and ${fields.size - NAMED} more` : '';
  const texts = [...fields.values()].some((value) => typeof value === 'string' && DECIMAL.test(value.trim()));
  const flags = [...fields.values()].some((value) => typeof value === 'boolean');
  const hints = [...(texts ? ['numericText'] : []), ...(flags ? ['booleans'] : [])];
  const hint = hints.length === 0 ? '' : ` (${hints.map((each) => `\`${each}: true\``).join(' and ')} would take them)`;
  return `left out, being no number: ${named.join(', ')}${more}${hint}`;
}

/** Why no rule matched: the filter that agrees in most levels, and where it parts from the topic. */
function nearest(topic: string, filters: readonly string[]): readonly string[] {
  if (topic.startsWith('$')) return ['no rule matches: wildcards do not match topics that begin with $'];
  const levels = topic.split('/');
  let best: { readonly filter: string; readonly agree: number } | undefined;
  for (const filter of filters) {
    const wanted = filter.split('/');
    let agree = 0;
    while (
      agree < wanted.length &&
      agree < levels.length &&
      matchesFilter(wanted[agree]!.replace(/^([+#]).*/, '$1'), levels[agree]!)
    ) {
      agree++;
    }
    if (best === undefined || agree > best.agree) best = { filter, agree };
  }
  if (best === undefined || best.agree === 0) return ['no rule matches, and none begins like this topic'];
  const { filter, agree } = best;
  const wanted = filter.split('/');
  if (agree >= levels.length) return [`no rule matches; ${filter} wants ${wanted.length - levels.length} more levels`];
  if (agree >= wanted.length) return [`no rule matches; ${filter} ends before ${excerpt(levels[agree])}`];
  return [`no rule matches; ${filter} has ${excerpt(wanted[agree])} where the topic has ${excerpt(levels[agree])}`];
}
