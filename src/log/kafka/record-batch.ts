import { FleetcastError, messageOf } from '../../errors.ts';
import type { LogRecord } from '../event-log.ts';
import { type Compression, codecNumber, compress, decompress } from './compression.ts';
import { crc32c } from './crc32c.ts';

/** Kafka's record batch, format 2 (KIP-98): encoding for produce requests, decoding of fetch responses. */
const HEADER = 61;
const CRC_FROM = 21;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
const COMPRESSION = 0x07;
const APPEND_TIME = 0x08;
const ABORT_MARKER = 0;

interface Payload {
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

export interface BatchProducer {
  readonly producerId: bigint;
  readonly epoch: number;
  readonly sequence: number;
  readonly transactional: boolean;
}

/** Upper bound of a record's bytes in a batch. */
export function batchBytes(record: Payload): number {
  return (record.key?.length ?? 0) + (record.value?.length ?? 0) + 32;
}

export function encodeBatch(
  records: readonly Payload[],
  producer: BatchProducer,
  compression: Compression = 'none',
): Buffer {
  const first = Math.floor(records[0]!.timestamp);
  let latest = first;
  let bound = HEADER;
  for (const record of records) {
    bound += batchBytes(record);
    if (record.timestamp > latest) latest = Math.floor(record.timestamp);
  }
  const data = Buffer.allocUnsafe(bound);
  let at = HEADER;
  for (let i = 0; i < records.length; i++) {
    const { timestamp, key, value } = records[i]!;
    const delta = Math.floor(timestamp) - first;
    const keyLength = key?.length ?? 0;
    const valueLength = value?.length ?? 0;
    const size =
      2 +
      varintBytes(delta) +
      varintBytes(i) +
      varintBytes(key === null ? -1 : keyLength) +
      keyLength +
      varintBytes(value === null ? -1 : valueLength) +
      valueLength;
    at = putVarint(data, at, size);
    data[at++] = 0;
    at = putVarint(data, at, delta);
    at = putVarint(data, at, i);
    at = putVarint(data, at, key === null ? -1 : keyLength);
    if (key !== null) at = putBytes(data, at, key);
    at = putVarint(data, at, value === null ? -1 : valueLength);
    if (value !== null) at = putBytes(data, at, value);
    data[at++] = 0;
  }
  let codec = 0;
  if (compression !== 'none') {
    const packed = compress(compression, data.subarray(HEADER, at));
    if (packed.length < at - HEADER) {
      data.set(packed, HEADER);
      at = HEADER + packed.length;
      codec = codecNumber(compression);
    }
  }
  data.writeBigInt64BE(0n, 0);
  data.writeInt32BE(at - 12, 8);
  data.writeInt32BE(-1, 12);
  data[16] = 2;
  data.writeInt16BE((producer.transactional ? TRANSACTIONAL : 0) | codec, 21);
  data.writeInt32BE(records.length - 1, 23);
  data.writeBigInt64BE(BigInt(first), 27);
  data.writeBigInt64BE(BigInt(latest), 35);
  data.writeBigInt64BE(producer.producerId, 43);
  data.writeInt16BE(producer.epoch, 51);
  data.writeInt32BE(producer.sequence, 53);
  data.writeInt32BE(records.length, 57);
  data.writeUInt32BE(crc32c(data, CRC_FROM, at), 17);
  return data.subarray(0, at);
}

export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

export interface DecodedRecords {
  readonly records: LogRecord[];
  /** Where to read next: after the last whole batch; `from` where there is none. */
  readonly nextOffset: number;
  /** Bytes of keys and values. */
  readonly bytes: number;
}

/**
 * Decodes the batches of one partition of a fetch response as a read-committed consumer sees them: without control
 * records, without records of aborted transactions, without records before `from`.
 * @param aborted as in the response.
 * @throws LOG_UNAVAILABLE for a batch that is damaged or cannot be decompressed.
 */
export function decodeBatches(
  data: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[],
  where: string,
): DecodedRecords {
  const records: LogRecord[] = [];
  const pending = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  const aborting = new Set<bigint>();
  let nextOffset = from;
  let bytes = 0;
  for (let at = 0; at + HEADER <= data.length; ) {
    const size = 12 + data.readInt32BE(at + 8);
    if (at + size > data.length) break;
    const base = Number(data.readBigInt64BE(at));
    if (data[at + 16] !== 2) throw broken(where, base, `has the old format ${data[at + 16]}`);
    const attributes = data.readInt16BE(at + 21);
    const last = base + data.readInt32BE(at + 23);
    const producerId = data.readBigInt64BE(at + 43);
    while (pending.length > 0 && pending[0]!.firstOffset <= last) aborting.add(pending.shift()!.producerId);
    const end = at + size;
    // The cleaner leaves the header of what it has emptied, of markers as well, where it is its producer's last.
    const empty = data.readInt32BE(at + 57) === 0;
    if (empty) {
      // Nothing to read: neither records nor a marker.
    } else if ((attributes & CONTROL) !== 0) {
      if (controlType(data, at + HEADER) === ABORT_MARKER) aborting.delete(producerId);
    } else if (!((attributes & TRANSACTIONAL) !== 0 && aborting.has(producerId))) {
      if (crc32c(data, at + CRC_FROM, end) !== data.readUInt32BE(at + 17)) throw broken(where, base, 'is damaged');
      bytes += decodeRecords(data, at, end, attributes, base, from, records, where);
    }
    nextOffset = Math.max(nextOffset, last + 1);
    at = end;
  }
  return { records, nextOffset, bytes };
}

function decodeRecords(
  data: Buffer,
  at: number,
  end: number,
  attributes: number,
  base: number,
  from: number,
  records: LogRecord[],
  where: string,
): number {
  const first = Number(data.readBigInt64BE(at + 27));
  const appendTime = (attributes & APPEND_TIME) === 0 ? undefined : Number(data.readBigInt64BE(at + 35));
  const count = data.readInt32BE(at + 57);
  const codec = attributes & COMPRESSION;
  let body = data.subarray(at + HEADER, end);
  if (codec !== 0) {
    try {
      body = decompress(codec, body);
    } catch (error) {
      throw broken(where, base, `cannot be decompressed: ${messageOf(error)}`);
    }
  }
  const reader = new VarintReader(body);
  let bytes = 0;
  for (let i = 0; i < count; i++) {
    const size = reader.next();
    const next = reader.at + size;
    reader.at++;
    const timestamp = appendTime ?? first + reader.next();
    if (appendTime !== undefined) reader.next();
    const offset = base + reader.next();
    const key = reader.bytes();
    const value = reader.bytes();
    reader.at = next;
    if (offset < from) continue;
    bytes += (key?.length ?? 0) + (value?.length ?? 0);
    records.push({ offset, timestamp, key, value });
  }
  return bytes;
}

/** Type of the first control record of a batch: version i16 and type i16 are its key. */
function controlType(data: Buffer, at: number): number {
  const reader = new VarintReader(data, at);
  reader.next();
  reader.at++;
  reader.next();
  reader.next();
  const key = reader.bytes();
  return key === null ? -1 : Buffer.from(key).readInt16BE(2);
}

class VarintReader {
  at: number;
  readonly #data: Buffer;

  constructor(data: Buffer, at = 0) {
    this.#data = data;
    this.at = at;
  }

  /** A zigzag number of up to 53 bits. */
  next(): number {
    const data = this.#data;
    let byte = data[this.at++]!;
    let value = byte & 0x7f;
    let factor = 128;
    while (byte >= 0x80) {
      byte = data[this.at++]!;
      value += (byte & 0x7f) * factor;
      factor *= 128;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  bytes(): Buffer | null {
    const length = this.next();
    if (length < 0) return null;
    const from = this.at;
    this.at += length;
    return this.#data.subarray(from, this.at);
  }
}

function varintBytes(value: number): number {
  let left = value >= 0 ? value * 2 : -value * 2 - 1;
  let bytes = 1;
  while (left >= 128) {
    left = Math.floor(left / 128);
    bytes++;
  }
  return bytes;
}

function putVarint(data: Buffer, at: number, value: number): number {
  let left = value >= 0 ? value * 2 : -value * 2 - 1;
  while (left >= 128) {
    data[at++] = (left % 128) | 0x80;
    left = Math.floor(left / 128);
  }
  data[at++] = left;
  return at;
}

function putBytes(data: Buffer, at: number, bytes: Uint8Array): number {
  const length = bytes.length;
  if (length > 48) data.set(bytes, at);
  else for (let i = 0; i < length; i++) data[at + i] = bytes[i]!;
  return at + length;
}

function broken(where: string, base: number, what: string): FleetcastError {
  return new FleetcastError('LOG_UNAVAILABLE', `${where}: the batch at offset ${base} ${what}`);
}
