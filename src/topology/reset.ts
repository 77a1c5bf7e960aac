import { FleetcastError, isFleetcastError } from '../errors.ts';
import type { EventLog, OutRecord } from '../log/event-log.ts';
import { named, subtopologyGroup, taskName } from './engine.ts';
import { systemClock } from './engine-clock.ts';
import { journalPrefix } from './input-journal.ts';
import { divide } from './plan.ts';
import { ensureManifest, readManifest, writeParts, writeReset, writeStores } from './state-manifest.ts';
import { SnapshotReader, type StatePlace } from './state-topic.ts';
import type { Topology } from './topology.ts';

export interface ResetOptions {
  readonly log: EventLog;
  readonly topology: Topology;
  readonly group: string;
  /** Default `state`. */
  readonly stateTopic?: string;
  /** Time for the tombstones, milliseconds since the epoch. */
  readonly now: number;
  /** Changes nothing: only says what would go. */
  readonly dryRun?: boolean;
}

/** What a reset discards. */
export interface ResetReport {
  /** Committed offsets: how far the group has come in its input. */
  readonly offsets: readonly ResetOffset[];
  /** Tasks whose stored state goes, with the keys that it is of. */
  readonly tasks: readonly { readonly task: string; readonly keys: number }[];
  /** `node/store` to the number of keys that it holds something of. */
  readonly stores: Readonly<Record<string, number>>;
  /**
   * Topics of the topology's own (`keyBy`) with what goes from them: it would be read beside what the next run writes
   * there. On Kafka the marks of transactions count.
   */
  readonly repartitions: readonly { readonly topic: string; readonly records: number }[];
  /** An earlier reset had been cut off: what it had dropped is not told again. */
  readonly resumed: boolean;
  /** Records of the state topic that tombstones take out, those of the engine's own bookkeeping included. */
  readonly records: number;
}

export interface ResetOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Where the group would begin again: the oldest record that is left. */
  readonly earliest: number;
}

/** Keys whose tombstones are written together. */
const BATCH = 5_000;
/** An open transaction may hide state that would come to light behind the reset. */
const HIDDEN_PAUSE_MS = 250;

/**
 * Makes a group begin anew: discards the stored state of its tasks and its committed offsets. The way out of
 * STATE_ORPHANED and STATE_LOG_CUT; no engine of the group may run. Output topics keep what is on them, and the group
 * writes the outputs of all input that is left a second time. The topics behind `keyBy` are emptied. That it has begun is
 * noted on the log first: where it is cut off, no engine of the group starts (RESET_UNFINISHED) until another call has
 * come to its end.
 * @throws LOG_TOPIC_UNKNOWN, LOG_GROUP_BUSY for a group that has members.
 */
export async function resetGroup(options: ResetOptions): Promise<ResetReport> {
  const { log, topology, group, stateTopic = 'state', now, dryRun = false } = options;
  const spec = await log.topic(stateTopic);
  if (spec === undefined) throw new FleetcastError('LOG_TOPIC_UNKNOWN', `the topic ${stateTopic} does not exist`);
  const parts = divide(named(topology, group));
  const manifest = await readManifest(log, stateTopic);
  const known = manifest.parts.get(group) ?? [];
  const resumed = manifest.resets.has(group);
  if (!dryRun) {
    await ensureManifest(log, stateTopic);
    await writeReset(log, stateTopic, group, true, now);
  }
  // Also what an edit has left behind.
  const names = [...new Set([...parts.map(({ name }) => name), ...known])].sort();
  const offsets: ResetOffset[] = [];
  const widths = new Map<string, number>();
  for (const name of names) {
    const committed = await committedOffsets(log, subtopologyGroup(group, name));
    offsets.push(...committed);
    widths.set(name, Math.max(spec.partitions, ...committed.map(({ partition }) => partition + 1)));
    if (!dryRun) await forget(options, name, resumed || name !== names[0]);
  }
  const repartitions: { topic: string; records: number }[] = [];
  for (const { topic, repartition } of parts.flatMap(({ sources }) => sources)) {
    if (repartition === true) repartitions.push({ topic, records: await emptyTopic(log, topic, dryRun) });
  }
  const tasks: { task: string; keys: number }[] = [];
  const stores = new Map<string, number>();
  let records = 0;
  for (const name of names) {
    const [input] = parts.find((part) => part.name === name)?.sources ?? [];
    const partitions = (input && (await log.topic(input.topic)))?.partitions ?? widths.get(name)!;
    for (let p = 0; p < partitions; p++) {
      const place = { topic: stateTopic, partition: p % spec.partitions, task: taskName(group, name, p) };
      const found = await storedKeys(log, place);
      if (!dryRun) await discard(log, place, found.all, now);
      records += found.all.length;
      for (const [store, keys] of found.stores) stores.set(store, (stores.get(store) ?? 0) + keys);
      if (found.all.length > 0) tasks.push({ task: place.task, keys: found.keys });
    }
  }
  if (!dryRun) {
    for (const name of names) await writeStores(log, stateTopic, subtopologyGroup(group, name), undefined, now);
    await writeParts(log, stateTopic, group, undefined, now);
    await writeReset(log, stateTopic, group, false, now);
  }
  return { offsets, tasks, stores: Object.fromEntries([...stores].sort()), repartitions, resumed, records };
}

/** Forgets the progress of a sub-topology. @param begun whether something is gone already, so that there is no way back */
async function forget(options: ResetOptions, name: string, begun: boolean): Promise<void> {
  const { log, group, stateTopic = 'state', now } = options;
  try {
    await log.deleteGroup(subtopologyGroup(group, name));
  } catch (error) {
    if (!begun && isFleetcastError(error, 'LOG_GROUP_BUSY')) await writeReset(log, stateTopic, group, false, now);
    throw error;
  }
}

/** @returns how many records go. */
async function emptyTopic(log: EventLog, topic: string, dryRun: boolean): Promise<number> {
  let records = 0;
  const partitions = (await log.topic(topic))?.partitions ?? 0;
  for (let p = 0; p < partitions; p++) {
    const { earliest, end } = await log.offsets(topic, p);
    records += end - earliest;
    if (!dryRun) await log.deleteRecords(topic, p, end);
  }
  return records;
}

async function committedOffsets(log: EventLog, group: string): Promise<ResetOffset[]> {
  const found: ResetOffset[] = [];
  for (const [at, offset] of await log.committed(group)) {
    const slash = at.lastIndexOf('/');
    const topic = at.slice(0, slash);
    const partition = Number(at.slice(slash + 1));
    const { earliest } = await log.offsets(topic, partition);
    found.push({ topic, partition, offset, earliest });
  }
  return found;
}

/** What the state topic has of a task: the keys of the log's records, and how many keys hold something of which store. */
async function storedKeys(log: EventLog, place: StatePlace) {
  const all = new Set<string>();
  const storesOf = new Map<string, readonly string[]>();
  const reader = new SnapshotReader(log, place, [`${place.task}/`, journalPrefix(place)]);
  const hidden = { pause: () => systemClock.sleep(HIDDEN_PAUSE_MS) };
  for await (const { prefix, key, snapshot } of reader.toEnd(hidden)) {
    if (snapshot === undefined) all.delete(prefix + key);
    else all.add(prefix + key);
    if (prefix !== `${place.task}/` || key === '') continue;
    if (snapshot === undefined) storesOf.delete(key);
    else storesOf.set(key, Object.keys(snapshot.stores));
  }
  const stores = new Map<string, number>();
  for (const names of storesOf.values()) for (const name of names) stores.set(name, (stores.get(name) ?? 0) + 1);
  return { all: [...all], keys: storesOf.size, stores };
}

async function discard(log: EventLog, place: StatePlace, keys: readonly string[], timestamp: number): Promise<void> {
  const { topic, partition } = place;
  for (let i = 0; i < keys.length; i += BATCH) {
    const tombstones = keys.slice(i, i + BATCH).map((key): OutRecord => {
      return { topic, partition, timestamp, key: Buffer.from(key, 'utf8'), value: null };
    });
    await log.append(tombstones);
  }
}
