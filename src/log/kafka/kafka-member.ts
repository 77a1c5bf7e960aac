import { FleetcastError } from '../../errors.ts';
import type { GroupMember, GroupOptions, OutRecord, PartitionPlace, PartitionWait, TaskWriter } from '../event-log.ts';
import { CODE, codeOf, isPassing, translate } from './kafka-errors.ts';
import {
  decodeAssignment,
  decodeMember,
  encodeAssignment,
  encodeMember,
  PROTOCOL,
  planAssignment,
  type Share,
} from './membership.ts';
import type { PartitionRecords } from './sender.ts';
import type { FormerWriters, InputOffsets, Transactions } from './transactions.ts';
import { GROUP_COORDINATOR, type Wire, type WireBroker, type WireCluster } from './wire.ts';

const DEFAULT_SESSION_MS = 10_000;
const PAUSE_MS = 250;
/** Members hear of a rebalance with the answer to a sign of life: a partition that moves stands still until all have. */
const HEARTBEAT_MS = 500;

/** What a member needs of the log that it belongs to. */
export interface MemberLog {
  readonly wire: Wire;
  real(name: string): string;
  shares(records: readonly OutRecord[]): Promise<readonly PartitionRecords[]>;
  openTransactions(transactionalId: string, former?: FormerWriters): Promise<Transactions>;
  committed(group: string): Promise<ReadonlyMap<string, number>>;
  /** As `committed` of one partition, by topic, with all that ended transactions have committed. */
  stableOffsets(group: string, topics: readonly string[], partition: number): Promise<ReadonlyMap<string, number>>;
}

/**
 * Membership in a Kafka consumer group, for assignment only: fetching needs no group, and what protects the data is the
 * transactional id of each partition. Callbacks run one after the other beside the protocol, so a slow one holds up
 * neither the sign of life nor a rebalance of the others.
 */
export class KafkaMember implements GroupMember {
  readonly memberId: string;
  readonly #log: MemberLog;
  readonly #options: GroupOptions;
  readonly #partitions: number;
  readonly #sessionMs: number;
  readonly #group: string;
  readonly #topics: readonly string[];
  readonly #cluster: WireCluster;
  readonly #startedAt = Date.now();
  readonly #held = new Set<number>();
  readonly #writers = new Set<Transactions>();
  #id = '';
  #generation = -1;
  #coordinator: WireBroker | undefined;
  #rejoin = true;
  #leaving = false;
  #settled = false;
  #waits: readonly PartitionWait[] = [];
  #callbacks: Promise<void> = Promise.resolve();
  #loop: Promise<void> = Promise.resolve();
  #wake: () => void = () => {};

  constructor(log: MemberLog, options: GroupOptions, partitions: number) {
    this.memberId = options.memberId;
    this.#log = log;
    this.#options = options;
    this.#partitions = partitions;
    this.#sessionMs = options.sessionMs ?? DEFAULT_SESSION_MS;
    this.#group = log.real(options.group);
    this.#topics = options.topics.map((topic) => log.real(topic));
    this.#cluster = log.wire.cluster();
  }

  start(): void {
    this.#loop = this.#run();
  }

  assignment(): readonly number[] {
    return [...this.#held].sort((a, b) => a - b);
  }

  settled(): boolean {
    return this.#settled;
  }

  async openWriter(partition: number, writes: readonly PartitionPlace[] = []): Promise<TaskWriter> {
    const { group, topics } = this.#options;
    if (!this.#held.has(partition)) {
      throw new FleetcastError(
        'LOG_FENCED',
        `group ${group}: partition ${partition} is not assigned to ${this.memberId}`,
        { details: { group, partition } },
      );
    }
    const log = this.#log;
    const realGroup = this.#group;
    await this.#fenceFormer(partition);
    const transactions = await log.openTransactions(`${realGroup}-${partition}`, { places: writes, group: realGroup });
    this.#writers.add(transactions);
    const forget = () => this.#writers.delete(transactions);
    return {
      partition,
      async committed(): Promise<ReadonlyMap<string, number>> {
        return log.stableOffsets(group, topics, partition);
      },
      async commit(records: readonly OutRecord[], inputOffsets: ReadonlyMap<string, number>) {
        const offsets = new Map([...inputOffsets].map(([topic, offset]) => [log.real(topic), offset]));
        const input: InputOffsets = { group: realGroup, offsets, partition };
        return transactions.commit(await log.shares(records), records.length, input);
      },
      async close() {
        forget();
        await transactions.close();
      },
    };
  }

  /**
   * Until 0.1.0 the transactional id held the topology's first topic, so a process with other sources was not fenced by
   * it. A writer under such an id, of whatever topic the group has read, is ended here. To go with the release after.
   */
  async #fenceFormer(partition: number): Promise<void> {
    const { group, topics } = this.#options;
    const former = new Set(topics);
    for (const at of (await this.#log.committed(group)).keys()) former.add(at.slice(0, at.lastIndexOf('/')));
    await Promise.all(
      [...former].map(async (topic) => {
        const id = `${this.#group}-${this.#log.real(topic)}-${partition}`;
        await (await this.#log.openTransactions(id)).close();
      }),
    );
  }

  async leave(): Promise<void> {
    await this.#end(true);
  }

  /** Ends without `onRevoked`: the log is being closed. */
  async abandon(): Promise<void> {
    await this.#end(false);
  }

  async #end(orderly: boolean): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#wake();
    const held = this.assignment();
    if (orderly && held.length > 0) await this.#revoke(held);
    this.#held.clear();
    try {
      if (this.#id !== '') await this.#coordinator?.leaveGroup({ groupId: this.#group, memberId: this.#id });
    } catch {
      // The session runs out by itself.
    }
    await this.#log.wire.release(this.#cluster);
    await this.#loop;
    for (const transactions of [...this.#writers]) await transactions.close();
  }

  async #run(): Promise<void> {
    while (!this.#leaving) {
      try {
        if (this.#rejoin) await this.#round();
        await this.#sleep(Math.min(HEARTBEAT_MS, this.#sessionMs / 5));
        if (this.#leaving || this.#rejoin) continue;
        await this.#coordinator!.heartbeat({
          groupId: this.#group,
          groupGenerationId: this.#generation,
          memberId: this.#id,
        });
      } catch (error) {
        if (this.#leaving) return;
        await this.#trouble(error);
      }
    }
  }

  /** Joins the group, plans for it as its leader, and takes what it is given. */
  async #round(): Promise<void> {
    this.#rejoin = false;
    await this.#cluster.connect();
    this.#coordinator ??= await this.#cluster.findGroupCoordinator({
      groupId: this.#group,
      coordinatorType: GROUP_COORDINATOR,
    });
    const self = {
      name: this.memberId,
      startedAt: this.#startedAt,
      generation: this.#generation,
      held: this.assignment(),
    };
    this.#awaitAll();
    const joined = await this.#coordinator.joinGroup({
      groupId: this.#group,
      sessionTimeout: this.#sessionMs,
      rebalanceTimeout: this.#rebalanceMs,
      memberId: this.#id,
      groupProtocols: [{ name: PROTOCOL, metadata: encodeMember(this.#topics, self) }],
    });
    this.#id = joined.memberId;
    const members = joined.members.map(({ memberId, memberMetadata }) => decodeMember(memberId, memberMetadata));
    const plan = joined.leaderId === joined.memberId ? planAssignment(this.#partitions, members) : new Map();
    const { memberAssignment } = await this.#coordinator.syncGroup({
      groupId: this.#group,
      generationId: joined.generationId,
      memberId: this.#id,
      groupAssignment: [...plan].map(([memberId, share]: [string, Share]) => ({
        memberId,
        memberAssignment: encodeAssignment(this.#topics, share),
      })),
    });
    this.#generation = joined.generationId;
    const { partitions, coming } = decodeAssignment(memberAssignment);
    this.#take(partitions);
    this.#tellWaits(coming.map((wait) => ({ ...wait, until: undefined })));
    this.#settled = true;
  }

  /** The coordinator answers when every member has, or has run out; whom it waits for it does not say. */
  #awaitAll(): void {
    if (this.#held.size > 0 || this.#waits.some(({ until }) => until !== undefined)) return;
    const until = Date.now() + this.#rebalanceMs;
    const partitions = Array.from({ length: this.#partitions }, (_, p) => p);
    this.#tellWaits(partitions.map((partition) => ({ partition, holder: undefined, until })));
  }

  #tellWaits(waits: readonly PartitionWait[]): void {
    const before = this.#waits;
    this.#waits = waits;
    if (before.length + waits.length > 0) this.#options.onWaiting?.(waits);
  }

  get #rebalanceMs(): number {
    return Math.max(this.#sessionMs, 5000);
  }

  #take(assigned: readonly number[]): void {
    if (this.#leaving) return;
    const fresh = assigned.filter((p) => !this.#held.has(p));
    const gone = this.assignment().filter((p) => !assigned.includes(p));
    for (const p of fresh) this.#held.add(p);
    if (fresh.length > 0) this.#call(() => this.#options.onAssigned(fresh));
    if (gone.length === 0) return;
    void this.#revoke(gone).then(() => {
      this.#rejoin = true;
      this.#wake();
    });
  }

  /** Calls onRevoked within the session time-out; then the partitions are no longer ours. */
  async #revoke(partitions: readonly number[]): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#sessionMs);
    });
    await Promise.race([this.#call(() => this.#options.onRevoked(partitions)), late]);
    clearTimeout(timer);
    for (const p of partitions) this.#held.delete(p);
  }

  /** A callback that throws is a defect of the caller: it is let out, not swallowed. */
  #call(callback: () => Promise<void> | void): Promise<void> {
    const done = this.#callbacks.then(callback);
    this.#callbacks = done.catch(() => {});
    done.catch((error: unknown) => {
      queueMicrotask(() => {
        throw error;
      });
    });
    return this.#callbacks;
  }

  async #trouble(error: unknown): Promise<void> {
    this.#rejoin = true;
    const code = codeOf(error);
    if (code === CODE.REBALANCE_IN_PROGRESS) return;
    if (code === CODE.UNKNOWN_MEMBER_ID || code === CODE.ILLEGAL_GENERATION) {
      if (code === CODE.UNKNOWN_MEMBER_ID) this.#id = '';
      this.#generation = -1;
      this.#settled = false;
      const lost = this.assignment();
      this.#held.clear();
      const { onLost } = this.#options;
      if (lost.length > 0 && onLost !== undefined) this.#call(() => onLost(lost));
      return;
    }
    if (!isPassing(error)) {
      // Refused for good (no permission, for example): say so where it is seen, and go on trying slowly.
      process.emitWarning(translate(error, `group ${this.#options.group}`));
      await this.#sleep(this.#sessionMs);
    }
    this.#coordinator = undefined;
    await this.#sleep(PAUSE_MS);
    await this.#cluster.refreshMetadata().catch(() => {});
  }

  async #sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
