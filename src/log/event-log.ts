/**
 * The contract of the log. Implementations: `memory`, `embedded` (LMDB), `kafka`; all run `event-log.contract.ts`.
 *
 * Promises of every implementation:
 * - Records of one partition keep the order in which they were appended; readers see no record before all earlier ones.
 * - A resolved `append` or `commit` is durable: it survives `kill -9` of any process.
 * - Readers see committed records only; all records and the input offsets of one commit become visible together. On
 *   Kafka that may be a moment after the call has resolved.
 * - A writer that has lost its partition fails with `LOG_FENCED`, and nothing of its last commit becomes visible.
 * - A compacted topic keeps the last value of each key; a null value (tombstone) removes the key in time.
 */

export interface TopicSpec {
  readonly name: string;
  readonly partitions: number;
  /** `delete` drops old records by the retention below; `compact` keeps the last record of each key. */
  readonly cleanup: 'delete' | 'compact';
  /**
   * Milliseconds by record timestamp; undefined keeps for ever. Only for `delete`, except that a topic which somebody else
   * has made on Kafka may be both: it is no fit for `compact`.
   */
  readonly retentionMs?: number;
  /** Bytes a partition; undefined is no limit. Only for `delete`. */
  readonly retentionBytes?: number;
}

export interface LogRecord {
  readonly offset: number;
  /** Milliseconds since the epoch: when the producer made the record (ingest time for readings). */
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

export interface OutRecord {
  readonly topic: string;
  readonly partition: number;
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

export interface ReadOptions {
  /** Most records to return; the batch may be smaller. */
  readonly maxRecords?: number;
  /** About how many bytes of keys and values to return; at least one record is returned where there is one. */
  readonly maxBytes?: number;
  /** How long to wait for a first record before an empty batch is returned. Default 0. */
  readonly waitMs?: number;
  /** Ends the wait early with an empty batch. */
  readonly signal?: AbortSignal;
}

export interface ReadBatch {
  readonly records: readonly LogRecord[];
  /** Where to read next. Larger than the last offset + 1 where compaction or control records left holes. */
  readonly nextOffset: number;
  /** The end offset that was seen: lag in records is `endOffset − nextOffset`. */
  readonly endOffset: number;
}

export interface PartitionOffsets {
  /** Lowest offset that can be read from. On a compacted topic records may be missing from there on. */
  readonly earliest: number;
  /** Offset that the next record will get (as a committed reader sees it). */
  readonly end: number;
}

export interface EventLog {
  readonly kind: 'memory' | 'embedded' | 'kafka';
  /** Most bytes of key and value together that a record may have; undefined where there is no limit. */
  readonly maxRecordBytes?: number;

  /** Creates what is missing. An existing topic that disagrees is an error (LOG_TOPIC_MISMATCH); nothing is altered. */
  ensureTopics(specs: readonly TopicSpec[]): Promise<void>;
  /**
   * Has a topic with cleanup `delete` keep its records for another time or size, from the next cleaning on. Left out where
   * the log has tools of its own for that. Other processes that have the log open may go on to describe it as it was.
   * @throws LOG_TOPIC_UNKNOWN, LOG_TOPIC_MISMATCH for a compacted topic.
   */
  setRetention?(name: string, retention: Pick<TopicSpec, 'retentionMs' | 'retentionBytes'>): Promise<void>;
  /** Undefined where the topic does not exist. */
  topic(name: string): Promise<TopicSpec | undefined>;
  topics(): Promise<readonly TopicSpec[]>;

  /**
   * Appends and resolves when durable, with the offset of each record, in the order given. Not transactional across
   * calls; calls made one after the other (without awaiting) keep their order within each partition.
   */
  append(records: readonly OutRecord[]): Promise<readonly number[]>;
  /** Appends all records so that they become visible together or not at all. */
  appendAtomically(records: readonly OutRecord[]): Promise<readonly number[]>;

  /** @throws LOG_OFFSET_OUT_OF_RANGE below the earliest or above the end offset. */
  read(topic: string, partition: number, offset: number, options?: ReadOptions): Promise<ReadBatch>;
  offsets(topic: string, partition: number): Promise<PartitionOffsets>;
  /**
   * Offset after everything that has been written to the partition, commits that are under way included. It is beyond
   * the end of `offsets` only while such a commit hides what came behind it: on Kafka, where one writer's transaction
   * keeps readers from what others have committed since. Once `end` has come to what this said after a writer was
   * opened, all that the writer's predecessors have committed can be read.
   */
  written(topic: string, partition: number): Promise<number>;
  /** Offset of the first record whose timestamp is at or after `timestamp`; the end offset if there is none. */
  offsetForTime(topic: string, partition: number, timestamp: number): Promise<number>;
  /**
   * Forgets the records of a partition before an offset, for ever: `earliest` is there or later afterwards. Offsets
   * stay what they are. Only of a topic with cleanup `delete`.
   * @throws LOG_TOPIC_MISMATCH for a compacted topic, LOG_OFFSET_OUT_OF_RANGE above the end.
   */
  deleteRecords(topic: string, partition: number, before: number): Promise<void>;

  /** Joins a group whose members share the partition numbers of co-partitioned topics. */
  join(options: GroupOptions): Promise<GroupMember>;
  /** Offsets that the group has committed, without joining it. Key `topic/partition`. */
  committed(group: string): Promise<ReadonlyMap<string, number>>;
  /** Forgets the committed offsets of a group. @throws LOG_GROUP_BUSY while it has members. */
  deleteGroup(group: string): Promise<void>;

  /** Why records cannot be had at present, for health; undefined while all is well. Left out where that cannot be. */
  trouble?(): string | undefined;
  /** Applies retention and compaction now (they also run in the background where the implementation does them). */
  maintain(): Promise<void>;
  close(): Promise<void>;
}

export interface GroupOptions {
  readonly group: string;
  /** Topics with equal partition counts: a task owns partition p of all of them. */
  readonly topics: readonly string[];
  /** Who this is, in health and errors; unique within the group. */
  readonly memberId: string;
  /** Without a sign of life for so long, a member loses its partitions. Default 10,000. */
  readonly sessionMs?: number;
  /**
   * Called one after the other, never at the same time. `onRevoked` is awaited before the partitions go to another
   * member, within the session time-out; after that they are gone whatever it does. `onLost`: gone already.
   */
  readonly onAssigned: (partitions: readonly number[]) => Promise<void> | void;
  readonly onRevoked: (partitions: readonly number[]) => Promise<void> | void;
  readonly onLost?: (partitions: readonly number[]) => Promise<void> | void;
  /** Called with all that is waited for, whenever that has changed; empty when nothing is any more. */
  readonly onWaiting?: (waits: readonly PartitionWait[]) => void;
}

/** A partition that a member is to have and another still holds. */
export interface PartitionWait {
  readonly partition: number;
  /** Member id of who holds it; undefined where the log does not say. */
  readonly holder: string | undefined;
  /** When the holder's session ends if it gives no sign of life; milliseconds since the epoch. */
  readonly until: number | undefined;
}

/** One partition of a topic. */
export interface PartitionPlace {
  readonly topic: string;
  readonly partition: number;
}

export interface GroupMember {
  readonly memberId: string;
  /** Partition numbers that this member holds now. */
  assignment(): readonly number[];
  /**
   * Whether the group has told this member its share since it joined, be it nothing; what others still hold of it is
   * what `onWaiting` has told. False again while a member that was given up joins anew.
   */
  settled(): boolean;
  /**
   * A writer for partition `partition`, which must be assigned. Opening it fences every earlier writer of the same
   * group and partition; read the committed offsets only after it is open.
   * @param writes where it writes besides the offsets: what an earlier writer has decided but not ended there is ended
   */
  openWriter(partition: number, writes?: readonly PartitionPlace[]): Promise<TaskWriter>;
  /** Gives the partitions back (onRevoked is called) and leaves. */
  leave(): Promise<void>;
}

export interface TaskWriter {
  readonly partition: number;
  /** Next input offset to read for each topic of the group; undefined where nothing was committed yet. */
  committed(): Promise<ReadonlyMap<string, number>>;
  /**
   * Makes `records` and the input offsets (next offset to read, by topic) visible together, durably.
   * @returns the offsets of the records, in order.
   * @throws LOG_FENCED when another writer has taken over: this one is dead from then on. After any other error the
   * outcome may be unknown: close this writer, open another and go on from what it says was committed.
   */
  commit(records: readonly OutRecord[], inputOffsets: ReadonlyMap<string, number>): Promise<readonly number[]>;
  close(): Promise<void>;
}
