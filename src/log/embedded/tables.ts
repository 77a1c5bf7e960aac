import { closeSync, constants, openSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from 'lmdb';
import { FleetcastError, isFleetcastError, messageOf } from '../../errors.ts';
import type { TopicSpec } from '../event-log.ts';
import { ChunkFile } from './chunk-file.ts';
import { claimFolder, extendData } from './data-folder.ts';
import { Gate } from './gate.ts';
import { closeRoot, openRoot, type Root } from './open-database.ts';

export interface StoredTopic {
  readonly id: number;
  readonly spec: TopicSpec;
}

/** Addresses one partition in the tables. */
export interface PartitionId {
  readonly topic: string;
  readonly topicId: number;
  readonly partition: number;
}

export interface Ends {
  start: number;
  end: number;
  /** Encoded bytes of the chunks between them. */
  bytes: number;
}

/** What must stay free on the disk for LMDB to fail in order. */
const RESERVE_BYTES = 8 * 2 ** 20;

/**
 * The LMDB environment and its tables.
 * - `topics`: name → id and spec.
 * - `ends`: topic id u32, partition u32 → start, end, bytes (f64 each).
 * - `index`: topic id, partition, base offset u64 → what the chunk covers (see `ChunkInfo`), without its records.
 * - `log`: the same key → the chunk.
 * - `groups`: group → members, owners and epochs. `offsets`: [group, topic, partition] → committed offset.
 * - `cleaned`: as `ends` → offset up to which a compacted partition is clean.
 * - `head` (in the root): number of changes so far, bytes of all chunks.
 *
 * Transactions are synchronous and durable when they return: what LMDB reports (a full disk, for example) is an
 * exception at the place that caused it.
 */
export class Tables {
  readonly path: string;
  readonly root: Root;
  readonly topics: Database<StoredTopic, string>;
  readonly groups: Database<unknown, string>;
  readonly offsets: Database<number, [string, string, number]>;
  readonly ends: Database<Buffer, Buffer>;
  readonly cleaned: Database<Buffer, Buffer>;
  readonly index: Database<Buffer, Buffer>;
  readonly log: Database<Buffer, Buffer>;
  readonly #gate: Gate;
  readonly #chunks: ChunkFile;
  readonly #reserve: number;
  readonly #onDamage: (error: FleetcastError) => void;
  #bell: number;
  #seen = -1;
  #closed = false;

  /** @param onDamage hears of damage that a read or a write meets, besides the exception. */
  constructor(path: string, reserve = RESERVE_BYTES, onDamage: (error: FleetcastError) => void = () => {}) {
    this.#onDamage = onDamage;
    this.path = path;
    this.#reserve = reserve;
    try {
      const ready = claimFolder(path);
      this.requireSpace();
      this.#gate = new Gate(path);
      const tables = this.#gate.pass(() => {
        extendData(path);
        const root = openRoot(path, this.#gate);
        const json = { encoding: 'json' } as const;
        const binary = { keyEncoding: 'binary', encoding: 'binary' } as const;
        return {
          root,
          topics: root.openDB<StoredTopic, string>('topics', json),
          groups: root.openDB<unknown, string>('groups', json),
          offsets: root.openDB<number, [string, string, number]>('offsets', json),
          ends: root.openDB<Buffer, Buffer>('ends', binary),
          cleaned: root.openDB<Buffer, Buffer>('cleaned', binary),
          index: root.openDB<Buffer, Buffer>('index', binary),
          log: root.openDB<Buffer, Buffer>('log', binary),
        };
      });
      this.root = tables.root;
      this.topics = tables.topics;
      this.groups = tables.groups;
      this.offsets = tables.offsets;
      this.ends = tables.ends;
      this.cleaned = tables.cleaned;
      this.index = tables.index;
      this.log = tables.log;
      this.root.readerCheck();
      this.#chunks = new ChunkFile(join(path, 'data.mdb'), 'log');
      ready();
      this.#bell = openSync(this.bellPath, constants.O_RDWR | constants.O_CREAT);
    } catch (cause) {
      throw this.translate(cause);
    }
  }

  /** File that changes a little after each transaction of any process. */
  get bellPath(): string {
    return join(this.path, 'bell');
  }

  /** The next reads see everything that was committed by now, in any process. */
  refresh(): void {
    this.root.resetReadTxn();
  }

  /**
   * Runs `work` in one durable transaction; an exception undoes all of it.
   * @throws LOG_FULL, LOG_UNAVAILABLE, or what `work` throws.
   */
  write<T>(work: () => T): T {
    if (this.#closed) throw new FleetcastError('LOG_CLOSED', `${this.path} is closed`);
    // LMDB would wait for a promise here and some of its calls return one: the result goes around it.
    let result: { value: T } | undefined;
    let before = 0;
    try {
      this.#gate.pass(() =>
        this.root.transactionSync(() => {
          result = { value: work() };
          const head = this.head();
          before = head.changes;
          this.#putHead(head.changes + 1, head.bytes);
        }),
      );
    } catch (cause) {
      throw this.#failed(cause);
    }
    if (this.#seen === before) this.#seen = before + 1;
    writeSync(this.#bell, BELL, 0, 1, 0);
    return result!.value;
  }

  /** Runs `work` on what was committed by now. @throws DATA_FOLDER_DAMAGED where the tables are broken. */
  read<T>(work: () => T): T {
    if (this.#closed) throw new FleetcastError('LOG_CLOSED', `${this.path} is closed`);
    this.refresh();
    try {
      return work();
    } catch (cause) {
      throw this.#failed(cause);
    }
  }

  /** Whether another handle or process has written since this was asked before. */
  changedElsewhere(): boolean {
    let changes: number;
    try {
      this.refresh();
      ({ changes } = this.head());
    } catch (cause) {
      // Asked by a timer, which nobody hears; whoever reads next meets the same.
      this.#failed(cause);
      return false;
    }
    const changed = changes !== this.#seen;
    this.#seen = changes;
    return changed;
  }

  head(): { changes: number; bytes: number } {
    const stored = this.root.get('head');
    return stored === undefined
      ? { changes: 0, bytes: 0 }
      : { changes: stored.readDoubleLE(0), bytes: stored.readDoubleLE(8) };
  }

  /** Only within `write`. */
  addBytes(bytes: number): void {
    const head = this.head();
    this.#putHead(head.changes, head.bytes + bytes);
  }

  readEnds(id: PartitionId): Ends {
    const stored = this.ends.get(partitionKey(id));
    if (stored === undefined) return { start: 0, end: 0, bytes: 0 };
    return { start: stored.readDoubleLE(0), end: stored.readDoubleLE(8), bytes: stored.readDoubleLE(16) };
  }

  /** Only within `write`. */
  putEnds(id: PartitionId, ends: Ends): void {
    const stored = Buffer.allocUnsafe(24);
    stored.writeDoubleLE(ends.start, 0);
    stored.writeDoubleLE(ends.end, 8);
    stored.writeDoubleLE(ends.bytes, 16);
    this.ends.put(partitionKey(id), stored);
  }

  /**
   * A chunk, not through LMDB's mapping where that can be helped. Only within `read`, or within `write` before anything
   * was put into the table.
   */
  chunk(key: Buffer): Buffer | undefined {
    // Opens LMDB's read transaction where none is open: it keeps the chunk's pages from being used again.
    if (!this.index.doesExist(key)) return undefined;
    return this.#chunks.get(key) ?? this.log.get(key);
  }

  /** @throws LOG_FULL where the disk is as good as full. */
  requireSpace(): void {
    const { bavail, bsize } = statfsSync(this.path);
    const free = bavail * bsize;
    if (free >= this.#reserve) return;
    const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
    const short = `only ${mebibytes(free)} are free on the disk: nothing is written below ${mebibytes(this.#reserve)}`;
    throw new FleetcastError('LOG_FULL', `${this.path}: ${short}`, { details: { free } });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    closeSync(this.#bell);
    this.#chunks.close();
    await closeRoot(this.root);
  }

  #putHead(changes: number, bytes: number): void {
    const stored = Buffer.allocUnsafe(16);
    stored.writeDoubleLE(changes, 0);
    stored.writeDoubleLE(bytes, 8);
    this.root.put('head', stored);
  }

  #failed(cause: unknown): FleetcastError {
    const error = this.translate(cause);
    if (error.code === 'DATA_FOLDER_DAMAGED') this.#onDamage(error);
    return error;
  }

  /** What LMDB threw, as an error of ours; ours as they are. */
  translate(cause: unknown): FleetcastError {
    if (isFleetcastError(cause)) return cause;
    const text = messageOf(cause);
    if (/MDB_(CORRUPTED|PAGE_NOTFOUND|INVALID|VERSION_MISMATCH|PANIC)/.test(text)) {
      return new FleetcastError('DATA_FOLDER_DAMAGED', `${this.path}: ${text}`, { cause });
    }
    if (/MAP_FULL|No space|too large/i.test(text)) {
      return new FleetcastError('LOG_FULL', `${this.path}: ${text}`, { cause });
    }
    if (/Permission denied|Read-only file system|EACCES|EROFS|EPERM/i.test(text)) {
      return new FleetcastError('DATA_FOLDER_READ_ONLY', `${this.path}: ${text}`, { cause });
    }
    try {
      // LMDB reports a short write as an input/output error.
      this.requireSpace();
    } catch (full) {
      return full as FleetcastError;
    }
    return new FleetcastError('LOG_UNAVAILABLE', `${this.path}: ${text}`, { cause });
  }
}

const BELL = Buffer.from('!');

export function partitionKey(id: PartitionId): Buffer {
  const key = Buffer.allocUnsafe(8);
  key.writeUInt32BE(id.topicId, 0);
  key.writeUInt32BE(id.partition, 4);
  return key;
}

/** Key of a chunk; sorts by topic, partition, base offset. */
export function chunkKey(id: PartitionId, base: number): Buffer {
  const key = Buffer.allocUnsafe(16);
  key.writeUInt32BE(id.topicId, 0);
  key.writeUInt32BE(id.partition, 4);
  key.writeUInt32BE(Math.floor(base / 2 ** 32), 8);
  key.writeUInt32BE(base % 2 ** 32, 12);
  return key;
}

export function baseOf(key: Buffer): number {
  return key.readUInt32BE(8) * 2 ** 32 + key.readUInt32BE(12);
}
