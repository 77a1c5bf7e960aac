import type { EventLog, TopicSpec } from '../log/event-log.ts';
import { stalled } from './state-topic.ts';

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

/** Keys under which the names of a group's sub-topologies are; other keys are groups of sub-topologies. */
const PARTS = '#parts/';

/** Keys under which a reset is noted that has begun and not ended, by the group of the whole topology. */
const RESET = '#reset/';

export interface Manifest {
  /** By group of a sub-topology. */
  readonly stores: ReadonlyMap<string, StoreVersions>;
  /** By group of the whole topology: names of the sub-topologies that have run. */
  readonly parts: ReadonlyMap<string, readonly string[]>;
  /** Groups of whole topologies whose reset has begun and not ended. */
  readonly resets: ReadonlySet<string>;
}

/** Empty where the topic does not exist. */
export async function readManifest(log: EventLog, stateTopic: string): Promise<Manifest> {
  const topic = manifestTopic(stateTopic);
  const found = new Map<string, unknown>();
  if ((await log.topic(topic)) !== undefined) {
    const { earliest, end } = await log.offsets(topic, 0);
    for (let offset = earliest; offset < end; ) {
      const { records, nextOffset } = await log.read(topic, 0, offset);
      for (const { key, value } of records) {
        const name = Buffer.from(key ?? []).toString('utf8');
        if (value === null) found.delete(name);
        else found.set(name, JSON.parse(Buffer.from(value).toString('utf8')));
      }
      if (nextOffset <= offset) throw stalled(topic, 0, offset, end);
      offset = nextOffset;
    }
  }
  const stores = new Map<string, StoreVersions>();
  const parts = new Map<string, readonly string[]>();
  const resets = new Set<string>();
  for (const [name, value] of found) {
    if (name.startsWith(RESET)) resets.add(name.slice(RESET.length));
    else if (name.startsWith(PARTS)) parts.set(name.slice(PARTS.length), value as readonly string[]);
    else stores.set(name, value as StoreVersions);
  }
  return { stores, parts, resets };
}

/**
 * @param group of a sub-topology
 * @param stores undefined forgets the group.
 * @param timestamp milliseconds since the epoch.
 */
export async function writeStores(
  log: EventLog,
  stateTopic: string,
  group: string,
  stores: StoreVersions | undefined,
  timestamp: number,
): Promise<void> {
  await write(log, stateTopic, group, stores, timestamp);
}

/** @param group of the whole topology. @param names undefined forgets it. */
export async function writeParts(
  log: EventLog,
  stateTopic: string,
  group: string,
  names: readonly string[] | undefined,
  timestamp: number,
): Promise<void> {
  await write(log, stateTopic, PARTS + group, names, timestamp);
}

/** @param group of the whole topology. @param open whether a reset has begun, or has come to its end */
export async function writeReset(
  log: EventLog,
  stateTopic: string,
  group: string,
  open: boolean,
  timestamp: number,
): Promise<void> {
  await write(log, stateTopic, RESET + group, open ? { begun: timestamp } : undefined, timestamp);
}

async function write(log: EventLog, stateTopic: string, key: string, value: unknown, timestamp: number): Promise<void> {
  const bytes = value === undefined ? null : Buffer.from(JSON.stringify(value));
  await log.append([
    { topic: manifestTopic(stateTopic), partition: 0, timestamp, key: Buffer.from(key, 'utf8'), value: bytes },
  ]);
}
