import { crc32 } from 'node:zlib';
import { FleetcastError } from '../../errors.ts';
import type { LogRecord } from '../event-log.ts';

/**
 * Many records as the value of one LMDB entry, little endian:
 * - header, 32 bytes: format u8 (1), three zero bytes, count u32, span u32 (offsets that the chunk covers, holes
 *   included), CRC-32 of everything from byte 16, least and greatest timestamp f64;
 * - each record: offset less the chunk's base u32, timestamp f64, length of key u32, length of value u32 (0xffffffff is
 *   null), then key and value.
 */
export const CHUNK_HEADER = 32;
export const RECORD_HEADER = 20;
const FORMAT = 1;
const CRC_FROM = 16;
const NULL_LENGTH = 0xffffffff;

/** A chunk aims at sixteen pages of 4 KiB with LMDB's page header: freed runs then fit the next chunk. */
export const CHUNK_BYTES = 65_000;

interface Payload {
  readonly timestamp: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
}

export interface ChunkInfo {
  readonly count: number;
  readonly span: number;
  readonly bytes: number;
  readonly minTime: number;
  readonly maxTime: number;
}

export interface Chunk extends ChunkInfo {
  readonly data: Buffer;
}

export function encodedBytes(record: Payload): number {
  return RECORD_HEADER + (record.key?.length ?? 0) + (record.value?.length ?? 0);
}

/**
 * @param deltas offset of each record less the base; ascending. Without it the records follow each other from 0.
 * @param span offsets that the chunk covers; default one more than the last delta.
 */
export function encodeChunk(records: readonly Payload[], deltas?: readonly number[], span?: number): Chunk {
  let bytes = CHUNK_HEADER;
  for (const record of records) bytes += encodedBytes(record);
  const data = Buffer.allocUnsafe(bytes);
  const view = new DataView(data.buffer, data.byteOffset, bytes);
  let minTime = Number.POSITIVE_INFINITY;
  let maxTime = Number.NEGATIVE_INFINITY;
  let at = CHUNK_HEADER;
  for (let i = 0; i < records.length; i++) {
    const { timestamp, key, value } = records[i]!;
    if (timestamp < minTime) minTime = timestamp;
    if (timestamp > maxTime) maxTime = timestamp;
    view.setUint32(at, deltas === undefined ? i : deltas[i]!, true);
    view.setFloat64(at + 4, timestamp, true);
    view.setUint32(at + 12, key === null ? NULL_LENGTH : key.length, true);
    view.setUint32(at + 16, value === null ? NULL_LENGTH : value.length, true);
    at += RECORD_HEADER;
    if (key !== null) at = put(data, key, at);
    if (value !== null) at = put(data, value, at);
  }
  const covered = span ?? (deltas === undefined ? records.length : (deltas.at(-1) ?? -1) + 1);
  view.setUint32(0, FORMAT, true);
  view.setUint32(4, records.length, true);
  view.setUint32(8, covered, true);
  view.setFloat64(16, minTime, true);
  view.setFloat64(24, maxTime, true);
  view.setUint32(12, crc32(data.subarray(CRC_FROM)), true);
  return { data, count: records.length, span: covered, bytes, minTime, maxTime };
}

/** Copying a short array by hand costs less than the call. */
function put(target: Buffer, source: Uint8Array, at: number): number {
  const length = source.length;
  if (length > 48) target.set(source, at);
  else for (let i = 0; i < length; i++) target[at + i] = source[i]!;
  return at + length;
}

const INFO_BYTES = 32;

/** What the index keeps of a chunk: count u32, span u32, bytes f64, least and greatest timestamp f64. */
export function encodeInfo(info: ChunkInfo): Buffer {
  const stored = Buffer.allocUnsafe(INFO_BYTES);
  stored.writeUInt32LE(info.count, 0);
  stored.writeUInt32LE(info.span, 4);
  stored.writeDoubleLE(info.bytes, 8);
  stored.writeDoubleLE(info.minTime, 16);
  stored.writeDoubleLE(info.maxTime, 24);
  return stored;
}

export function decodeInfo(stored: Buffer): ChunkInfo {
  return {
    count: stored.readUInt32LE(0),
    span: stored.readUInt32LE(4),
    bytes: stored.readDoubleLE(8),
    minTime: stored.readDoubleLE(16),
    maxTime: stored.readDoubleLE(24),
  };
}

/** Reads the records of a chunk one after the other. Keys and values are views onto the chunk, not copies. */
export class ChunkReader {
  readonly base: number;
  /** First offset after the chunk. */
  readonly end: number;
  readonly #data: Buffer;
  readonly #view: DataView;
  #at = CHUNK_HEADER;

  /** @throws DATA_FOLDER_DAMAGED where the bytes are not what was written. */
  constructor(data: Buffer, base: number, where: string) {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    if (
      data.length < CHUNK_HEADER ||
      view.getUint32(0, true) !== FORMAT ||
      view.getUint32(12, true) !== crc32(data.subarray(CRC_FROM))
    ) {
      throw new FleetcastError('DATA_FOLDER_DAMAGED', `${where}: the records from offset ${base} on are damaged`);
    }
    this.base = base;
    this.end = base + view.getUint32(8, true);
    this.#data = data;
    this.#view = view;
  }

  get done(): boolean {
    return this.#at >= this.#data.length;
  }

  /** Offset of the next record. Only while not done. */
  get offset(): number {
    return this.base + this.#view.getUint32(this.#at, true);
  }

  /** Bytes of the next record's key and value. Only while not done. */
  get payload(): number {
    const key = this.#view.getUint32(this.#at + 12, true);
    const value = this.#view.getUint32(this.#at + 16, true);
    return (key === NULL_LENGTH ? 0 : key) + (value === NULL_LENGTH ? 0 : value);
  }

  /** Passes over the records before `offset`. Going back begins anew. */
  seek(offset: number): void {
    if (this.done || this.offset > offset) this.#at = CHUNK_HEADER;
    while (!this.done && this.offset < offset) this.#at += RECORD_HEADER + this.payload;
  }

  next(): LogRecord {
    const at = this.#at;
    const view = this.#view;
    const keyLength = view.getUint32(at + 12, true);
    const valueLength = view.getUint32(at + 16, true);
    const keyEnd = at + RECORD_HEADER + (keyLength === NULL_LENGTH ? 0 : keyLength);
    const end = keyEnd + (valueLength === NULL_LENGTH ? 0 : valueLength);
    this.#at = end;
    return {
      offset: this.base + view.getUint32(at, true),
      timestamp: view.getFloat64(at + 4, true),
      key: keyLength === NULL_LENGTH ? null : this.#data.subarray(at + RECORD_HEADER, keyEnd),
      value: valueLength === NULL_LENGTH ? null : this.#data.subarray(keyEnd, end),
    };
  }
}
