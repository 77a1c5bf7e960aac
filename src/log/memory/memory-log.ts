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
import { requireDeletable, requireSameTopic, sharedPartitions, unknownPartition, unknownTopic } from '../topic-spec.ts';
import { MemoryGroup } from './memory-group.ts';
import { MemoryPartition } from './memory-partition.ts';

export interface MemoryLogOptions {
  /** Clock for retention, milliseconds since the epoch. Default `Date.now`. */
  readonly now?: () => number;
  /** How long a tombstone outlives compaction, by its timestamp. Default one day. */
  readonly tombstoneMs?: number;
}

const DAY_MS = 86_400_000;

/**
 * The log in the memory of this process: the twin for tests, the test driver and short experiments. Nothing survives
 * the process. Keys and values are kept, not copied: do not change them after appending.
 */
export class MemoryLog implements EventLog {
  readonly kind = 'memory';
  readonly #now: () => number;
  readonly #tombstoneMs: number;
  readonly #topics = new Map<string, { spec: TopicSpec; partitions: MemoryPartition[] }>();
  readonly #groups = new Map<string, MemoryGroup>();
  readonly #sessions = new Set<GroupSession>();
  #runs = 0;
  #closed = false;

  constructor(options: MemoryLogOptions = {}) {
    this.#now = options.now ?? Date.now;
    this.#tombstoneMs = options.tombstoneMs ?? DAY_MS;
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#open();
    for (const spec of specs) {
      const existing = this.#topics.get(spec.name);
      if (existing !== undefined) requireSameTopic(existing.spec, spec);
    }
    for (const spec of specs) {
      if (this.#topics.has(spec.name)) continue;
      const partitions = Array.from({ length: spec.partitions }, (_, p) => new MemoryPartition(spec.name, p));
      this.#topics.set(spec.name, { spec: { ...spec }, partitions });
    }
  }

  async topic(name: string): Promise<TopicSpec | undefined> {
    this.#open();
    return this.#topics.get(name)?.spec;
  }

  async topics(): Promise<readonly TopicSpec[]> {
    this.#open();
    return [...this.#topics.values()].map((topic) => topic.spec);
  }

  async append(records: readonly OutRecord[]): Promise<readonly number[]> {
    return this.#append(records);
  }

  async appendAtomically(records: readonly OutRecord[]): Promise<readonly number[]> {
    return this.#append(records);
  }

  async read(topic: string, partition: number, offset: number, options: ReadOptions = {}): Promise<ReadBatch> {
    const part = this.#partition(topic, partition);
    const first = part.read(offset, options);
    if (first.records.length > 0 || options.waitMs === undefined) return first;
    const deadline = performance.now() + options.waitMs;
    let next = first;
    for (;;) {
      const left = deadline - performance.now();
      if (next.records.length > 0 || left <= 0 || options.signal?.aborted === true) return next;
      await part.waiters.wait(left, options.signal);
      this.#open();
      next = part.read(next.nextOffset, options);
    }
  }

  async offsets(topic: string, partition: number): Promise<PartitionOffsets> {
    return this.#partition(topic, partition).offsets();
  }

  async written(topic: string, partition: number): Promise<number> {
    return (await this.offsets(topic, partition)).end;
  }

  async offsetForTime(topic: string, partition: number, timestamp: number): Promise<number> {
    return this.#partition(topic, partition).offsetForTime(timestamp);
  }

  async deleteRecords(topic: string, partition: number, before: number): Promise<void> {
    const part = this.#partition(topic, partition);
    requireDeletable(this.#topics.get(topic)!.spec);
    part.deleteBefore(before);
  }

  async join(options: GroupOptions): Promise<GroupMember> {
    this.#open();
    const partitions = sharedPartitions(options.topics, (name) => this.#topics.get(name)?.spec);
    const group = this.#group(options.group);
    const session = new GroupSession(options, group, `${options.memberId}#${++this.#runs}`, partitions);
    this.#sessions.add(session);
    await session.start();
    return new SessionMember(options, session, {
      refresh: () => {},
      epoch: (partition) => group.state.epochs[partition],
      committed: (topic, partition) => group.committed.get(`${topic}/${partition}`),
      commit: async (commit) => this.#commit(group, commit),
      left: () => {},
    });
  }

  async committed(group: string): Promise<ReadonlyMap<string, number>> {
    this.#open();
    return new Map(this.#groups.get(group)?.committed);
  }

  async deleteGroup(group: string): Promise<void> {
    this.#open();
    this.#groups.get(group)?.requireEmpty(group);
    this.#groups.delete(group);
  }

  async maintain(): Promise<void> {
    this.#open();
    for (const { spec, partitions } of this.#topics.values()) {
      for (const partition of partitions) partition.maintain(spec, this.#now(), this.#tombstoneMs);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const session of this.#sessions) session.abandon();
    for (const { partitions } of this.#topics.values()) for (const part of partitions) part.waiters.wake();
  }

  #commit(group: MemoryGroup, { partition, records, inputOffsets, check }: MemberCommit): number[] {
    check();
    const offsets = this.#append(records);
    for (const [topic, offset] of inputOffsets) group.committed.set(`${topic}/${partition}`, offset);
    return offsets;
  }

  /** All records or, where a topic or partition does not exist, none. Visible at once. */
  #append(records: readonly OutRecord[]): number[] {
    this.#open();
    for (const record of records) this.#partition(record.topic, record.partition);
    const touched = new Set<MemoryPartition>();
    const offsets = records.map((record) => {
      const part = this.#topics.get(record.topic)!.partitions[record.partition]!;
      touched.add(part);
      return part.append(record);
    });
    for (const part of touched) part.waiters.wake();
    return offsets;
  }

  #group(name: string): MemoryGroup {
    let group = this.#groups.get(name);
    if (group === undefined) {
      group = new MemoryGroup();
      this.#groups.set(name, group);
    }
    return group;
  }

  #partition(topic: string, partition: number): MemoryPartition {
    this.#open();
    const found = this.#topics.get(topic) ?? unknownTopic(topic);
    return found.partitions[partition] ?? unknownPartition(topic, partition);
  }

  #open(): void {
    if (this.#closed) throw new FleetcastError('LOG_CLOSED', 'the memory log is closed');
  }
}
