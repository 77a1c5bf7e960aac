import { FleetcastError } from '../../errors.ts';
import type { OutRecord } from '../event-log.ts';
import { CHUNK_BYTES, CHUNK_HEADER, type Chunk, encodeChunk, encodedBytes, encodeInfo } from './chunk.ts';
import { chunkKey, type Ends, type PartitionId, type Tables } from './tables.ts';

/** Records of one call for one partition, with their places in that call. */
export interface Share {
  readonly id: PartitionId;
  readonly records: OutRecord[];
  readonly places: number[];
}

export interface WriteRequest {
  readonly shares: readonly Share[];
  readonly count: number;
  /** Within the transaction, before anything of the request is written; an exception fails this request alone. */
  readonly check?: () => void;
  /** Within the transaction, after the records. */
  readonly finish?: () => void;
}

interface Pending extends WriteRequest {
  readonly bytes: number;
  readonly resolve: (offsets: readonly number[]) => void;
  readonly reject: (error: unknown) => void;
}

/** A run of chunks for one partition, of one request with a check or of several without. */
interface Segment {
  readonly id: PartitionId;
  readonly owner: Pending | undefined;
  readonly records: OutRecord[];
  readonly parts: { readonly request: Pending; readonly places: readonly number[] }[];
  bytes: number;
}

const GROUP_BYTES = 16 * 2 ** 20;

/**
 * Group commit: what is requested while a transaction runs, or in the same turn of the event loop, goes into the next
 * one together. Requests keep their order.
 */
export class WriteQueue {
  readonly #tables: Tables;
  readonly #maxBytes: number;
  readonly #onWritten: (touched: Iterable<PartitionId>) => void;
  readonly #queue: Pending[] = [];
  #scheduled: NodeJS.Immediate | undefined;

  /** @param maxBytes of all chunks; more is LOG_FULL. */
  constructor(tables: Tables, maxBytes: number, onWritten: (touched: Iterable<PartitionId>) => void) {
    this.#tables = tables;
    this.#maxBytes = maxBytes;
    this.#onWritten = onWritten;
  }

  /** @returns the offsets of the request's records, by place. */
  write(request: WriteRequest): Promise<readonly number[]> {
    let bytes = 0;
    for (const share of request.shares) for (const record of share.records) bytes += encodedBytes(record);
    return new Promise((resolve, reject) => {
      this.#queue.push({ ...request, bytes, resolve, reject });
      this.#schedule();
    });
  }

  /** Writes what is waiting now. */
  drain(): void {
    while (this.#queue.length > 0) this.#flush();
  }

  #schedule(): void {
    if (this.#scheduled !== undefined) return;
    this.#scheduled = setImmediate(() => {
      this.#scheduled = undefined;
      if (this.#queue.length > 0) this.#flush();
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #flush(): void {
    const group = this.#take();
    const failed = new Map<Pending, unknown>();
    const results = new Map<Pending, number[]>();
    const touched = new Map<string, PartitionId>();
    try {
      this.#tables.requireSpace();
      const segments = segmentsOf(group).map((segment) => ({ segment, chunks: chunksOf(segment) }));
      this.#tables.write(() => {
        for (const request of group) {
          results.set(request, new Array<number>(request.count));
          try {
            request.check?.();
          } catch (error) {
            failed.set(request, error);
          }
        }
        this.#put(
          segments.filter(({ segment }) => segment.owner === undefined || !failed.has(segment.owner)),
          results,
          touched,
        );
        for (const request of group) if (!failed.has(request)) request.finish?.();
      });
    } catch (error) {
      for (const request of group) request.reject(error);
      return;
    }
    this.#onWritten(touched.values());
    for (const request of group) {
      const error = failed.get(request);
      if (error === undefined) request.resolve(results.get(request)!);
      else request.reject(error);
    }
  }

  #take(): Pending[] {
    let bytes = 0;
    let n = 0;
    while (n < this.#queue.length && (n === 0 || bytes + this.#queue[n]!.bytes <= GROUP_BYTES)) {
      bytes += this.#queue[n++]!.bytes;
    }
    return this.#queue.splice(0, n);
  }

  #put(
    segments: readonly { segment: Segment; chunks: readonly Chunk[] }[],
    results: ReadonlyMap<Pending, number[]>,
    touched: Map<string, PartitionId>,
  ): void {
    const ends = new Map<string, { id: PartitionId; at: Ends }>();
    let bytes = 0;
    for (const { segment, chunks } of segments) {
      const name = `${segment.id.topicId}/${segment.id.partition}`;
      let entry = ends.get(name);
      if (entry === undefined) {
        entry = { id: segment.id, at: this.#tables.readEnds(segment.id) };
        ends.set(name, entry);
        touched.set(name, segment.id);
      }
      let offset = entry.at.end;
      for (const part of segment.parts) {
        const offsets = results.get(part.request)!;
        for (const place of part.places) offsets[place] = offset++;
      }
      for (const chunk of chunks) {
        const key = chunkKey(segment.id, entry.at.end);
        this.#tables.log.put(key, chunk.data);
        this.#tables.index.put(key, encodeInfo(chunk));
        entry.at.end += chunk.span;
        entry.at.bytes += chunk.bytes;
        bytes += chunk.bytes;
      }
    }
    for (const { id, at } of ends.values()) this.#tables.putEnds(id, at);
    if (bytes === 0) return;
    this.#tables.addBytes(bytes);
    const total = this.#tables.head().bytes;
    if (total > this.#maxBytes) {
      throw new FleetcastError(
        'LOG_FULL',
        `${this.#tables.path}: ${total} bytes would be more than the ${this.#maxBytes} that the log may hold`,
        { details: { bytes: total, maxBytes: this.#maxBytes } },
      );
    }
  }
}

/** Gathers the records of neighbouring requests by partition, so that small appends share a chunk. */
function segmentsOf(group: readonly Pending[]): Segment[] {
  const segments: Segment[] = [];
  const open = new Map<string, Segment>();
  for (const request of group) {
    const owner = request.check === undefined ? undefined : request;
    for (const share of request.shares) {
      const name = `${share.id.topicId}/${share.id.partition}`;
      let segment = open.get(name);
      if (segment === undefined || segment.owner !== owner || (owner === undefined && segment.bytes > CHUNK_BYTES)) {
        segment = { id: share.id, owner, records: [], parts: [], bytes: 0 };
        segments.push(segment);
        open.set(name, segment);
      }
      for (const record of share.records) {
        segment.records.push(record);
        segment.bytes += encodedBytes(record);
      }
      segment.parts.push({ request, places: share.places });
    }
  }
  return segments;
}

function chunksOf(segment: Segment): Chunk[] {
  const chunks: Chunk[] = [];
  let from = 0;
  let bytes = CHUNK_HEADER;
  for (let i = 0; i < segment.records.length; i++) {
    const size = encodedBytes(segment.records[i]!);
    if (i > from && bytes + size > CHUNK_BYTES) {
      chunks.push(encodeChunk(segment.records.slice(from, i)));
      from = i;
      bytes = CHUNK_HEADER;
    }
    bytes += size;
  }
  if (from < segment.records.length) {
    chunks.push(encodeChunk(from === 0 ? segment.records : segment.records.slice(from)));
  }
  return chunks;
}
