import { FleetcastError } from '../errors.ts';
import { decode, encodeRecord } from '../events/codec.ts';
import type { StateSnapshot } from '../events/records.ts';
import type { EventLog, LogRecord, OutRecord, PartitionOffsets, ReadOptions } from '../log/event-log.ts';
import type { SweepRecord } from '../state/sweep.ts';
import { keyText } from './bytes.ts';

/** Where on the state topic a task's snapshots are. */
export interface StatePlace {
  readonly topic: string;
  readonly partition: number;
  readonly task: string;
}

/**
 * A snapshot or tombstone as a record of the state topic: key `task/key`.
 * @param maxRecordBytes what the log takes of a record
 * @throws STATE_TOO_LARGE, whatever the policies of nodes say: at which input record a snapshot is due depends on the
 * sweep, so that dropping a key then would make outputs depend on it
 */
export function stateRecord(
  place: StatePlace,
  { key, snapshot }: SweepRecord,
  timestamp: number,
  maxRecordBytes = Number.POSITIVE_INFINITY,
): OutRecord {
  const record = {
    topic: place.topic,
    partition: place.partition,
    timestamp,
    key: Buffer.from(`${place.task}/${key}`, 'utf8'),
    value: snapshot === null ? null : encodeRecord(snapshot),
  };
  const bytes = record.key.length + (record.value?.length ?? 0);
  if (snapshot !== null && bytes > maxRecordBytes) throw tooLarge(snapshot, bytes, maxRecordBytes);
  return record;
}

function tooLarge({ task, key, stores }: StateSnapshot, bytes: number, limit: number): FleetcastError {
  const [store, part] = Object.entries(stores).reduce((most, next) => (next[1].length > most[1].length ? next : most));
  const node = store.slice(store.indexOf(':') + 1, store.lastIndexOf('/'));
  const whose = key === '' ? 'what belongs to no key' : `the key ${key}`;
  return new FleetcastError(
    'STATE_TOO_LARGE',
    `task ${task}: the state of ${whose} has ${bytes} bytes, of which the log takes ${limit}; ${part.length} of them are ` +
      `those of the node ${node} (${store})`,
    { details: { task, node, store, key, bytes, limit } },
  );
}

export interface StateEntry {
  /** What follows the prefix in the record's key. */
  readonly key: string;
  /** Undefined for a tombstone. */
  readonly snapshot: StateSnapshot | undefined;
}

/** What a reader does while an open transaction hides a part of the state topic. */
export interface HiddenPart {
  /** Waits a while, or until the reading is to end. */
  pause(): Promise<void>;
  readonly signal?: AbortSignal;
}

const LIMITS = { maxRecords: 10_000, maxBytes: 8 * 1024 * 1024 };

/**
 * Reads the entries whose keys begin with one of the prefixes, in the order of the log: for one key the last one counts.
 * Compaction may have left older ones.
 */
export class SnapshotReader<P extends string> {
  readonly #log: EventLog;
  readonly #place: StatePlace;
  readonly #wanted: readonly { readonly prefix: P; readonly bytes: Buffer }[];
  #first: number | undefined;
  #next: number | undefined;
  #end = 0;

  constructor(log: EventLog, place: StatePlace, prefixes: readonly P[]) {
    this.#log = log;
    this.#place = place;
    this.#wanted = prefixes.map((prefix) => ({ prefix, bytes: Buffer.from(prefix, 'utf8') }));
  }

  /** Records of the partition that are there and were not read, as last seen. */
  get lag(): number {
    return this.#next === undefined ? 0 : Math.max(0, this.#end - this.#next);
  }

  /**
   * Everything that has been committed until now, by whomever: what another writer's open transaction hides is waited
   * for, because state that is older than the committed offsets is no state. Ends early when the signal fires.
   * @param onProgress share that is read, from 0 to 1.
   * @throws LOG_UNAVAILABLE where the log brings nothing although there is something.
   */
  async *toEnd(
    hidden: HiddenPart,
    onProgress: (share: number) => void = () => {},
  ): AsyncGenerator<StateEntry & { readonly prefix: P }> {
    const { topic, partition } = this.#place;
    const to = await this.#log.written(topic, partition);
    let { end } = await this.#begin();
    while (this.#next! < to && hidden.signal?.aborted !== true) {
      if (this.#next! >= end) {
        await hidden.pause();
        ({ end } = await this.#begin());
        continue;
      }
      const before = this.#next!;
      yield* await this.next();
      if (this.#next! <= before) throw stalled(topic, partition, before, end);
      onProgress(Math.min(1, (this.#next! - this.#first!) / (to - this.#first!)));
    }
  }

  /** The next few; none where nothing came for `waitMs`. To be used up before it is called again. */
  async next(
    wait: Pick<ReadOptions, 'waitMs' | 'signal'> = {},
  ): Promise<Iterable<StateEntry & { readonly prefix: P }>> {
    if (this.#next === undefined) await this.#begin();
    const { topic, partition } = this.#place;
    const { records, nextOffset, endOffset } = await this.#log.read(topic, partition, this.#next!, {
      ...LIMITS,
      ...wait,
    });
    this.#next = nextOffset;
    this.#end = endOffset;
    return this.#entries(records);
  }

  async #begin(): Promise<PartitionOffsets> {
    const offsets = await this.#log.offsets(this.#place.topic, this.#place.partition);
    this.#first ??= offsets.earliest;
    this.#next ??= offsets.earliest;
    this.#end = offsets.end;
    return offsets;
  }

  *#entries(records: readonly LogRecord[]): Generator<StateEntry & { readonly prefix: P }> {
    for (const { key, value } of records) {
      if (key === null) continue;
      const match = this.#wanted.find(({ bytes }) => Buffer.compare(key.subarray(0, bytes.length), bytes) === 0);
      if (match === undefined) continue;
      const rest = keyText(key.subarray(match.bytes.length));
      const snapshot = value === null ? undefined : decode<StateSnapshot>('StateSnapshot', value);
      yield { prefix: match.prefix, key: rest, snapshot };
    }
  }
}

/** A reader that took this for the end would go on without the rest. */
export function stalled(topic: string, partition: number, offset: number, end: number): FleetcastError {
  return new FleetcastError(
    'LOG_UNAVAILABLE',
    `${topic}/${partition} brings nothing from offset ${offset} on, though it ends at ${end}`,
    { details: { topic, partition, offset, end } },
  );
}
