import type { LogRecord, ReadBatch, ReadOptions } from '../event-log.ts';
import { readLimits } from '../read-limits.ts';
import { outOfRange } from '../topic-spec.ts';
import { ChunkReader, decodeInfo } from './chunk.ts';
import { baseOf, chunkKey, type PartitionId, type Tables } from './tables.ts';

/** Chunks that readers stand in: at most so many are kept, whatever the number of partitions. */
const KEPT_CHUNKS = 64;

/** Reads records from the chunks, and remembers the chunk in which the last read of a partition ended. */
export class PartitionReader {
  readonly #tables: Tables;
  readonly #standing = new Map<string, ChunkReader>();

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** @throws LOG_OFFSET_OUT_OF_RANGE. */
  read(id: PartitionId, offset: number, options: ReadOptions): ReadBatch {
    return this.#tables.read(() => this.#read(id, offset, options));
  }

  offsetForTime(id: PartitionId, timestamp: number): number {
    return this.#tables.read(() => this.#offsetForTime(id, timestamp));
  }

  #read(id: PartitionId, offset: number, options: ReadOptions): ReadBatch {
    const { start, end } = this.#tables.readEnds(id);
    if (!(offset >= start && offset <= end)) outOfRange(id.topic, id.partition, offset, start, end);
    const limits = readLimits(options);
    const records: LogRecord[] = [];
    let bytes = 0;
    let next = offset;
    while (next < end) {
      const chunk = this.#chunkAt(id, next);
      if (chunk === undefined) {
        next = end;
        break;
      }
      chunk.seek(next);
      while (!chunk.done && (records.length === 0 || (records.length < limits.records && bytes < limits.bytes))) {
        bytes += chunk.payload;
        records.push(chunk.next());
      }
      next = chunk.done ? chunk.end : records.at(-1)!.offset + 1;
      if (!chunk.done) {
        this.#keep(id, chunk);
        break;
      }
      if (records.length >= limits.records || bytes >= limits.bytes) break;
    }
    return { records, nextOffset: Math.max(next, offset), endOffset: end };
  }

  #offsetForTime(id: PartitionId, timestamp: number): number {
    const { start, end } = this.#tables.readEnds(id);
    for (const { key, value } of this.#tables.index.getRange({ start: chunkKey(id, 0), end: chunkKey(id, end) })) {
      if (decodeInfo(value).maxTime < timestamp) continue;
      const chunk = this.#open(id, key);
      chunk?.seek(start);
      while (chunk !== undefined && !chunk.done) {
        const record = chunk.next();
        if (record.timestamp >= timestamp) return record.offset;
      }
    }
    return end;
  }

  /** The chunk that holds the first record at or after `offset`, or undefined. */
  #chunkAt(id: PartitionId, offset: number): ChunkReader | undefined {
    const name = nameOf(id);
    const standing = this.#standing.get(name);
    if (standing !== undefined) {
      this.#standing.delete(name);
      if (standing.base <= offset && offset < standing.end) return standing;
    }
    const exact = chunkKey(id, offset);
    const here = this.#open(id, exact);
    if (here !== undefined) return here;
    for (const { key, value } of this.#tables.index.getRange({
      start: exact,
      end: chunkKey(id, 0),
      inclusiveEnd: true,
      reverse: true,
      limit: 1,
    })) {
      if (offset < baseOf(key) + decodeInfo(value).span) return this.#open(id, key);
    }
    const end = chunkKey({ ...id, partition: id.partition + 1 }, 0);
    for (const key of this.#tables.index.getKeys({ start: exact, end, limit: 1 })) return this.#open(id, key);
    return undefined;
  }

  #open(id: PartitionId, key: Buffer): ChunkReader | undefined {
    const data = this.#tables.chunk(key);
    return data === undefined ? undefined : new ChunkReader(data, baseOf(key), nameOf(id));
  }

  #keep(id: PartitionId, chunk: ChunkReader): void {
    const name = nameOf(id);
    this.#standing.delete(name);
    this.#standing.set(name, chunk);
    if (this.#standing.size > KEPT_CHUNKS) this.#standing.delete(this.#standing.keys().next().value!);
  }
}

function nameOf(id: PartitionId): string {
  return `${id.topic}/${id.partition}`;
}
