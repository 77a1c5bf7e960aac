import { closeSync, openSync, readSync } from 'node:fs';

import {
  BIG_DATA,
  BRANCH,
  DUPLICATES,
  LEAF,
  MAX_DEPTH,
  META_BYTES,
  type Meta,
  NO_PAGE,
  NODE_HEADER,
  OVERFLOW,
  OVERFLOW_REFERENCE,
  overflowPages,
  PAGE_HEADER,
  parseMeta,
  SUB_ROOT_AT,
  SUB_TREE,
  SUB_TREE_BYTES,
} from './page-format.ts';

/** What is wrong with a database file; the message says where. */
export class FileDamage extends Error {}

export interface Entry {
  readonly key: Buffer;
  readonly bytes: number;
  /** Transaction that wrote the value, or, where it lies in the page, that last wrote the page. */
  readonly transaction: number;
  /** Root of the table that the entry names, in the root table. */
  readonly subRoot: bigint | undefined;
  /** The value, where it lies in the page: a view, which keeps the page in memory. */
  readonly inline: Buffer | undefined;
  /** First page of the value, where it has pages of its own. */
  readonly page: number;
}

/**
 * Reads an LMDB file by itself, page by page. LMDB maps the file and trusts it: what is broken ends the process, so that
 * it has to be found without LMDB. Nothing is written. Page header: number u64, transaction u64, pad u16, flags u16, then
 * lower and upper u16 or, of a run of pages, their count u32.
 */
export class DatabaseFile {
  readonly #fd: number;
  #meta: Meta | undefined;
  #seen: Uint8Array = new Uint8Array(0);

  constructor(file: string) {
    this.#fd = openSync(file, 'r');
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** The later of the two meta pages; the pages of its tree are what the other methods read. */
  begin(): Meta {
    const first = this.#readMeta(0);
    const second = first === undefined ? undefined : this.#readMeta(first.pageSize);
    if (first === undefined || second === undefined) throw new FileDamage('data.mdb is no database');
    this.#meta = second.transaction > first.transaction ? second : first;
    this.#seen = new Uint8Array(Math.ceil((this.#meta.lastPage + 1) / 8));
    return this.#meta;
  }

  /** Every entry of a tree, in its order. @throws FileDamage */
  *entries(root: bigint): Generator<Entry> {
    if (root !== NO_PAGE) yield* this.#walk(root, 0);
  }

  /** @throws FileDamage where the pages are not those of the entry. */
  value(entry: Entry): Buffer {
    if (entry.inline !== undefined) return entry.inline;
    const { pageSize } = this.#meta!;
    const run = this.#read(entry.page * pageSize, PAGE_HEADER + entry.bytes);
    this.#header(run, entry.page);
    const pages = overflowPages(entry.bytes, pageSize);
    // More where a shorter value took the place of a longer one in the same transaction.
    if (run.readUInt16LE(18) !== OVERFLOW || run.readUInt32LE(20) < pages) broken(entry.page, 'begins no value');
    return run.subarray(PAGE_HEADER);
  }

  /**
   * Checks a list of free pages, after everything in use was walked: count, then page numbers, where 0 is no page and a
   * negative number the length of the run that begins at the next one; i64 each.
   */
  claimFree(list: Buffer): void {
    const count = list.length < 8 ? -1n : list.readBigInt64LE(0);
    if (count < 0n || (count + 1n) * 8n > BigInt(list.length)) throw new FileDamage('a list of free pages is broken');
    for (let at = 8; at < Number(count + 1n) * 8; at += 8) {
      const entry = list.readBigInt64LE(at);
      if (entry > 0n) this.#claim(entry, 1);
      else if (entry < 0n) {
        at += 8;
        if (entry < -BigInt(this.#meta!.lastPage) || at + 8 > list.length) {
          throw new FileDamage('a list of free pages is broken');
        }
        this.#claim(list.readBigInt64LE(at), Number(-entry));
      }
    }
  }

  *#walk(number: bigint, depth: number): Generator<Entry> {
    const at = this.#claim(number, 1);
    const { pageSize } = this.#meta!;
    const page = this.#read(at * pageSize, pageSize);
    this.#header(page, at);
    const flags = page.readUInt16LE(18) & (BRANCH | LEAF | OVERFLOW | 0x68);
    const lower = page.readUInt16LE(20);
    const upper = page.readUInt16LE(22);
    if (flags !== BRANCH && flags !== LEAF) broken(at, 'has an unknown kind');
    if (depth > MAX_DEPTH || lower % 2 !== 0 || lower > upper || upper > pageSize - PAGE_HEADER) {
      broken(at, 'has a broken header');
    }
    for (let i = 0; i < lower; i += 2) {
      const node = page.readUInt16LE(PAGE_HEADER + i) + PAGE_HEADER;
      if (node < PAGE_HEADER + upper || node + NODE_HEADER > pageSize) broken(at, 'points outside itself');
      const low = page.readUInt16LE(node) + page.readUInt16LE(node + 2) * 0x10000;
      const nodeFlags = page.readUInt16LE(node + 4);
      const keyEnd = node + NODE_HEADER + page.readUInt16LE(node + 6);
      if (keyEnd > pageSize) broken(at, 'has a key that is too long');
      if (flags === BRANCH) yield* this.#walk(BigInt(low) + (BigInt(nodeFlags) << 32n), depth + 1);
      else yield this.#entry(page, at, { node, keyEnd, bytes: low, flags: nodeFlags });
    }
  }

  #entry(
    page: Buffer,
    at: number,
    { node, keyEnd, bytes, flags }: { node: number; keyEnd: number; bytes: number; flags: number },
  ): Entry {
    const { pageSize } = this.#meta!;
    const key = page.subarray(node + NODE_HEADER, keyEnd);
    const end = keyEnd + ((flags & BIG_DATA) !== 0 ? OVERFLOW_REFERENCE : bytes);
    if (end > pageSize || (flags & DUPLICATES) !== 0) broken(at, 'has a value that does not fit');
    if ((flags & BIG_DATA) !== 0) {
      const pages = overflowPages(bytes, pageSize);
      const first = this.#claim(page.readBigUInt64LE(keyEnd), pages);
      const transaction = Number(page.readBigUInt64LE(keyEnd + 8));
      return { key, bytes, transaction, subRoot: undefined, inline: undefined, page: first };
    }
    const inline = page.subarray(keyEnd, end);
    const sub = (flags & SUB_TREE) !== 0;
    if (sub && bytes !== SUB_TREE_BYTES) broken(at, 'names a table that is none');
    const transaction = Number(page.readBigUInt64LE(8));
    return {
      key,
      bytes,
      transaction,
      subRoot: sub ? inline.readBigUInt64LE(SUB_ROOT_AT) : undefined,
      inline,
      page: at,
    };
  }

  /** A page has one place in one tree. */
  #claim(number: bigint, pages: number): number {
    const { lastPage } = this.#meta!;
    if (number < 2n || number + BigInt(pages) - 1n > BigInt(lastPage)) {
      throw new FileDamage(`data.mdb refers to page ${number}, which it does not have`);
    }
    const first = Number(number);
    for (let page = first; page < first + pages; page++) {
      const bit = 1 << (page & 7);
      if ((this.#seen[page >> 3]! & bit) !== 0) broken(page, 'is in use twice');
      this.#seen[page >> 3]! |= bit;
    }
    return first;
  }

  #header(page: Buffer, number: number): void {
    if (page.readBigUInt64LE(0) !== BigInt(number)) broken(number, 'is not what was written');
    if (page.readBigUInt64LE(8) > BigInt(this.#meta!.transaction)) broken(number, 'is of no transaction');
  }

  /** What lies beyond the end of the file is zero, as LMDB sees it. */
  #read(at: number, bytes: number): Buffer {
    const buffer = Buffer.alloc(bytes);
    let done = 0;
    while (done < bytes) {
      const read = readSync(this.#fd, buffer, done, bytes - done, at + done);
      if (read === 0) break;
      done += read;
    }
    return buffer;
  }

  #readMeta(at: number): Meta | undefined {
    return parseMeta(this.#read(at, META_BYTES));
  }
}

function broken(page: number, what: string): never {
  throw new FileDamage(`page ${page} of data.mdb ${what}`);
}
