import { FleetcastError } from '../errors.ts';
import type { EventLog, TopicSpec } from '../log/event-log.ts';
import type { Subtopology } from './plan.ts';

export interface TopicNeeds {
  readonly log: EventLog;
  readonly parts: readonly Subtopology[];
  readonly stateTopic: string;
  readonly deadLetterTopic: string;
  /** Where a sink's records go. */
  readonly topicOf: (topic: string) => string;
  /** Hears of topics that could lose records. */
  readonly onRetention: (message: string) => void;
}

export interface PreparedTopics {
  /** Partitions of the input of each part, in their order: so many tasks it has. */
  readonly widths: readonly number[];
  /** Partitions of every topic that the parts read or write, and of the state topic. */
  readonly partitionsOf: ReadonlyMap<string, number>;
}

/**
 * Checks the topics of a topology against the log, and makes those that are the engine's own: those behind `keyBy`, as
 * wide as the input of the part that feeds them, and the state topic. Takes the retention from the first, or says how.
 * @throws TOPOLOGY_INVALID where topics do not fit, before any is made; LOG_TOPIC_UNKNOWN
 */
export async function prepareTopics(needs: TopicNeeds): Promise<PreparedTopics> {
  const { log, parts, stateTopic } = needs;
  const existing = new Map((await log.topics()).map((spec) => [spec.name, spec]));
  for (const part of parts) checkWidths(part, existing);
  const topics = await ensureRepartitionTopics(log, parts, existing);
  const partitionsOf = new Map<string, number>();
  const widths = parts.map((part) => checkTopics(part, topics, needs, partitionsOf));
  await liftRetention(needs, existing);
  const state = topics.get(stateTopic);
  const width = Math.max(...widths);
  if (state === undefined) await log.ensureTopics([{ name: stateTopic, partitions: width, cleanup: 'compact' }]);
  else if (state.cleanup !== 'compact') throw invalid(`the state topic ${stateTopic} is not compacted`);
  partitionsOf.set(stateTopic, state?.partitions ?? width);
  return { widths, partitionsOf };
}

/** @returns the number of partitions of the part's input. */
function checkTopics(
  part: Subtopology,
  topics: ReadonlyMap<string, TopicSpec>,
  { topicOf, deadLetterTopic }: TopicNeeds,
  found: Map<string, number>,
): number {
  const partitionsOf = (topic: string, node: string): number => {
    const spec = topics.get(topic);
    if (spec === undefined) {
      throw new FleetcastError('LOG_TOPIC_UNKNOWN', `the topic ${topic} of ${node} does not exist`, {
        details: { topic, node },
      });
    }
    found.set(topic, spec.partitions);
    return spec.partitions;
  };
  const inputs = part.sources.map(({ topic, name }) => partitionsOf(topic, name));
  checkWidths(part, topics);
  for (const sink of part.nodes) {
    if (sink.kind !== 'sink') continue;
    const topic = sink.repartition === undefined ? topicOf(sink.topic) : sink.topic;
    const partitions = partitionsOf(topic, sink.name);
    if (sink.repartition === undefined && partitions < inputs[0]!) {
      throw invalid(`the sink ${sink.name} writes ${inputs[0]} partitions to ${topic}, which has ${partitions}`);
    }
  }
  partitionsOf(deadLetterTopic, 'the dead letters');
  return inputs[0]!;
}

async function ensureRepartitionTopics(
  log: EventLog,
  parts: readonly Subtopology[],
  existing: ReadonlyMap<string, TopicSpec>,
): Promise<ReadonlyMap<string, TopicSpec>> {
  const topics = new Map(existing);
  for (let grown = -1; grown !== topics.size; ) {
    grown = topics.size;
    for (const { sources, nodes } of parts) {
      const width = topics.get(sources[0]!.topic)?.partitions;
      for (const node of nodes) {
        if (node.kind !== 'sink' || node.repartition === undefined || topics.has(node.topic)) continue;
        const partitions = node.repartition.partitions ?? width;
        if (partitions === undefined) continue;
        // Their records have the input's times, so an age would take what is new here from an old input: the tasks that
        // read them delete what nobody needs any more.
        const spec = { name: node.topic, partitions, cleanup: 'delete' } as const;
        await log.ensureTopics([spec]);
        topics.set(node.topic, spec);
      }
    }
  }
  return topics;
}

/** Earlier versions gave the topics behind `keyBy` a retention, and an operator may have. */
async function liftRetention(
  { log, parts, onRetention }: TopicNeeds,
  existing: ReadonlyMap<string, TopicSpec>,
): Promise<void> {
  for (const { topic, repartition } of parts.flatMap(({ sources }) => sources)) {
    const { cleanup, retentionMs, retentionBytes } = existing.get(topic) ?? {};
    if (repartition !== true || cleanup !== 'delete') continue;
    if (retentionMs === undefined && retentionBytes === undefined) continue;
    const limits = [
      ...(retentionMs === undefined ? [] : [`retention.ms is ${retentionMs}`]),
      ...(retentionBytes === undefined ? [] : [`retention.bytes is ${retentionBytes}`]),
    ].join(', ');
    const why = 'its records have the times of the input, so they could go before they are read';
    if (log.setRetention === undefined) {
      onRetention(`topic ${topic}: ${limits}, and ${why}: set ${limits.replaceAll(/is \d+/g, 'to -1')}`);
    } else {
      await log.setRetention(topic, {});
      onRetention(`topic ${topic} has no retention any more: ${limits.replaceAll('is', 'was')}, and ${why}`);
    }
  }
}

/** Of the topics that are there: before any is made after the measure of a wrong one. @throws TOPOLOGY_INVALID */
function checkWidths({ name, sources }: Subtopology, topics: ReadonlyMap<string, TopicSpec>): void {
  const found = sources.flatMap(({ topic }) => topics.get(topic) ?? []);
  if (new Set(found.map(({ partitions }) => partitions)).size < 2) return;
  const list = found.map(({ name: topic, partitions }) => `${topic} has ${partitions}`).join(', ');
  throw invalid(`${name}: topics that are read together need equal numbers of partitions: ${list}`);
}

function invalid(message: string): FleetcastError {
  return new FleetcastError('TOPOLOGY_INVALID', message);
}
