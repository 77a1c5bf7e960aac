import { decode, encodeRecord } from '../events/codec.ts';
import type { StateSnapshot } from '../events/records.ts';
import type { EventLog, OutRecord } from '../log/event-log.ts';
import type { SweepRecord } from '../state/sweep.ts';
import { keyText } from './bytes.ts';

/** Where on the state topic a task's snapshots are. */
export interface StatePlace {
  readonly topic: string;
  readonly partition: number;
  readonly task: string;
}

/** A snapshot or tombstone as a record of the state topic: key `task/key`. */
export function stateRecord(place: StatePlace, { key, snapshot }: SweepRecord, timestamp: number): OutRecord {
  return {
    topic: place.topic,
    partition: place.partition,
    timestamp,
    key: Buffer.from(`${place.task}/${key}`, 'utf8'),
    value: snapshot === null ? null : encodeRecord(snapshot),
  };
}

export interface StateEntry {
  /** What follows the prefix in the record's key. */
  readonly key: string;
  /** Undefined for a tombstone. */
  readonly snapshot: StateSnapshot | undefined;
}

/**
 * All entries whose keys begin with one of the prefixes, in the order of the log: for one key the last one counts.
 * Compaction may have left older ones.
 * @param onProgress share of the partition that is read, from 0 to 1.
 */
export async function* readSnapshots<P extends string>(
  log: EventLog,
  place: StatePlace,
  prefixes: readonly P[],
  onProgress: (share: number) => void = () => {},
): AsyncGenerator<StateEntry & { readonly prefix: P }> {
  const wanted = prefixes.map((prefix) => ({ prefix, bytes: Buffer.from(prefix, 'utf8') }));
  const { earliest, end } = await log.offsets(place.topic, place.partition);
  const limits = { maxRecords: 10_000, maxBytes: 8 * 1024 * 1024 };
  for (let offset = earliest; offset < end; ) {
    const batch = await log.read(place.topic, place.partition, offset, limits);
    for (const { key, value } of batch.records) {
      if (key === null) continue;
      const match = wanted.find(({ bytes }) => Buffer.compare(key.subarray(0, bytes.length), bytes) === 0);
      if (match === undefined) continue;
      const rest = keyText(key.subarray(match.bytes.length));
      const snapshot = value === null ? undefined : decode<StateSnapshot>('StateSnapshot', value);
      yield { prefix: match.prefix, key: rest, snapshot };
    }
    if (batch.nextOffset <= offset) break;
    offset = batch.nextOffset;
    onProgress((offset - earliest) / (end - earliest));
  }
}
