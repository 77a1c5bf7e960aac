import { FleetcastError } from '../../errors.ts';
import type { Mapping } from '../mapping/mapping.ts';
import { parseTopicFilter } from '../mapping/topic-filter.ts';

/** What goes back to MQTT, and how. */
export interface OutConfig {
  readonly forecasts?: OutTopic;
  readonly alerts?: OutTopic;
  readonly homeAssistant?: HomeAssistantConfig;
}

export interface OutTopic {
  /** `{device}` and `{quantity}` stand for themselves, escaped so that they stay one level. */
  readonly topic: string;
  /** `json`: everything; `plain`: one number (the forecast of `step`, or the actual value of an alert). Default `json`. */
  readonly format?: 'json' | 'plain';
  /** Which step of the horizon is the value, from 1. Default 1. */
  readonly step?: number;
  /** Default true for forecasts, false for alerts. */
  readonly retain?: boolean;
  /** Default 1. */
  readonly qos?: 0 | 1 | 2;
}

export interface HomeAssistantConfig {
  /** Default `homeassistant`. */
  readonly prefix?: string;
  /** Units by quantity, such as `{ temperature: '°C' }`; others are shown without one. */
  readonly units?: Readonly<Record<string, string>>;
}

export const OUT_DEFAULTS: OutConfig = {
  forecasts: { topic: 'fleetcast/{device}/{quantity}/forecast' },
  alerts: { topic: 'fleetcast/{device}/{quantity}/alert' },
};

/** Device and quantity to a topic. */
export type TopicOf = (device: string, quantity: string) => string;

/** @throws CONFIG_INVALID for a template that is no topic, or that does not tell devices and quantities apart. */
export function compileOutTopic(template: string): TopicOf {
  const fail = (why: string) => {
    throw new FleetcastError('CONFIG_INVALID', `topic ${JSON.stringify(template)} ${why}`, { details: { template } });
  };
  if (template === '' || /[+#]/.test(template) || template.startsWith('$')) fail('is not one to publish to');
  if (!template.includes('{device}') || !template.includes('{quantity}')) fail('must hold {device} and {quantity}');
  const unknown = template.match(/\{(?!device\}|quantity\})[^}]*\}?/);
  if (unknown !== null) fail(`holds ${unknown[0]}, which stands for nothing`);
  return (device, quantity) =>
    template.replace(/\{device\}|\{quantity\}/g, (name) => escapeLevel(name === '{device}' ? device : quantity));
}

/**
 * A forecast that the bridge would read as a measurement feeds itself.
 *
 * @throws CONFIG_INVALID where the mapping takes what would be published, for any device and quantity.
 */
export function refuseLoop(config: OutConfig, mapping: Mapping): void {
  const { forecasts, alerts, homeAssistant } = config;
  const topics = [forecasts, alerts].flatMap((out) => (out === undefined ? [] : [out.topic]));
  for (const each of topics) compileOutTopic(each);
  if (homeAssistant !== undefined) topics.push(`${homeAssistant.prefix ?? 'homeassistant'}/sensor/{id}/config`);
  for (const out of topics) {
    const levels = out.split('/').map((level) => (level.includes('{') ? '+' : level));
    for (const filter of mapping.filters) {
      const topic = commonTopic(levels, parseTopicFilter(filter).mqtt.split('/'));
      const rule = topic === undefined ? undefined : mapping.ruleFor(topic);
      if (rule === undefined || rule.ignored) continue;
      throw new FleetcastError(
        'CONFIG_INVALID',
        `what is published to ${out} would come back through the mapping of ${rule.filter} (${topic}); ` +
          `put a rule before it that ignores them`,
        { details: { topic: out, rule: rule.filter } },
      );
    }
  }
}

/** A topic of this form (with `+` for any level) that the filter matches, or undefined where there is none. */
function commonTopic(form: readonly string[], filter: readonly string[]): string | undefined {
  const levels: string[] = [];
  for (const [i, level] of form.entries()) {
    const wanted = filter[i];
    if (wanted === undefined) return undefined;
    if (wanted === '#') return [...levels, ...form.slice(i)].map((each) => (each === '+' ? 'x' : each)).join('/');
    if (level !== '+' && wanted !== '+' && level !== wanted) return undefined;
    levels.push(level === '+' ? (wanted === '+' ? 'x' : wanted) : level);
  }
  const ends = filter.length === form.length || (filter.length === form.length + 1 && filter.at(-1) === '#');
  return ends ? levels.join('/') : undefined;
}

/** One level of a topic: separators, wildcards and control characters are percent-encoded, so that it can be undone. */
function escapeLevel(name: string): string {
  return name.replace(/[/+#%]|\p{Cc}/gu, (char) => encodeURIComponent(char));
}
