import type { EventLog, TopicSpec } from '../log/event-log.ts';

/** Store name (`node/store`) to the version of its bytes. */
export type StoreVersions = Readonly<Record<string, number>>;

/**
 * Which stores the state of a group may hold: a small compacted topic beside the state topic, so that a start need not
 * read the state itself to know. Key: the group of the sub-topology.
 */
export function manifestTopic(stateTopic: string): string {
  return `${stateTopic}-stores`;
}

export function manifestSpec(stateTopic: string): TopicSpec {
  return { name: manifestTopic(stateTopic), partitions: 1, cleanup: 'compact' };
}

export async function ensureManifest(log: EventLog, stateTopic: string): Promise<void> {
  if ((await log.topic(manifestTopic(stateTopic))) === undefined) await log.ensureTopics([manifestSpec(stateTopic)]);
}

/** By group of a sub-topology. Empty where the topic does not exist. */
export async function readManifest(log: EventLog, stateTopic: string): Promise<ReadonlyMap<string, StoreVersions>> {
  const topic = manifestTopic(stateTopic);
  const found = new Map<string, StoreVersions>();
  if ((await log.topic(topic)) === undefined) return found;
  const { earliest, end } = await log.offsets(topic, 0);
  for (let offset = earliest; offset < end; ) {
    const { records, nextOffset } = await log.read(topic, 0, offset);
    for (const { key, value } of records) {
      const group = Buffer.from(key ?? []).toString('utf8');
      if (value === null) found.delete(group);
      else found.set(group, JSON.parse(Buffer.from(value).toString('utf8')) as StoreVersions);
    }
    if (nextOffset <= offset) break;
    offset = nextOffset;
  }
  return found;
}

/** @param stores undefined forgets the group. @param timestamp milliseconds since the epoch. */
export async function writeManifest(
  log: EventLog,
  stateTopic: string,
  group: string,
  stores: StoreVersions | undefined,
  timestamp: number,
): Promise<void> {
  const value = stores === undefined ? null : Buffer.from(JSON.stringify(stores));
  await log.append([
    { topic: manifestTopic(stateTopic), partition: 0, timestamp, key: Buffer.from(group, 'utf8'), value },
  ]);
}
