import { createRequire } from 'node:module';
import kafkajs, { type Admin, type Kafka, type KafkaConfig, type SASLOptions } from 'kafkajs';
import { mendConnections } from './connection-mend.ts';
import { DEFAULTS, type KafkaLogOptions } from './kafka-options.ts';

/**
 * What is used of kafkajs 2.2.4 (pinned): connections, authentication, metadata and the encoding of the small requests.
 * Its producer and consumer are not: the producer is quadratic in the records of a partition, the consumer has no
 * prefetch, no awaited revocation and stops for good on some errors. Fetch, produce, transactions and group
 * membership are done here, request by request.
 */
export interface WireBroker {
  readonly nodeId: string;
  /** By key, the requests that the broker knows; set when it is connected. */
  readonly versions?: Readonly<Record<number, unknown>> | null;
  readonly connectionPool: { send(request: WireRequest): Promise<unknown> };
  initProducerId(request: { transactionalId?: string; transactionTimeout: number }): Promise<ProducerIdentity>;
  addPartitionsToTxn(request: TransactionIdentity & { topics: TopicPartitions[] }): Promise<unknown>;
  addOffsetsToTxn(request: TransactionIdentity & { groupId: string }): Promise<unknown>;
  txnOffsetCommit(request: TransactionIdentity & { groupId: string; topics: TopicOffsets[] }): Promise<unknown>;
  endTxn(request: TransactionIdentity & { transactionResult: boolean }): Promise<unknown>;
  listOffsets(request: {
    replicaId: number;
    isolationLevel: number;
    topics: { topic: string; partitions: { partition: number; timestamp: number | string }[] }[];
  }): Promise<{ responses: { topic: string; partitions: { partition: number; offset: string }[] }[] }>;
  joinGroup(request: {
    groupId: string;
    sessionTimeout: number;
    rebalanceTimeout: number;
    memberId: string;
    groupProtocols: { name: string; metadata: Buffer }[];
  }): Promise<JoinedGroup>;
  syncGroup(request: {
    groupId: string;
    generationId: number;
    memberId: string;
    groupAssignment: { memberId: string; memberAssignment: Buffer }[];
  }): Promise<{ memberAssignment: Buffer }>;
  heartbeat(request: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>;
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>;
}

export interface ProducerIdentity {
  /** A number in decimal. */
  readonly producerId: string;
  readonly producerEpoch: number;
}

export interface TransactionIdentity extends ProducerIdentity {
  readonly transactionalId: string;
}

export interface TopicPartitions {
  readonly topic: string;
  readonly partitions: number[];
}

export interface TopicOffsets {
  readonly topic: string;
  readonly partitions: { partition: number; offset: string }[];
}

export interface JoinedGroup {
  readonly generationId: number;
  readonly leaderId: string;
  readonly memberId: string;
  readonly members: { memberId: string; memberMetadata: Buffer }[];
}

/** Any request: `encode` gives a kafkajs encoder, `decode` gets the body of the response. */
export interface WireRequest {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    readonly apiName: string;
    encode(): Promise<unknown>;
  };
  readonly response: { decode(body: Buffer): Promise<unknown>; parse(decoded: unknown): Promise<unknown> };
  readonly requestTimeout?: number;
  readonly logResponseError?: boolean;
}

export interface WireCluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  isConnected(): boolean;
  refreshMetadata(): Promise<void>;
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>;
  targetTopics: Set<string>;
  findBroker(which: { nodeId: string }): Promise<WireBroker>;
  findControllerBroker(): Promise<WireBroker>;
  findGroupCoordinator(which: { groupId: string; coordinatorType: number }): Promise<WireBroker>;
  findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[];
}

export const GROUP_COORDINATOR = 0;
export const TRANSACTION_COORDINATOR = 1;
export const READ_UNCOMMITTED = 0;
export const READ_COMMITTED = 1;

const require = createRequire(import.meta.url);
const { PRIVATE_CREATE_CLUSTER, Encoder } = load();

interface WireEncoder {
  writeBuffer(bytes: Buffer): WireEncoder;
}

function load() {
  mendConnections();
  const probe = new kafkajs.Kafka({ brokers: ['localhost:1'], logLevel: kafkajs.logLevel.NOTHING });
  const symbol = Object.getOwnPropertySymbols(probe).find((each) => each.description?.endsWith('createCluster'));
  if (symbol === undefined) throw new Error('this is not the kafkajs that fleetcast was made for (2.2.4)');
  return {
    PRIVATE_CREATE_CLUSTER: symbol,
    Encoder: require('kafkajs/src/protocol/encoder') as new (size?: number) => WireEncoder,
  };
}

/**
 * Connects where that is needed, and finds the leaders of the topics. kafkajs alone keeps a topic on its list after a
 * failed look-up, does not look it up again, and so takes it for one that has no partitions.
 */
export async function knowTopics(cluster: WireCluster, topics: readonly string[]): Promise<void> {
  const unknown = (): string[] => topics.filter((topic) => cluster.findTopicPartitionMetadata(topic).length === 0);
  await cluster.connect();
  try {
    await cluster.addMultipleTargetTopics(topics);
    if (unknown().length > 0) await cluster.refreshMetadata();
    // A look-up that was under way already is shared, and did not ask for the topic. One that does not exist is told so.
    const [left] = unknown();
    if (left !== undefined) throw new Error(`the partitions of ${left} are not known yet`);
  } catch (error) {
    // One that does not exist would make every later look-up of all the others fail.
    for (const topic of known(cluster) ? unknown() : topics) cluster.targetTopics.delete(topic);
    throw error;
  }
}

function known(cluster: WireCluster): boolean {
  return (cluster as unknown as { brokerPool: { metadata: object | null } }).brokerPool.metadata !== null;
}

/** The bytes of a request's body, as kafkajs wants them. */
export function encoded(bytes: Buffer): unknown {
  return new Encoder(bytes.length).writeBuffer(bytes);
}

/** One user of Kafka: makes connections with the same addresses and credentials. */
export class Wire {
  readonly #kafka: Kafka;
  readonly #open = new Set<WireCluster>();

  constructor(options: KafkaLogOptions) {
    const config: KafkaConfig = {
      brokers: [...options.brokers],
      clientId: options.clientId ?? DEFAULTS.clientId,
      ssl: options.tls === true ? true : options.tls ? { ...options.tls } : false,
      connectionTimeout: 5000,
      requestTimeout: options.requestTimeoutMs ?? DEFAULTS.requestTimeoutMs,
      retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 3 },
      logLevel: kafkajs.logLevel.NOTHING,
    };
    if (options.sasl !== undefined) config.sasl = { ...options.sasl } as SASLOptions;
    this.#kafka = new kafkajs.Kafka(config);
  }

  /** Connections of their own (two to each broker: one for fetches, one for the rest). */
  cluster(): WireCluster {
    const create = (this.#kafka as unknown as Record<symbol, (options: object) => WireCluster>)[
      PRIVATE_CREATE_CLUSTER
    ]!;
    const cluster = create.call(this.#kafka, {
      metadataMaxAge: 60_000,
      allowAutoTopicCreation: false,
      maxInFlightRequests: null,
      isolationLevel: READ_COMMITTED,
    });
    this.#open.add(cluster);
    return cluster;
  }

  async release(cluster: WireCluster): Promise<void> {
    this.#open.delete(cluster);
    await cluster.disconnect().catch(() => {});
  }

  admin(): Admin {
    return this.#kafka.admin();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((cluster) => this.release(cluster)));
  }
}
