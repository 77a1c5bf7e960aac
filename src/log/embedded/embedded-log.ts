import { randomUUID } from 'node:crypto';
import { FleetcastError } from '../../errors.ts';
import type {
  EventLog,
  GroupMember,
  GroupOptions,
  OutRecord,
  PartitionOffsets,
  ReadBatch,
  ReadOptions,
  TopicSpec,
} from '../event-log.ts';
import { GroupSession } from '../groups/group-session.ts';
import { type MemberCommit, SessionMember } from '../groups/session-member.ts';
import { payloadBytes } from '../read-limits.ts';
import { requireDeletable, requireSameTopic, sharedPartitions, unknownPartition, unknownTopic } from '../topic-spec.ts';
import { Waiters } from '../waiters.ts';
import { Bell } from './bell.ts';
import { Cleaner } from './cleaner.ts';
import { EmbeddedGroup } from './embedded-group.ts';
import { PartitionReader } from './partition-reader.ts';
import { type PartitionId, type StoredTopic, Tables } from './tables.ts';
import { hold, verifyFolder } from './verify-folder.ts';
import { type Share, WriteQueue } from './write-queue.ts';

export interface EmbeddedLogOptions {
  /** Folder of the log: its own, nothing else in it. Made where it is missing. */
  readonly path: string;
  /** Clock for retention and sessions, milliseconds since the epoch; processes on one folder must agree on it. */
  readonly now?: () => number;
  /** Most bytes that records may take in all; appending beyond it is LOG_FULL. Default no limit. */
  readonly maxBytes?: number;
  /** Appending is refused (LOG_FULL) while fewer bytes are free on the disk. Default 8 MiB. */
  readonly reserveBytes?: number;
  /** Largest key and value together, bytes. Default 64 MiB. */
  readonly maxRecordBytes?: number;
  /** How long a tombstone outlives compaction, by its timestamp. Default one day. */
  readonly tombstoneMs?: number;
  /** Milliseconds between cleanings in the background; 0 is never. Default 30,000. */
  readonly maintainEveryMs?: number;
  /** Most bytes of records whose checksums are verified at the opening, the latest first. Default 512 MiB. */
  readonly verifyBytes?: number;
  /** Hears of errors in the background cleaning, and of damage that any call meets (which throws besides). */
  readonly onError?: (error: unknown) => void;
}

const DAY_MS = 86_400_000;
const MAINTAIN_EVERY_MS = 30_000;
const VERIFY_BYTES = 512 * 2 ** 20;
const MAX_RECORD_BYTES = 64 * 2 ** 20;
/** The background cleaning rewrites a compacted partition when so much of it is new; `maintain` always. */
const DIRTY_SHARE = 0.5;

/**
 * Opens the log in a folder; several processes may do so at a time.
 * @throws DATA_FOLDER_DAMAGED, DATA_FOLDER_NEWER (the folder is left untouched), LOG_FULL.
 */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EventLog> {
  await verifyFolder(options.path, options.verifyBytes ?? VERIFY_BYTES);
  return new EmbeddedLog(options, new Tables(options.path, options.reserveBytes, options.onError));
}

/** Keys and values of records that were read are views onto a chunk of up to 64 KiB: copy what is kept for long. */
class EmbeddedLog implements EventLog {
  readonly kind = 'embedded';
  readonly maxRecordBytes: number;
  readonly #queue: WriteQueue;
  readonly #options: EmbeddedLogOptions;
  readonly #now: () => number;
  readonly #tables: Tables;
  readonly #reader: PartitionReader;
  readonly #cleaner: Cleaner;
  readonly #bell: Bell;
  readonly #known = new Map<string, StoredTopic>();
  readonly #waiters = new Map<string, Waiters>();
  readonly #groups = new Map<string, EmbeddedGroup>();
  readonly #sessions = new Set<GroupSession>();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #release: () => void;
  #maintaining: Promise<void> | undefined;
  #closed = false;

  constructor(options: EmbeddedLogOptions, tables: Tables) {
    this.#options = options;
    this.maxRecordBytes = options.maxRecordBytes ?? MAX_RECORD_BYTES;
    this.#now = options.now ?? Date.now;
    this.#tables = tables;
    this.#release = hold(options.path);
    this.#reader = new PartitionReader(tables);
    this.#cleaner = new Cleaner(tables, this.#now, options.tombstoneMs ?? DAY_MS);
    this.#bell = new Bell(tables, () => this.#changedElsewhere());
    this.#queue = new WriteQueue(tables, options.maxBytes ?? Number.POSITIVE_INFINITY, (touched) => {
      for (const id of touched) this.#waiters.get(`${id.topic}/${id.partition}`)?.wake();
    });
    const every = options.maintainEveryMs ?? MAINTAIN_EVERY_MS;
    if (every > 0) {
      this.#timer = setInterval(() => {
        this.#maintain(DIRTY_SHARE).catch((error: unknown) => options.onError?.(tables.translate(error)));
      }, every);
      this.#timer.unref();
    }
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#open();
    this.#refresh();
    const missing = specs.filter((spec) => {
      const existing = this.#find(spec.name);
      if (existing !== undefined) requireSameTopic(existing.spec, spec);
      return existing === undefined;
    });
    if (missing.length === 0) return;
    this.#tables.write(() => {
      let id = 0;
      for (const { value } of this.#tables.topics.getRange()) id = Math.max(id, value.id);
      for (const spec of missing) {
        const existing = this.#tables.topics.get(spec.name);
        if (existing !== undefined) requireSameTopic(existing.spec, spec);
        else this.#tables.topics.put(spec.name, { id: ++id, spec });
      }
    });
  }

  async setRetention(name: string, { retentionMs, retentionBytes }: TopicSpec): Promise<void> {
    this.#open();
    this.#refresh();
    this.#tables.write(() => {
      const { id, spec } = this.#tables.topics.get(name) ?? unknownTopic(name);
      requireDeletable(spec);
      const changed: StoredTopic = {
        id,
        spec: {
          name,
          partitions: spec.partitions,
          cleanup: spec.cleanup,
          ...(retentionMs === undefined ? {} : { retentionMs }),
          ...(retentionBytes === undefined ? {} : { retentionBytes }),
        },
      };
      this.#tables.topics.put(name, changed);
    });
    this.#known.delete(name);
  }

  async topic(name: string): Promise<TopicSpec | undefined> {
    this.#open();
    this.#refresh();
    return this.#find(name)?.spec;
  }

  async topics(): Promise<readonly TopicSpec[]> {
    this.#open();
    this.#refresh();
    return [...this.#tables.topics.getRange()].map(({ value }) => value.spec);
  }

  async append(records: readonly OutRecord[]): Promise<readonly number[]> {
    this.#open();
    const shares = this.#shares(records);
    return records.length === 0 ? [] : this.#queue.write({ shares, count: records.length });
  }

  async appendAtomically(records: readonly OutRecord[]): Promise<readonly number[]> {
    return this.append(records);
  }

  async read(topic: string, partition: number, offset: number, options: ReadOptions = {}): Promise<ReadBatch> {
    const id = this.#id(topic, partition);
    const deadline = performance.now() + (options.waitMs ?? 0);
    if (options.waitMs !== undefined) this.#bell.listen();
    let batch = this.#reader.read(id, offset, options);
    for (;;) {
      const left = deadline - performance.now();
      if (batch.records.length > 0 || left <= 0 || options.signal?.aborted === true) return batch;
      await this.#waitersOf(id).wait(left, options.signal);
      this.#open();
      batch = this.#reader.read(id, batch.nextOffset, options);
    }
  }

  async offsets(topic: string, partition: number): Promise<PartitionOffsets> {
    const id = this.#id(topic, partition);
    this.#refresh();
    const { start, end } = this.#tables.readEnds(id);
    return { earliest: start, end };
  }

  async written(topic: string, partition: number): Promise<number> {
    return (await this.offsets(topic, partition)).end;
  }

  async offsetForTime(topic: string, partition: number, timestamp: number): Promise<number> {
    return this.#reader.offsetForTime(this.#id(topic, partition), timestamp);
  }

  async deleteRecords(topic: string, partition: number, before: number): Promise<void> {
    const id = this.#id(topic, partition);
    requireDeletable(this.#find(topic)!.spec);
    await this.#cleaner.deleteBefore(id, before);
  }

  async join(options: GroupOptions): Promise<GroupMember> {
    this.#open();
    this.#refresh();
    const partitions = sharedPartitions(options.topics, (name) => this.#find(name)?.spec);
    const group = this.#group(options.group);
    const session = new GroupSession(options, group, randomUUID(), partitions);
    this.#bell.listen();
    this.#sessions.add(session);
    await session.start();
    return new SessionMember(options, session, {
      refresh: () => this.#refresh(),
      epoch: (partition) => group.epoch(partition),
      committed: (topic, partition) => group.committed(topic, partition),
      commit: (commit) => this.#commit(group, commit),
      left: () => this.#sessions.delete(session),
    });
  }

  async committed(group: string): Promise<ReadonlyMap<string, number>> {
    this.#open();
    return this.#group(group).allCommitted();
  }

  async deleteGroup(group: string): Promise<void> {
    this.#open();
    this.#group(group).delete();
  }

  async maintain(): Promise<void> {
    this.#open();
    await this.#maintaining;
    await this.#maintain(0);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    clearInterval(this.#timer);
    try {
      this.#queue.drain();
    } finally {
      for (const session of this.#sessions) session.abandon();
      this.#sessions.clear();
      this.#closed = true;
      this.#bell.close();
      for (const waiters of this.#waiters.values()) waiters.wake();
      await this.#maintaining?.catch(() => {});
      this.#release();
      await this.#tables.close();
    }
  }

  #refresh(): void {
    this.#tables.refresh();
  }

  async #commit(
    group: EmbeddedGroup,
    { partition, records, inputOffsets, check }: MemberCommit,
  ): Promise<readonly number[]> {
    const finish = (): void => {
      for (const [topic, offset] of inputOffsets) group.putCommitted(topic, partition, offset);
    };
    return this.#queue.write({ shares: this.#shares(records), count: records.length, check, finish });
  }

  /** Sorts records by partition. @throws LOG_TOPIC_UNKNOWN, LOG_RECORD_TOO_LARGE. */
  #shares(records: readonly OutRecord[]): readonly Share[] {
    this.#open();
    const limit = this.maxRecordBytes;
    const shares = new Map<string, (Share | undefined)[]>();
    const result: Share[] = [];
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!;
      if (payloadBytes(record) > limit) {
        throw new FleetcastError(
          'LOG_RECORD_TOO_LARGE',
          `${record.topic}/${record.partition}: a record of ${payloadBytes(record)} bytes; ${limit} are allowed`,
          { details: { topic: record.topic, partition: record.partition } },
        );
      }
      let byPartition = shares.get(record.topic);
      if (byPartition === undefined) {
        byPartition = [];
        shares.set(record.topic, byPartition);
      }
      let share = byPartition[record.partition];
      if (share === undefined) {
        share = { id: this.#id(record.topic, record.partition), records: [], places: [] };
        byPartition[record.partition] = share;
        result.push(share);
      }
      share.records.push(record);
      share.places.push(i);
    }
    return result;
  }

  async #maintain(dirtyShare: number): Promise<void> {
    if (this.#maintaining !== undefined) return this.#maintaining;
    const run = async () => {
      this.#refresh();
      this.#tables.root.readerCheck();
      for (const { value: topic } of [...this.#tables.topics.getRange()]) {
        for (let p = 0; p < topic.spec.partitions && !this.#closed; p++) {
          await this.#cleaner.clean(topic, p, dirtyShare);
        }
      }
    };
    this.#maintaining = run().finally(() => {
      this.#maintaining = undefined;
    });
    return this.#maintaining;
  }

  #changedElsewhere(): void {
    for (const waiters of this.#waiters.values()) waiters.wake();
    for (const group of this.#groups.values()) group.look();
  }

  #waitersOf(id: PartitionId): Waiters {
    const name = `${id.topic}/${id.partition}`;
    let waiters = this.#waiters.get(name);
    if (waiters === undefined) {
      waiters = new Waiters();
      this.#waiters.set(name, waiters);
    }
    return waiters;
  }

  #group(name: string): EmbeddedGroup {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = new EmbeddedGroup(this.#tables, name, this.#now);
      this.#groups.set(name, group);
    }
    return group;
  }

  #id(topic: string, partition: number): PartitionId {
    this.#open();
    let found = this.#known.get(topic);
    if (found === undefined) {
      this.#refresh();
      found = this.#find(topic) ?? unknownTopic(topic);
    }
    if (!(partition >= 0 && partition < found.spec.partitions)) unknownPartition(topic, partition);
    return { topic, topicId: found.id, partition };
  }

  /** Of a topic that is there only the retention ever changes. */
  #find(name: string): StoredTopic | undefined {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const stored = this.#tables.topics.get(name);
    if (stored !== undefined) this.#known.set(name, stored);
    return stored;
  }

  #open(): void {
    if (this.#closed) throw new FleetcastError('LOG_CLOSED', `the log ${this.#options.path} is closed`);
  }
}
