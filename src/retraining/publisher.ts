import { encodeRecord } from '../events/codec.ts';
import type { Activation, ModelEvent } from '../events/records.ts';
import type { EventLog, OutRecord } from '../log/event-log.ts';
import type { TopicNames } from '../pipelines/topics.ts';

/**
 * Makes records visible together. By hand it is `log.appendAtomically`; the learner passes the commit of its fenced
 * writer, so that of two learners that both believe to be active only one is heard.
 */
export type Publish = (records: readonly OutRecord[]) => Promise<unknown>;

/** What the functions of this room need to write. */
export interface Desk {
  readonly log: EventLog;
  readonly topics: TopicNames;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Default: `log.appendAtomically`. */
  readonly publish?: Publish;
}

export async function publish(desk: Desk, records: readonly OutRecord[]): Promise<void> {
  await (desk.publish ?? ((all) => desk.log.appendAtomically(all)))(records);
}

export function eventRecord(
  topics: TopicNames,
  event: Omit<ModelEvent, 'type' | 'details'>,
  details: object,
): OutRecord {
  const value = encodeRecord({ type: 'ModelEvent', ...event, details: JSON.stringify(details) });
  return { topic: topics.modelEvents, partition: 0, timestamp: event.time, key: Buffer.from(event.name), value };
}

/** An activation for every partition of `readings`. */
export async function activationRecords(desk: Desk, activation: Omit<Activation, 'type'>): Promise<OutRecord[]> {
  const { log, topics } = desk;
  const partitions = (await log.topic(topics.readings))?.partitions ?? 0;
  const value = encodeRecord({ type: 'Activation', ...activation });
  return Array.from({ length: partitions }, (_, partition) => ({
    topic: topics.readings,
    partition,
    timestamp: activation.time,
    key: null,
    value,
  }));
}
