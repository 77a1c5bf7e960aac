import { decode, encodeRecord } from '../events/codec.ts';
import type { StateSnapshot } from '../events/records.ts';
import type { EventLog, OutRecord } from '../log/event-log.ts';
import type { SweepRecord } from '../state/sweep.ts';

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
  readonly key: string;
  /** Undefined for a tombstone. */
  readonly snapshot: StateSnapshot | undefined;
}

/**
 * All entries of a task in the order of the log: for one key the last one counts. Compaction may have left older ones.
 * @param onProgress share of the partition that is read, from 0 to 1.
 */
export async function* readSnapshots(
  log: EventLog,
  place: StatePlace,
  onProgress: (share: number) => void = () => {},
): AsyncGenerator<StateEntry> {
  const prefix = Buffer.from(`${place.task}/`, 'utf8');
  const { earliest, end } = await log.offsets(place.topic, place.partition);
  for (let offset = earliest; offset < end; ) {
    const batch = await log.read(place.topic, place.partition, offset, {
      maxRecords: 10_000,
      maxBytes: 8 * 1024 * 1024,
    });
    for (const { key, value } of batch.records) {
      if (key === null || Buffer.compare(key.subarray(0, prefix.length), prefix) !== 0) continue;
      if (value !== null) {
        const snapshot = decode<StateSnapshot>('StateSnapshot', value);
        yield { key: snapshot.key, snapshot };
      } else {
        yield { key: Buffer.from(key.subarray(prefix.length)).toString('utf8'), snapshot: undefined };
      }
    }
    if (batch.nextOffset <= offset) break;
    offset = batch.nextOffset;
    onProgress((offset - earliest) / (end - earliest));
  }
}
