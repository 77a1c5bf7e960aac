import type { AbortedTransaction } from './record-batch.ts';
import { encoded, READ_COMMITTED, type WireBroker } from './wire.ts';

/** The two large requests, with errors by partition and without kafkajs's object for every record. */
const PRODUCE = 0;
const PRODUCE_VERSION = 7;
const FETCH = 1;
const FETCH_VERSION = 11;
const ALL_REPLICAS = -1;

export interface ProducePart {
  readonly topic: string;
  readonly partition: number;
  readonly batch: Buffer;
}

export interface ProduceResult {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly baseOffset: number;
}

export async function produce(
  broker: WireBroker,
  parts: readonly ProducePart[],
  transactionalId: string | null,
  timeoutMs = 10_000,
): Promise<ProduceResult[]> {
  const writer = new Body();
  writer.text(transactionalId);
  writer.int16(ALL_REPLICAS);
  writer.int32(timeoutMs);
  const topics = group(parts);
  writer.int32(topics.size);
  for (const [topic, list] of topics) {
    writer.text(topic);
    writer.int32(list.length);
    for (const part of list) {
      writer.int32(part.partition);
      writer.int32(part.batch.length);
      writer.raw(part.batch);
    }
  }
  const body = writer.finish();
  return (await broker.connectionPool.send({
    request: {
      apiKey: PRODUCE,
      apiVersion: PRODUCE_VERSION,
      apiName: 'Produce',
      encode: async () => encoded(body),
    },
    response: { decode: async (data) => decodeProduce(data), parse: async (results) => results },
    logResponseError: false,
  })) as ProduceResult[];
}

function decodeProduce(data: Buffer): ProduceResult[] {
  const reader = new BodyReader(data);
  return reader
    .list(() => {
      const topic = reader.text();
      return reader.list(() => {
        const partition = reader.int32();
        const errorCode = reader.int16();
        const baseOffset = reader.int64();
        reader.skip(16);
        return { topic, partition, errorCode, baseOffset };
      });
    })
    .flat();
}

export interface FetchPart {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly maxBytes: number;
}

export interface FetchResult {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  /** End of the log as a committed reader sees it. */
  readonly stableEnd: number;
  readonly aborted: AbortedTransaction[];
  /** Record batches; the last one may be cut. */
  readonly batches: Buffer;
}

export async function fetch(
  broker: WireBroker,
  parts: readonly FetchPart[],
  maxWaitMs: number,
  maxBytes: number,
): Promise<FetchResult[]> {
  const writer = new Body();
  writer.int32(-1);
  writer.int32(maxWaitMs);
  writer.int32(1);
  writer.int32(maxBytes);
  writer.int8(READ_COMMITTED);
  writer.int32(0);
  writer.int32(-1);
  const topics = group(parts);
  writer.int32(topics.size);
  for (const [topic, list] of topics) {
    writer.text(topic);
    writer.int32(list.length);
    for (const part of list) {
      writer.int32(part.partition);
      writer.int32(-1);
      writer.int64(part.offset);
      writer.int64(-1);
      writer.int32(part.maxBytes);
    }
  }
  writer.int32(0);
  writer.text('');
  const body = writer.finish();
  return (await broker.connectionPool.send({
    request: { apiKey: FETCH, apiVersion: FETCH_VERSION, apiName: 'Fetch', encode: async () => encoded(body) },
    response: { decode: async (data) => decodeFetch(data), parse: async (results) => results },
    logResponseError: false,
  })) as FetchResult[];
}

function decodeFetch(data: Buffer): FetchResult[] {
  const reader = new BodyReader(data);
  reader.skip(10);
  return reader
    .list(() => {
      const topic = reader.text();
      return reader.list(() => {
        const partition = reader.int32();
        const errorCode = reader.int16();
        reader.skip(8);
        const stableEnd = reader.int64();
        reader.skip(8);
        const aborted = reader.list(() => ({ producerId: reader.bigint64(), firstOffset: reader.int64() }));
        reader.skip(4);
        return { topic, partition, errorCode, stableEnd, aborted, batches: reader.bytes() };
      });
    })
    .flat();
}

function group<T extends { readonly topic: string }>(parts: readonly T[]): Map<string, T[]> {
  const result = new Map<string, T[]>();
  for (const part of parts) {
    const list = result.get(part.topic);
    if (list === undefined) result.set(part.topic, [part]);
    else list.push(part);
  }
  return result;
}

class Body {
  readonly #pieces: Buffer[] = [];

  int8(value: number): void {
    this.#pieces.push(Buffer.from([value & 0xff]));
  }

  int16(value: number): void {
    const piece = Buffer.allocUnsafe(2);
    piece.writeInt16BE(value);
    this.#pieces.push(piece);
  }

  int32(value: number): void {
    const piece = Buffer.allocUnsafe(4);
    piece.writeInt32BE(value);
    this.#pieces.push(piece);
  }

  int64(value: number): void {
    const piece = Buffer.allocUnsafe(8);
    piece.writeBigInt64BE(BigInt(value));
    this.#pieces.push(piece);
  }

  text(value: string | null): void {
    const bytes = Buffer.from(value ?? '', 'utf8');
    this.int16(value === null ? -1 : bytes.length);
    this.#pieces.push(bytes);
  }

  raw(bytes: Buffer): void {
    this.#pieces.push(bytes);
  }

  finish(): Buffer {
    return Buffer.concat(this.#pieces);
  }
}

class BodyReader {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  skip(bytes: number): void {
    this.#at += bytes;
  }

  int16(): number {
    this.#at += 2;
    return this.#data.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#data.readInt32BE(this.#at - 4);
  }

  bigint64(): bigint {
    this.#at += 8;
    return this.#data.readBigInt64BE(this.#at - 8);
  }

  int64(): number {
    return Number(this.bigint64());
  }

  text(): string {
    const length = this.int16();
    this.#at += Math.max(0, length);
    return this.#data.toString('utf8', this.#at - Math.max(0, length), this.#at);
  }

  bytes(): Buffer {
    const length = Math.max(0, this.int32());
    this.#at += length;
    return this.#data.subarray(this.#at - length, this.#at);
  }

  list<T>(item: () => T): T[] {
    const count = Math.max(0, this.int32());
    return Array.from({ length: count }, item);
  }
}
