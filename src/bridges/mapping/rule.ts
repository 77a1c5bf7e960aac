import { FleetcastError } from '../../errors.ts';
import { compileExpression } from '../expressions/expression.ts';
import { compileFormat } from '../formats/format.ts';
import { type Command, deviceOfTopic, type MemoryRecord, SparkplugHost } from '../sparkplug/host.ts';
import type { MappingLimits, RuleConfig } from './config.ts';
import { formatLimits } from './limits.ts';
import { mergeReadings } from './merge.ts';
import { compilePart, type MappedReading, type Rejected } from './part.ts';
import { excerpt, Reject } from './reject.ts';
import { compileTemplate, isOfTopic } from './template.ts';
import { parseTopicFilter, type TopicFilter } from './topic-filter.ts';
import type { OnLeftOut } from './values.ts';

export interface Rule {
  readonly config: RuleConfig;
  readonly filter: TopicFilter;
  /** What the message holds. Throws {@link Reject} for the message as a whole. */
  apply(message: RuleInput): RuleResult;
  /** The device as far as the topic names it, for what cannot be read; otherwise empty. */
  deviceOf(topic: string, captures: ReadonlyMap<string, string>): string;
  /** Of a Sparkplug rule: what it knows of edge nodes. */
  readonly host?: SparkplugHost;
}

export interface RuleInput {
  readonly topic: string;
  readonly captures: ReadonlyMap<string, string>;
  readonly payload: Uint8Array;
  readonly arrival: number;
}

export interface RuleResult {
  readonly readings: readonly MappedReading[];
  readonly rejected: Rejected[];
  readonly memory?: readonly MemoryRecord[];
  readonly commands?: readonly Command[];
}

/** @throws CONFIG_INVALID, naming the rule by its topic filter. */
export function compileRule(config: RuleConfig, limits: MappingLimits, onLeftOut?: OnLeftOut): Rule {
  const filter = parseTopicFilter(config.topic);
  try {
    return compile(config, filter, limits, onLeftOut);
  } catch (error) {
    if (!(error instanceof FleetcastError)) throw error;
    throw new FleetcastError(error.code, `mapping of ${config.topic}: ${error.message}`, {
      cause: error,
      details: { ...error.details, topic: config.topic },
    });
  }
}

function compile(
  config: RuleConfig,
  filter: TopicFilter,
  limits: MappingLimits,
  onLeftOut: OnLeftOut | undefined,
): Rule {
  if (config.sparkplug !== undefined) {
    const host = new SparkplugHost(config.sparkplug);
    return {
      config,
      filter,
      host,
      apply: ({ topic, payload, arrival }) => host.receive(topic, payload, arrival),
      deviceOf: deviceOfTopic,
    };
  }
  const { branches = [{}], ...own } = config;
  const decode = compileFormat(config.format ?? 'json', formatLimits(limits));
  const transform =
    config.transform === undefined ? undefined : compileExpression(config.transform, formatLimits(limits));
  const parts = branches.map((branch) => compilePart({ ...own, ...branch }, filter.names, limits, onLeftOut));

  const named = [own, ...branches].map(({ device = '{device}' }) => device);
  const ofTopic = named.find((device) => isOfTopic(device, filter.names));
  const template = ofTopic === undefined ? undefined : compileTemplate(ofTopic, filter.names);
  const deviceOf = (_: string, captures: ReadonlyMap<string, string>): string =>
    template?.({ captures, root: undefined, part: undefined, key: '', parentKey: '' }) ?? '';

  return {
    config,
    filter,
    deviceOf,
    apply: ({ topic, captures, payload, arrival }) => {
      const found: MappedReading[] = [];
      const all: Rejected[] = [];
      const decoded = decode(payload, ({ reason, message }) => {
        all.push({ reason, message, device: deviceOf(topic, captures) });
      });
      const root = transform === undefined ? decoded : transform(decoded, captures);
      for (const read of parts) read(root, captures, arrival, found, all);
      const readings = found.length > 1 ? mergeReadings(found) : found;
      const rejected = all.filter((each) => each.reason !== 'no-values');
      // That a part has no values means something only where nothing else came of the message.
      if (readings.length > 0 || rejected.length > 0) return { readings, rejected };
      // A number is a measurement that would be lost; a text is a status.
      if (typeof root === 'number') {
        const message = `${excerpt(root)} has no name: \`values\` can give it one`;
        return { readings, rejected: [{ reason: 'not-a-number', message, device: all[0]?.device ?? '' }] };
      }
      return {
        readings,
        rejected: [all[0] ?? { reason: 'no-values', message: 'nothing that the mapping takes', device: '' }],
      };
    },
  };
}
