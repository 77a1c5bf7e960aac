import type { OutRecord } from '../event-log.ts';
import type { Compression } from './compression.ts';
import { CODE, isPassing, KafkaError, type Patience, patiently, translate } from './kafka-errors.ts';
import { type ProducePart, produce } from './produce-fetch.ts';
import { batchBytes, encodeBatch } from './record-batch.ts';
import type { ProducerIdentity, WireBroker, WireCluster } from './wire.ts';

/** A batch stays below the one megabyte that brokers allow by default, where records let it. */
const BATCH_BYTES = 800_000;
const SEQUENCES = 2 ** 31;

/** Records of one partition, with their places in the call that they came from. */
export interface PartitionRecords {
  /** Name on the broker. */
  readonly topic: string;
  readonly partition: number;
  readonly records: OutRecord[];
  readonly places: number[];
}

interface Piece extends ProducePart {
  readonly places: readonly number[];
}

/**
 * Sends records under one producer identity. Every partition has one batch outstanding at most, and a batch is sent
 * again with its old sequence number, so the broker stores it once, whatever connections do. After an error the
 * identity is of no more use: what is on the log is not known.
 */
export class Sender {
  readonly #cluster: WireCluster;
  readonly #identity: ProducerIdentity;
  readonly #compression: Compression;
  readonly #transactionalId: string | undefined;
  readonly #sequences = new Map<string, number>();

  constructor(cluster: WireCluster, identity: ProducerIdentity, compression: Compression, transactionalId?: string) {
    this.#cluster = cluster;
    this.#identity = identity;
    this.#compression = compression;
    this.#transactionalId = transactionalId;
  }

  /** @returns the offset of each record, by place; −1 where the broker had the batch already and did not say. */
  async send(shares: readonly PartitionRecords[], count: number, patience: Patience): Promise<number[]> {
    const offsets = new Array<number>(count).fill(-1);
    const lines = shares.map((share) => this.#pieces(share));
    for (let round = 0; lines.some((line) => round < line.length); round++) {
      await this.#sendRound(
        lines.flatMap((line) => line.slice(round, round + 1)),
        offsets,
        patience,
      );
    }
    return offsets;
  }

  async #sendRound(pieces: readonly Piece[], offsets: number[], patience: Patience): Promise<void> {
    let left = [...pieces];
    const recover = async (error: unknown) => {
      await this.#cluster.refreshMetadata();
      await patience.recover?.(error);
    };
    await patiently({ ...patience, recover }, async () => {
      const results = await Promise.allSettled(
        [...(await this.#byLeader(left))].map(async ([broker, mine]) => {
          const answers = await produce(broker, mine, this.#transactionalId ?? null);
          for (const piece of mine) {
            const answer = answers.find((a) => a.topic === piece.topic && a.partition === piece.partition);
            const code = answer?.errorCode ?? 0;
            if (answer !== undefined && (code === 0 || code === CODE.DUPLICATE_SEQUENCE)) {
              left = left.filter((each) => each !== piece);
              for (const [i, place] of piece.places.entries()) {
                offsets[place] = answer.baseOffset < 0 ? -1 : answer.baseOffset + i;
              }
            } else if (!isPassing(new KafkaError(code, ''))) {
              throw translate(new KafkaError(code, `${piece.topic}/${piece.partition}`), patience.where);
            }
          }
        }),
      );
      const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
      const final = failures.find((error) => !isPassing(error));
      if (final !== undefined) throw final;
      if (failures.length > 0) throw failures[0];
      if (left.length > 0) throw new Error(`${left.length} batches were not taken by their brokers`);
    });
  }

  async #byLeader(pieces: readonly Piece[]): Promise<Map<WireBroker, Piece[]>> {
    const brokers = new Map<number, WireBroker>();
    const result = new Map<WireBroker, Piece[]>();
    for (const piece of pieces) {
      const leader = leaderOf(this.#cluster, piece.topic, piece.partition);
      let broker = brokers.get(leader);
      if (broker === undefined) {
        broker = await this.#cluster.findBroker({ nodeId: String(leader) });
        brokers.set(leader, broker);
      }
      const list = result.get(broker);
      if (list === undefined) result.set(broker, [piece]);
      else list.push(piece);
    }
    return result;
  }

  #pieces(share: PartitionRecords): Piece[] {
    const name = `${share.topic}/${share.partition}`;
    const pieces: Piece[] = [];
    let from = 0;
    let bytes = 0;
    const cut = (to: number) => {
      const sequence = this.#sequences.get(name) ?? 0;
      this.#sequences.set(name, (sequence + to - from) % SEQUENCES);
      const batch = encodeBatch(
        from === 0 && to === share.records.length ? share.records : share.records.slice(from, to),
        {
          producerId: BigInt(this.#identity.producerId),
          epoch: this.#identity.producerEpoch,
          sequence,
          transactional: this.#transactionalId !== undefined,
        },
        this.#compression,
      );
      pieces.push({ topic: share.topic, partition: share.partition, batch, places: share.places.slice(from, to) });
      from = to;
      bytes = 0;
    };
    for (let i = 0; i < share.records.length; i++) {
      const size = batchBytes(share.records[i]!);
      if (i > from && bytes + size > BATCH_BYTES) cut(i);
      bytes += size;
    }
    if (from < share.records.length) cut(share.records.length);
    return pieces;
  }
}

/** Node id of the leader; an error that passes where there is none now. */
export function leaderOf(cluster: WireCluster, topic: string, partition: number): number {
  const found = cluster.findTopicPartitionMetadata(topic).find((each) => each.partitionId === partition);
  if (found === undefined || found.leader < 0) throw new Error(`${topic}/${partition} has no leader now`);
  return found.leader;
}
