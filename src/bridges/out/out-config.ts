import { FleetcastError } from '../../errors.ts';
import type { Mapping } from '../mapping/mapping.ts';

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
 * @throws CONFIG_INVALID where the mapping takes what would be published.
 */
export function refuseLoop(config: OutConfig, mapping: Mapping): void {
  for (const out of [config.forecasts, config.alerts]) {
    if (out === undefined) continue;
    const topic = compileOutTopic(out.topic)('device', 'quantity');
    const { rule, rejected } = mapping.map(topic, Buffer.from('{}'), 0);
    if (rule === undefined || rejected[0]?.reason === 'ignored') continue;
    throw new FleetcastError(
      'CONFIG_INVALID',
      `forecasts published to ${out.topic} would come back through the mapping of ${rule}; ` +
        `put a rule before it that ignores them`,
      { details: { topic: out.topic, rule } },
    );
  }
}

/** One level of a topic: separators, wildcards and control characters are percent-encoded, so that it can be undone. */
function escapeLevel(name: string): string {
  return name.replace(/[/+#%]|\p{Cc}/gu, (char) => encodeURIComponent(char));
}
