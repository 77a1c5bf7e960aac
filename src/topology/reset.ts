import { FleetcastError } from '../errors.ts';
import type { EventLog, OutRecord } from '../log/event-log.ts';
import { subtopologyGroup, taskName } from './engine.ts';
import { journalPrefix } from './input-journal.ts';
import { divide } from './plan.ts';
import { readSnapshots } from './state-topic.ts';
import type { Topology } from './topology.ts';

export interface ResetOptions {
  readonly log: EventLog;
  readonly topology: Topology;
  readonly group: string;
  /** Default `state`. */
  readonly stateTopic?: string;
  /** Time for the tombstones, milliseconds since the epoch. */
  readonly now: number;
}

/** Keys whose tombstones are written together. */
const BATCH = 5_000;

/**
 * Makes a group begin anew: discards the stored state of its tasks and its committed offsets. Output topics keep what
 * is on them. The way out of STATE_ORPHANED and STATE_LOG_CUT; no engine of the group may run.
 * @returns keys of the state topic that were discarded.
 * @throws LOG_TOPIC_UNKNOWN, and what the log throws for a group that has members.
 */
export async function resetGroup(options: ResetOptions): Promise<number> {
  const { log, topology, group, stateTopic = 'state', now } = options;
  const spec = await log.topic(stateTopic);
  if (spec === undefined) throw new FleetcastError('LOG_TOPIC_UNKNOWN', `the topic ${stateTopic} does not exist`);
  const parts = divide(topology);
  // Offsets first: a group without offsets refuses to run on state that is left, not the other way round.
  for (const { name } of parts) await log.deleteGroup(subtopologyGroup(group, name));
  let discarded = 0;
  for (const { name, sources } of parts) {
    const partitions = (await log.topic(sources[0]!.topic))?.partitions ?? spec.partitions;
    for (let p = 0; p < partitions; p++) {
      const task = taskName(group, name, p);
      discarded += await discard(log, { topic: stateTopic, partition: p % spec.partitions, task }, now);
    }
  }
  return discarded;
}

async function discard(
  log: EventLog,
  place: { readonly topic: string; readonly partition: number; readonly task: string },
  timestamp: number,
): Promise<number> {
  const keys = new Set<string>();
  for await (const { prefix, key, snapshot } of readSnapshots(log, place, [`${place.task}/`, journalPrefix(place)])) {
    if (snapshot === undefined) keys.delete(prefix + key);
    else keys.add(prefix + key);
  }
  const { topic, partition } = place;
  const tombstones = [...keys].map((key): OutRecord => {
    return { topic, partition, timestamp, key: Buffer.from(key, 'utf8'), value: null };
  });
  for (let i = 0; i < tombstones.length; i += BATCH) await log.append(tombstones.slice(i, i + BATCH));
  return tombstones.length;
}
