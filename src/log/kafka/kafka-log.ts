import { randomUUID } from 'node:crypto';
import { FleetcastError } from '../../errors.ts';
import type {
  EventLog,
  GroupMember,
  GroupOptions,
  OutRecord,
  PartitionOffsets,
  PartitionPlace,
  ReadBatch,
  ReadOptions,
  TopicSpec,
} from '../event-log.ts';
import { payloadBytes } from '../read-limits.ts';
import { outOfRange, requireDeletable, sharedPartitions, unknownPartition, unknownTopic } from '../topic-spec.ts';
import { Appender } from './appender.ts';
import { loadZstd } from './compression.ts';
import { Fetcher } from './fetcher.ts';
import { CODE, codeOf, patiently } from './kafka-errors.ts';
import { KafkaMember, type MemberLog } from './kafka-member.ts';
import { DEFAULTS, type KafkaLogOptions } from './kafka-options.ts';
import { leaderOf, type PartitionRecords } from './sender.ts';
import { stableOffsets } from './stable-offsets.ts';
import { Topics } from './topics.ts';
import { type FormerWriters, Transactions } from './transactions.ts';
import { GROUP_COORDINATOR, knowTopics, READ_COMMITTED, READ_UNCOMMITTED, Wire, type WireCluster } from './wire.ts';

const EARLIEST = -2;
/** How often and how long a read waits for records that the broker says there are. */
const MOST_TRIES = 60;
const TRY_MS = 500;
const LATEST = -1;
/** A topic counts as missing after so many answers that say so. */
const LOOK_UPS = 4;

/** The log on Apache Kafka. Resolves when a broker has answered. @throws LOG_UNAVAILABLE. */
export async function openKafkaLog(options: KafkaLogOptions): Promise<EventLog> {
  const log = new KafkaLog(options);
  try {
    await log.connect();
  } catch (error) {
    await log.close();
    throw error;
  }
  return log;
}

/** What `ensureTopics` would do on Kafka, a line for each topic, without doing it. @throws LOG_TOPIC_MISMATCH. */
export async function planKafkaTopics(options: KafkaLogOptions, specs: readonly TopicSpec[]): Promise<string[]> {
  const topics = new Topics(new Wire(options), options);
  try {
    return await topics.plan(specs);
  } finally {
    await topics.close();
  }
}

class KafkaLog implements EventLog, MemberLog {
  readonly kind = 'kafka';
  readonly maxRecordBytes: number;
  readonly wire: Wire;
  readonly #options: KafkaLogOptions;
  readonly #retryMs: number;
  readonly #topics: Topics;
  readonly #cluster: WireCluster;
  readonly #appender: Appender;
  readonly #fetcher: Fetcher;
  readonly #members = new Set<KafkaMember>();
  /** Partitions of topics that are known to exist; they are never fewer later. */
  readonly #counts = new Map<string, number>();
  readonly #atomicId: string;
  /** Where the transactions under that id have written. */
  readonly #atomicPlaces = new Map<string, PartitionPlace>();
  #atomic: Promise<Transactions> | undefined;
  #closed = false;

  constructor(options: KafkaLogOptions) {
    this.#options = options;
    this.maxRecordBytes = options.maxRecordBytes ?? DEFAULTS.maxRecordBytes;
    this.#retryMs = options.retryMs ?? DEFAULTS.retryMs;
    this.wire = new Wire(options);
    this.#topics = new Topics(this.wire, options);
    this.#atomicId = `${this.real('append')}-${randomUUID()}`;
    this.#cluster = this.wire.cluster();
    this.#appender = new Appender(this.wire, this.#retryMs, options.compression ?? DEFAULTS.compression);
    this.#fetcher = new Fetcher(this.wire, this.#retryMs);
  }

  async connect(): Promise<void> {
    const where = this.#options.brokers.join(', ');
    await loadZstd();
    const retryMs = this.#options.connectMs ?? this.#retryMs;
    await patiently({ where, retryMs }, () => this.#cluster.connect());
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    this.#open();
    await this.#topics.ensure(specs);
    // A broker may hear of a new topic a little later than the one that made it.
    for (const { name } of specs) {
      await patiently({ where: name, retryMs: this.#retryMs }, async () => {
        if ((await this.#lookUp(name)) === undefined) throw new Error(`topic ${name} is not visible yet`);
      });
    }
  }

  async topic(name: string): Promise<TopicSpec | undefined> {
    this.#open();
    return this.#topics.find(name);
  }

  async topics(): Promise<readonly TopicSpec[]> {
    this.#open();
    return this.#topics.all();
  }

  async append(records: readonly OutRecord[]): Promise<readonly number[]> {
    // Without a pause where all topics are known: calls keep their order.
    const shares = this.#sharesNow(records) ?? (await this.shares(records));
    return records.length === 0 ? [] : this.#appender.append(shares, records.length);
  }

  async appendAtomically(records: readonly OutRecord[]): Promise<readonly number[]> {
    const shares = await this.shares(records);
    if (records.length === 0) return [];
    this.#atomic ??= this.openTransactions(this.#atomicId, { places: [...this.#atomicPlaces.values()] });
    for (const { topic, partition } of records) this.#atomicPlaces.set(`${topic}/${partition}`, { topic, partition });
    const transactions = this.#atomic;
    let spent = true;
    try {
      const open = await transactions;
      const offsets = await open.commit(shares, records.length);
      spent = open.spent;
      return offsets;
    } finally {
      if (spent && this.#atomic === transactions) {
        this.#atomic = undefined;
        void transactions.then((dead) => dead.close()).catch(() => {});
      }
    }
  }

  async read(topic: string, partition: number, offset: number, options: ReadOptions = {}): Promise<ReadBatch> {
    await this.#require(topic, partition);
    try {
      let batch = await this.#fetcher.read(this.real(topic), partition, offset, options);
      // A fetch that was under way when the call came says nothing of what there is: an empty batch does.
      if (batch.nextOffset === offset && (options.waitMs ?? 0) === 0) {
        const end = await this.#offset(topic, partition, LATEST);
        for (let tries = 0; tries < MOST_TRIES && batch.nextOffset === offset && end > offset; tries++) {
          if (options.signal?.aborted === true) break;
          batch = await this.#fetcher.read(this.real(topic), partition, offset, { ...options, waitMs: TRY_MS });
        }
        // An empty batch here would be taken for the end of the partition.
        if (batch.nextOffset === offset && end > offset && options.signal?.aborted !== true) {
          throw new FleetcastError(
            'LOG_UNAVAILABLE',
            `${topic}/${partition}: nothing came from offset ${offset} on, though the partition ends at ${end}`,
            { details: { topic, partition, offset, end } },
          );
        }
      }
      this.#open();
      return batch;
    } catch (error) {
      if (!(error instanceof FleetcastError) || error.code !== 'LOG_OFFSET_OUT_OF_RANGE') throw error;
      const { earliest, end } = await this.offsets(topic, partition);
      return outOfRange(topic, partition, offset, earliest, end);
    }
  }

  async offsets(topic: string, partition: number): Promise<PartitionOffsets> {
    await this.#require(topic, partition);
    const [earliest, end] = await Promise.all([
      this.#offset(topic, partition, EARLIEST),
      this.#offset(topic, partition, LATEST),
    ]);
    return { earliest, end };
  }

  async written(topic: string, partition: number): Promise<number> {
    await this.#require(topic, partition);
    return this.#offset(topic, partition, LATEST, READ_UNCOMMITTED);
  }

  async offsetForTime(topic: string, partition: number, timestamp: number): Promise<number> {
    await this.#require(topic, partition);
    const found = await this.#offset(topic, partition, Math.max(0, Math.ceil(timestamp)));
    return found < 0 ? this.#offset(topic, partition, LATEST) : found;
  }

  async deleteRecords(topic: string, partition: number, before: number): Promise<void> {
    await this.#require(topic, partition);
    requireDeletable((await this.#topics.find(topic)) ?? unknownTopic(topic));
    const { earliest, end } = await this.offsets(topic, partition);
    if (before > end) outOfRange(topic, partition, before, earliest, end);
    if (before > earliest) await this.#topics.deleteRecords(topic, partition, before);
  }

  async join(options: GroupOptions): Promise<GroupMember> {
    this.#open();
    const specs = await Promise.all(options.topics.map((name) => this.#topics.find(name)));
    const partitions = sharedPartitions(options.topics, (name) => specs.find((spec) => spec?.name === name));
    const member = new KafkaMember(this, options, partitions);
    this.#members.add(member);
    member.start();
    return member;
  }

  async committed(group: string): Promise<ReadonlyMap<string, number>> {
    this.#open();
    return this.#topics.committed(group);
  }

  async stableOffsets(group: string, topics: readonly string[], partition: number): Promise<Map<string, number>> {
    this.#open();
    const recover = () => this.#cluster.refreshMetadata();
    const found = await patiently(
      { where: `committed offsets of ${group}`, retryMs: this.#retryMs, recover },
      async () => {
        await this.#cluster.connect();
        const where = { groupId: this.real(group), coordinatorType: GROUP_COORDINATOR };
        const coordinator = await this.#cluster.findGroupCoordinator(where);
        const real = topics.map((topic) => this.real(topic));
        return stableOffsets(coordinator, where.groupId, real, partition);
      },
    );
    return new Map([...found].map(([topic, offset]) => [this.#topics.ours(topic)!, offset]));
  }

  async deleteGroup(group: string): Promise<void> {
    this.#open();
    await this.#topics.deleteGroup(group);
  }

  trouble(): string | undefined {
    return this.#fetcher.trouble();
  }

  /** The brokers do it. */
  async maintain(): Promise<void> {
    this.#open();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const member of this.#members) await member.abandon();
    await this.#appender.close();
    await (await this.#atomic?.catch(() => undefined))?.close();
    await this.#fetcher.close();
    await this.#topics.close();
    await this.wire.close();
  }

  real(name: string): string {
    return this.#topics.real(name);
  }

  openTransactions(transactionalId: string, former?: FormerWriters): Promise<Transactions> {
    return Transactions.open(this.wire, {
      transactionalId,
      ...(former === undefined ? {} : { former: { ...former, places: this.#realPlaces(former.places) } }),
      retryMs: this.#retryMs,
      transactionTimeoutMs: this.#options.transactionTimeoutMs ?? DEFAULTS.transactionTimeoutMs,
      compression: this.#options.compression ?? DEFAULTS.compression,
    });
  }

  #realPlaces(places: readonly PartitionPlace[]): PartitionPlace[] {
    return places.map(({ topic, partition }) => ({ topic: this.real(topic), partition }));
  }

  /** Sorts records by partition. @throws LOG_TOPIC_UNKNOWN, LOG_RECORD_TOO_LARGE. */
  async shares(records: readonly OutRecord[]): Promise<readonly PartitionRecords[]> {
    this.#open();
    for (const topic of new Set(records.map((record) => record.topic))) {
      if ((await this.#count(topic)) === undefined) unknownTopic(topic);
    }
    return this.#sharesNow(records)!;
  }

  /** Undefined where a topic is not known yet. */
  #sharesNow(records: readonly OutRecord[]): readonly PartitionRecords[] | undefined {
    this.#open();
    const limit = this.maxRecordBytes;
    const byTopic = new Map<string, (PartitionRecords | undefined)[]>();
    const shares: PartitionRecords[] = [];
    for (let i = 0; i < records.length; i++) {
      const record = records[i]!;
      const { topic, partition } = record;
      const count = this.#counts.get(topic);
      if (count === undefined) return undefined;
      if (!(partition >= 0 && partition < count)) unknownPartition(topic, partition);
      if (payloadBytes(record) > limit) {
        const text = `${topic}/${partition}: a record of ${payloadBytes(record)} bytes; ${limit} are allowed`;
        throw new FleetcastError('LOG_RECORD_TOO_LARGE', text, { details: { topic, partition } });
      }
      let list = byTopic.get(topic);
      if (list === undefined) {
        list = [];
        byTopic.set(topic, list);
      }
      let share = list[partition];
      if (share === undefined) {
        share = { topic: this.real(topic), partition, records: [], places: [] };
        list[partition] = share;
        shares.push(share);
      }
      share.records.push(record);
      share.places.push(i);
    }
    return shares;
  }

  async #offset(topic: string, partition: number, timestamp: number, isolationLevel = READ_COMMITTED): Promise<number> {
    const real = this.real(topic);
    const where = `${topic}/${partition}`;
    const recover = () => this.#cluster.refreshMetadata();
    return patiently({ where, retryMs: this.#retryMs, recover }, async () => {
      await this.#cluster.connect();
      const broker = await this.#cluster.findBroker({ nodeId: String(leaderOf(this.#cluster, real, partition)) });
      const { responses } = await broker.listOffsets({
        replicaId: -1,
        isolationLevel,
        topics: [{ topic: real, partitions: [{ partition, timestamp }] }],
      });
      return Number(responses[0]!.partitions[0]!.offset);
    });
  }

  async #require(topic: string, partition: number): Promise<void> {
    this.#open();
    const count = (await this.#count(topic)) ?? unknownTopic(topic);
    if (!(partition >= 0 && partition < count)) unknownPartition(topic, partition);
  }

  async #count(topic: string): Promise<number | undefined> {
    const known = this.#counts.get(topic);
    if (known !== undefined) return known;
    const recover = () => this.#cluster.refreshMetadata();
    return patiently({ where: topic, retryMs: this.#retryMs, recover }, () => this.#lookUp(topic));
  }

  async #lookUp(topic: string): Promise<number | undefined> {
    const real = this.real(topic);
    for (let attempt = 1; ; attempt++) {
      try {
        await knowTopics(this.#cluster, [real]);
        const count = this.#cluster.findTopicPartitionMetadata(real).length;
        this.#counts.set(topic, count);
        return count;
      } catch (error) {
        if (codeOf(error) !== CODE.UNKNOWN_TOPIC_OR_PARTITION) throw error;
        // It may be another topic that does not exist: look-ups are made together.
        if (attempt === LOOK_UPS) return undefined;
        await new Promise((resolve) => setTimeout(resolve, 20 * attempt));
      }
    }
  }

  #open(): void {
    if (this.#closed) throw new FleetcastError('LOG_CLOSED', 'the connection to Kafka is closed');
  }
}
