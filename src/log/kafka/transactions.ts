import { FleetcastError } from '../../errors.ts';
import type { PartitionPlace } from '../event-log.ts';
import type { Compression } from './compression.ts';
import { formerOutcome } from './former-transaction.ts';
import { CODE, codeOf, patiently, translate } from './kafka-errors.ts';
import { type PartitionRecords, Sender } from './sender.ts';
import {
  GROUP_COORDINATOR,
  knowTopics,
  TRANSACTION_COORDINATOR,
  type Wire,
  type WireBroker,
  type WireCluster,
} from './wire.ts';

export interface TransactionOptions {
  readonly transactionalId: string;
  readonly retryMs: number;
  readonly transactionTimeoutMs: number;
  readonly compression: Compression;
  /** Undefined for an id that had no earlier writer; see `#endFormer`. */
  readonly former?: FormerWriters;
}

/** Where the earlier writers of an id may have written. */
export interface FormerWriters {
  readonly places: readonly PartitionPlace[];
  /** The group whose offsets they commit. */
  readonly group?: string;
}

export interface InputOffsets {
  readonly group: string;
  /** Name of the topic on the broker to the next offset. */
  readonly offsets: ReadonlyMap<string, number>;
  readonly partition: number;
}

/**
 * Transactions under one transactional id, one after the other. `open` fences every earlier holder of the id and ends
 * what it left open, so that committed offsets read afterwards are final. After any error the object is dead: the
 * outcome may be unknown, and only a new holder of the id makes it known.
 *
 * It is also spent after a transaction in which a request had to be sent again for want of an answer. The first one may
 * come to the broker while a later transaction is open, whose offsets it would set back or which it would end half-way:
 * the broker tells requests of different transactions apart only by the producer's epoch (KIP-890), which changes with
 * the next holder of the id.
 */
export class Transactions {
  readonly #wire: Wire;
  readonly #cluster: WireCluster;
  readonly #options: TransactionOptions;
  #identity = { transactionalId: '', producerId: '-1', producerEpoch: -1 };
  #sender: Sender | undefined;
  #coordinator: WireBroker | undefined;
  #groupCoordinator: WireBroker | undefined;
  #dead: FleetcastError | undefined;
  /** A request of the transaction had no answer and was sent again: the first one may still be on its way. */
  #unanswered = false;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(wire: Wire, options: TransactionOptions) {
    this.#wire = wire;
    this.#cluster = wire.cluster();
    this.#options = options;
  }

  static async open(wire: Wire, options: TransactionOptions): Promise<Transactions> {
    const transactions = new Transactions(wire, options);
    try {
      await transactions.#open();
    } catch (error) {
      await wire.release(transactions.#cluster);
      throw error;
    }
    return transactions;
  }

  async #open(): Promise<void> {
    const { transactionalId, transactionTimeoutMs } = this.#options;
    const outcome = await this.#formerOutcome();
    const identity = await this.#patiently('opening', async () => {
      await this.#cluster.connect();
      return (await this.#findCoordinator()).initProducerId({
        transactionalId,
        transactionTimeout: transactionTimeoutMs,
      });
    });
    this.#identity = { transactionalId, producerId: identity.producerId, producerEpoch: identity.producerEpoch };
    if (outcome !== undefined) await this.#endFormer(outcome === 'commit');
    this.#unanswered = false;
    this.#sender = new Sender(this.#cluster, this.#identity, this.#options.compression, transactionalId);
  }

  async #formerOutcome(): Promise<'commit' | 'abort' | undefined> {
    const { transactionalId, former } = this.#options;
    if (former === undefined) return undefined;
    return this.#patiently('looking at the last transaction', async () => {
      await this.#cluster.connect();
      return formerOutcome(await this.#findCoordinator(), transactionalId);
    });
  }

  /**
   * Ends the last transaction of the id once more, as it was ended. A broker that was killed after it had taken the
   * decision, and comes back when its partitions have no leader yet, holds them for deleted and leaves their marks out
   * (Kafka 4.3: "these partitions are likely deleted already and hence can be skipped"). Records without a mark hide all
   * that follows them, and offsets without one would be applied by the next commit, which they would set back.
   */
  async #endFormer(commit: boolean): Promise<void> {
    const { places, group } = this.#options.former!;
    if (places.length > 0) await this.#addPartitions(places);
    if (group !== undefined) await this.#addOffsets(group);
    await this.#end(commit);
  }

  /**
   * Makes the records and offsets visible together, durably. Calls are run in their order.
   * @throws LOG_FENCED, LOG_UNAVAILABLE, LOG_RECORD_TOO_LARGE; the object is dead afterwards.
   */
  commit(shares: readonly PartitionRecords[], count: number, input?: InputOffsets): Promise<number[]> {
    const result = this.#last.then(() => this.#commit(shares, count, input));
    this.#last = result.catch(() => {});
    return result;
  }

  async #commit(shares: readonly PartitionRecords[], count: number, input?: InputOffsets): Promise<number[]> {
    if (this.#dead !== undefined) throw this.#dead;
    const withOffsets = input !== undefined && input.offsets.size > 0;
    if (shares.length === 0 && !withOffsets) return [];
    try {
      if (shares.length > 0) await this.#addPartitions(shares);
      if (withOffsets) await this.#addOffsets(input.group);
      const where = this.#options.transactionalId;
      // Both have to end before the transaction may: no half of it must be under way when the error is reported.
      const [sent, staged] = await Promise.allSettled([
        shares.length === 0
          ? Promise.resolve([])
          : this.#sender!.send(shares, count, { where, retryMs: this.#options.retryMs }),
        withOffsets ? this.#stageOffsets(input) : Promise.resolve(),
      ]);
      if (sent.status === 'rejected') throw sent.reason;
      if (staged.status === 'rejected') throw staged.reason;
      await this.#end(true);
      if (this.#unanswered) {
        this.#dead = new FleetcastError(
          'LOG_UNAVAILABLE',
          `${where}: an answer of the broker was lost; what was sent may still come, so a new writer has to go on`,
        );
      }
      return sent.value;
    } catch (error) {
      this.#dead = translate(error, this.#options.transactionalId);
      throw this.#dead;
    }
  }

  /** Whether no further commit can be made. */
  get spent(): boolean {
    return this.#dead !== undefined;
  }

  async close(): Promise<void> {
    await this.#last;
    this.#dead ??= new FleetcastError('LOG_FENCED', `${this.#options.transactionalId}: the writer is closed`);
    await this.#wire.release(this.#cluster);
  }

  async #addPartitions(places: readonly PartitionPlace[]): Promise<void> {
    const byTopic = new Map<string, number[]>();
    for (const { topic, partition } of places) {
      const list = byTopic.get(topic);
      if (list === undefined) byTopic.set(topic, [partition]);
      else list.push(partition);
    }
    const topics = [...byTopic].map(([topic, partitions]) => ({ topic, partitions }));
    await this.#patiently('adding partitions', async () => {
      await knowTopics(this.#cluster, [...byTopic.keys()]);
      await (await this.#findCoordinator()).addPartitionsToTxn({ ...this.#identity, topics });
    });
  }

  async #addOffsets(groupId: string): Promise<void> {
    await this.#patiently('adding offsets', async () => {
      await (await this.#findCoordinator()).addOffsetsToTxn({ ...this.#identity, groupId });
    });
  }

  async #end(commit: boolean): Promise<void> {
    await this.#patiently(commit ? 'committing' : 'aborting', async () => {
      await (await this.#findCoordinator()).endTxn({ ...this.#identity, transactionResult: commit });
    });
  }

  async #stageOffsets({ group, offsets, partition }: InputOffsets): Promise<void> {
    const topics = [...offsets].map(([topic, offset]) => ({
      topic,
      partitions: [{ partition, offset: String(offset) }],
    }));
    await this.#patiently('staging offsets', async () => {
      this.#groupCoordinator ??= await this.#cluster.findGroupCoordinator({
        groupId: group,
        coordinatorType: GROUP_COORDINATOR,
      });
      await this.#groupCoordinator.txnOffsetCommit({ ...this.#identity, groupId: group, topics });
    });
  }

  async #findCoordinator(): Promise<WireBroker> {
    this.#coordinator ??= await this.#cluster.findGroupCoordinator({
      groupId: this.#options.transactionalId,
      coordinatorType: TRANSACTION_COORDINATOR,
    });
    return this.#coordinator;
  }

  #patiently<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    const recover = async (error: unknown) => {
      if (codeOf(error) === undefined) this.#unanswered = true;
      // A transaction that is just being ended: the coordinator is the right one.
      if (codeOf(error) === CODE.CONCURRENT_TRANSACTIONS) return;
      this.#coordinator = undefined;
      this.#groupCoordinator = undefined;
      await this.#cluster.refreshMetadata();
    };
    const where = `${this.#options.transactionalId}, ${what}`;
    return patiently({ where, retryMs: this.#options.retryMs, recover }, attempt);
  }
}
