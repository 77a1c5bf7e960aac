import type { LogRecord } from '../event-log.ts';
import { outOfRange } from '../topic-spec.ts';
import { CHUNK_BYTES, CHUNK_HEADER, ChunkReader, decodeInfo, encodeChunk, encodedBytes, encodeInfo } from './chunk.ts';
import {
  baseOf,
  chunkKey,
  type Ends,
  type PartitionId,
  partitionKey,
  type StoredTopic,
  type Tables,
} from './tables.ts';

/** Bytes of chunks that one cleaning transaction handles: other writers wait for it. */
const STEP_BYTES = 2 * 2 ** 20;
/** Keys that one pass remembers; a partition with more dirty keys takes several passes. */
const MAX_KEYS = 500_000;

/** Retention and compaction. Each step is a transaction of its own, valid by itself, so any of them may be the last. */
export class Cleaner {
  readonly #tables: Tables;
  readonly #now: () => number;
  readonly #tombstoneMs: number;

  constructor(tables: Tables, now: () => number, tombstoneMs: number) {
    this.#tables = tables;
    this.#now = now;
    this.#tombstoneMs = tombstoneMs;
  }

  /** @param dirtyShare compacts a partition only when so much of its offsets has come since the last time. */
  async clean(topic: StoredTopic, partition: number, dirtyShare: number): Promise<void> {
    const id = { topic: topic.spec.name, topicId: topic.id, partition };
    if (topic.spec.cleanup === 'delete') await this.#retain(id, topic);
    else await this.#compact(id, dirtyShare);
  }

  /** Cuts a partition at an offset, whatever its retention. @throws LOG_OFFSET_OUT_OF_RANGE above the end. */
  async deleteBefore(id: PartitionId, offset: number): Promise<void> {
    for (;;) {
      const more = this.#tables.write(() => this.#deleteStep(id, offset));
      if (!more) return;
      await breathe();
    }
  }

  /** @returns whether there is more to drop. */
  #deleteStep(id: PartitionId, offset: number): boolean {
    const ends = this.#tables.readEnds(id);
    if (offset > ends.end) outOfRange(id.topic, id.partition, offset, ends.start, ends.end);
    let dropped = 0;
    let more = false;
    const keys: Buffer[] = [];
    const range = { start: chunkKey(id, 0), end: chunkKey(id, offset) };
    for (const { key, value } of this.#tables.index.getRange(range)) {
      const info = decodeInfo(value);
      const end = baseOf(key) + info.span;
      // The chunk that the cut goes through stays; readers begin within it.
      if (end > offset) break;
      keys.push(Buffer.from(key));
      dropped += info.bytes;
      more = dropped >= STEP_BYTES * 8;
      if (more) {
        ends.start = Math.max(ends.start, end);
        break;
      }
    }
    if (!more) ends.start = Math.max(ends.start, offset);
    for (const key of keys) this.#remove(key);
    this.#putEnds(id, ends, -dropped);
    return more;
  }

  async #retain(id: PartitionId, { spec }: StoredTopic): Promise<void> {
    if (spec.retentionMs === undefined && spec.retentionBytes === undefined) return;
    const oldest = spec.retentionMs === undefined ? Number.NEGATIVE_INFINITY : this.#now() - spec.retentionMs;
    const limit = spec.retentionBytes ?? Number.POSITIVE_INFINITY;
    for (;;) {
      this.#tables.refresh();
      if (!this.#retainStep(id, oldest, limit, true)) return;
      this.#tables.write(() => this.#retainStep(id, oldest, limit, false));
      await breathe();
    }
  }

  /** @returns whether there is (or was) something to drop. */
  #retainStep(id: PartitionId, oldest: number, limit: number, dry: boolean): boolean {
    const ends = this.#tables.readEnds(id);
    let dropped = 0;
    const keys: Buffer[] = [];
    for (const { key, value } of this.#tables.index.getRange({ start: chunkKey(id, 0), end: chunkKey(id, ends.end) })) {
      const info = decodeInfo(value);
      const last = baseOf(key) + info.span >= ends.end;
      if (!(info.maxTime < oldest || (ends.bytes - dropped > limit && !last))) break;
      if (dry) return true;
      keys.push(Buffer.from(key));
      dropped += info.bytes;
      ends.start = baseOf(key) + info.span;
      if (dropped >= STEP_BYTES * 8) break;
    }
    if (keys.length === 0) return false;
    for (const key of keys) this.#remove(key);
    this.#putEnds(id, ends, -dropped);
    return true;
  }

  async #compact(id: PartitionId, dirtyShare: number): Promise<void> {
    for (;;) {
      this.#tables.refresh();
      const { end } = this.#tables.readEnds(id);
      const from = this.#tables.cleaned.get(partitionKey(id))?.readDoubleLE(0) ?? 0;
      if (from >= end || end - from < dirtyShare * end) return;
      const { last, to } = await this.#lastOffsets(id, from, end);
      const tombstonesBefore = this.#now() - this.#tombstoneMs;
      for (let at = 0; at < to; ) {
        at = this.#tables.write(() => this.#compactStep(id, at, to, last, tombstonesBefore));
        await breathe();
      }
      this.#tables.write(() => {
        const stored = Buffer.allocUnsafe(8);
        stored.writeDoubleLE(to);
        this.#tables.cleaned.put(partitionKey(id), stored);
      });
    }
  }

  /** Last offset of each key that was written from `from` on, as far as the memory for keys reaches. */
  async #lastOffsets(id: PartitionId, from: number, end: number): Promise<{ last: Map<string, number>; to: number }> {
    const last = new Map<string, number>();
    let to = from;
    while (to < end && last.size < MAX_KEYS) {
      let bytes = 0;
      let some = false;
      this.#tables.refresh();
      for (const { key, value } of this.#chunks(id, to, end)) {
        some = true;
        const chunk = new ChunkReader(value, baseOf(key), id.topic);
        while (!chunk.done) {
          const record = chunk.next();
          if (record.key !== null && record.offset >= from) last.set(keyText(record.key), record.offset);
        }
        to = chunk.end;
        bytes += value.length;
        if (bytes >= STEP_BYTES || last.size >= MAX_KEYS) break;
      }
      if (!some) to = end;
      await breathe();
    }
    return { last, to };
  }

  /** Rewrites some chunks from `at` on without what is superseded. @returns where to go on. */
  #compactStep(
    id: PartitionId,
    at: number,
    to: number,
    last: ReadonlyMap<string, number>,
    tombstonesBefore: number,
  ): number {
    const ends = this.#tables.readEnds(id);
    const output = new Rewriter(this.#tables, id);
    let bytes = 0;
    let next = to;
    for (const { key, value } of [...this.#chunks(id, at, to, STEP_BYTES)]) {
      const chunk = new ChunkReader(value, baseOf(key), id.topic);
      const kept: LogRecord[] = [];
      let count = 0;
      while (!chunk.done) {
        const record = chunk.next();
        count++;
        if (record.key === null || (last.get(keyText(record.key)) ?? -1) > record.offset) continue;
        if (record.value === null && record.timestamp < tombstonesBefore) continue;
        kept.push(record);
      }
      output.add({ base: chunk.base, end: chunk.end, bytes: value.length, key: Buffer.from(key) }, kept, count);
      bytes += value.length;
      next = chunk.end;
    }
    output.finish();
    if (output.change !== 0) this.#putEnds(id, ends, output.change);
    return bytes < STEP_BYTES ? to : next;
  }

  /** Chunks with a base in [from, to), up to about `most` bytes. */
  *#chunks(
    id: PartitionId,
    from: number,
    to: number,
    most = Number.POSITIVE_INFINITY,
  ): Iterable<{ key: Buffer; value: Buffer }> {
    let bytes = 0;
    for (const key of this.#tables.index.getKeys({ start: chunkKey(id, from), end: chunkKey(id, to) })) {
      const value = this.#tables.chunk(key);
      if (value === undefined) continue;
      yield { key, value };
      bytes += value.length;
      if (bytes >= most) return;
    }
  }

  #remove(key: Buffer): void {
    this.#tables.log.remove(key);
    this.#tables.index.remove(key);
  }

  #putEnds(id: PartitionId, ends: Ends, change: number): void {
    this.#tables.putEnds(id, { ...ends, bytes: ends.bytes + change });
    this.#tables.addBytes(change);
  }
}

interface Source {
  readonly base: number;
  readonly end: number;
  readonly bytes: number;
  readonly key: Buffer;
}

/** Puts fewer, fuller chunks in the place of the sources it is given; leaves alone what would not change. */
class Rewriter {
  /** Bytes that were added (negative: saved). */
  change = 0;
  readonly #tables: Tables;
  readonly #id: PartitionId;
  #sources: Source[] = [];
  #records: LogRecord[] = [];
  #bytes = CHUNK_HEADER;
  #same = true;

  constructor(tables: Tables, id: PartitionId) {
    this.#tables = tables;
    this.#id = id;
  }

  add(source: Source, kept: readonly LogRecord[], count: number): void {
    const bytes = kept.reduce((sum, record) => sum + encodedBytes(record), 0);
    if (this.#sources.length > 0 && this.#bytes + bytes > CHUNK_BYTES) this.finish();
    this.#sources.push(source);
    this.#records.push(...kept);
    this.#bytes += bytes;
    this.#same &&= kept.length === count;
  }

  finish(): void {
    const [first] = this.#sources;
    if (first !== undefined && !(this.#same && this.#sources.length === 1)) {
      for (const source of this.#sources) {
        this.#tables.log.remove(source.key);
        this.#tables.index.remove(source.key);
        this.change -= source.bytes;
      }
      if (this.#records.length > 0) {
        const deltas = this.#records.map((record) => record.offset - first.base);
        const chunk = encodeChunk(this.#records, deltas, this.#sources.at(-1)!.end - first.base);
        const key = chunkKey(this.#id, first.base);
        this.#tables.log.put(key, chunk.data);
        this.#tables.index.put(key, encodeInfo(chunk));
        this.change += chunk.bytes;
      }
    }
    this.#sources = [];
    this.#records = [];
    this.#bytes = CHUNK_HEADER;
    this.#same = true;
  }
}

function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}

function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
