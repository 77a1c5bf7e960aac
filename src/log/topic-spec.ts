import { FleetcastError } from '../errors.ts';
import type { TopicSpec } from './event-log.ts';

/** What can be done about a topic that differs, by field; in the words of Kafka's configuration. */
const WAY_OUT = {
  partitions: (_: TopicSpec, existing: TopicSpec) =>
    `set the partitions to ${existing.partitions} in the configuration, or take other topics with another prefix: keys would move between partitions`,
  cleanup: (wanted: TopicSpec) => `set the topic's cleanup.policy to ${wanted.cleanup}`,
  retentionMs: (wanted: TopicSpec, existing: TopicSpec) =>
    `set the topic's retention.ms to ${wanted.retentionMs ?? -1}, or the retention in the configuration to ${existing.retentionMs === undefined ? 'none' : `${existing.retentionMs} ms`}`,
  retentionBytes: (wanted: TopicSpec) => `set the topic's retention.bytes to ${wanted.retentionBytes ?? -1}`,
} as const;

const KEPT =
  'it is compacted and also cut by age or size, so the last record of a key may go ' +
  "(set the topic's cleanup.policy to compact alone)";

/** What differs between an existing topic and the wanted one, in words, or undefined. */
export function topicMismatch(existing: TopicSpec, wanted: TopicSpec): string | undefined {
  const parts: string[] = [];
  for (const field of ['partitions', 'cleanup', 'retentionMs', 'retentionBytes'] as const) {
    if (existing[field] === wanted[field]) continue;
    if (wanted.cleanup === 'compact' && field.startsWith('retention')) {
      if (existing.cleanup === 'compact') parts.push(KEPT);
      continue;
    }
    const told = (value: string | number | undefined): string => (value === undefined ? 'unlimited' : String(value));
    const wayOut = WAY_OUT[field](wanted, existing);
    parts.push(`${field} is ${told(existing[field])}, wanted ${told(wanted[field])} (${wayOut})`);
  }
  return parts.length === 0 ? undefined : [...new Set(parts)].join('; ');
}

/** @throws LOG_TOPIC_MISMATCH naming topic and fields. */
export function requireSameTopic(existing: TopicSpec, wanted: TopicSpec): void {
  const mismatch = topicMismatch(existing, wanted);
  if (mismatch === undefined) return;
  throw new FleetcastError('LOG_TOPIC_MISMATCH', `topic ${wanted.name}: ${mismatch}`, {
    details: { topic: wanted.name },
  });
}

/** @throws LOG_TOPIC_MISMATCH for a topic whose records do not go by age. */
export function requireDeletable({ name, cleanup }: TopicSpec): void {
  if (cleanup === 'delete') return;
  throw new FleetcastError('LOG_TOPIC_MISMATCH', `topic ${name} is compacted: its records cannot be cut by offset`, {
    details: { topic: name },
  });
}

/**
 * The number of partitions that the topics of a group share.
 * @throws LOG_TOPIC_UNKNOWN, or LOG_TOPIC_MISMATCH where the counts differ.
 */
export function sharedPartitions(topics: readonly string[], find: (name: string) => TopicSpec | undefined): number {
  let partitions: number | undefined;
  for (const name of topics) {
    const spec = find(name) ?? unknownTopic(name);
    partitions ??= spec.partitions;
    if (spec.partitions !== partitions) {
      throw new FleetcastError(
        'LOG_TOPIC_MISMATCH',
        `topics ${topics.join(', ')} are read together but have ${partitions} and ${spec.partitions} partitions`,
      );
    }
  }
  if (partitions === undefined) throw new FleetcastError('LOG_TOPIC_UNKNOWN', 'a group needs at least one topic');
  return partitions;
}

export function unknownTopic(name: string): never {
  throw new FleetcastError('LOG_TOPIC_UNKNOWN', `topic ${name} does not exist`, { details: { topic: name } });
}

export function unknownPartition(topic: string, partition: number): never {
  throw new FleetcastError('LOG_TOPIC_UNKNOWN', `topic ${topic} has no partition ${partition}`, {
    details: { topic, partition },
  });
}

export function outOfRange(topic: string, partition: number, offset: number, earliest: number, end: number): never {
  throw new FleetcastError(
    'LOG_OFFSET_OUT_OF_RANGE',
    `${topic}/${partition}: offset ${offset} is not within ${earliest} to ${end}`,
    { details: { topic, partition, offset, earliest, end } },
  );
}
