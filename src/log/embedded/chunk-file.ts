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

interface Node {
  /** Of the value; of a branch, the low half of the child's page. */
  readonly bytes: number;
  readonly flags: number;
  readonly keyAt: number;
  readonly valueAt: number;
}

/**
 * Reads the values of one table from the database file with plain reads. Through LMDB's mapping every page that was ever
 * read would count as memory of the process until the system wants it back: a restart would look as large as the log.
 *
 * LMDB stays the authority: call it while LMDB's own read transaction is open, which keeps the pages of every later state
 * from being used again, and ask LMDB for what is not found here.
 */
export class ChunkFile {
  readonly #fd: number;
  /** Name of the table; as LMDB's bindings write it, and as LMDB would. */
  readonly #names: readonly Buffer[];
  readonly #meta = Buffer.alloc(META_BYTES);
  #page = Buffer.alloc(0);

  constructor(file: string, table: string) {
    this.#fd = openSync(file, 'r');
    this.#names = [Buffer.from(`${table}\0`, 'latin1'), Buffer.from(table, 'latin1')];
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** A copy of the value as of the newest commit; undefined where there is none, or where it cannot be read this way. */
  get(key: Buffer): Buffer | undefined {
    const meta = this.#newest();
    const root = meta === undefined ? undefined : this.#root(meta);
    const entry = root === undefined ? undefined : this.#find(meta!, root, key);
    if (entry === undefined || (entry.flags & (SUB_TREE | DUPLICATES)) !== 0) return undefined;
    const { bytes, valueAt } = entry;
    if ((entry.flags & BIG_DATA) === 0) return Buffer.from(this.#page.subarray(valueAt, valueAt + bytes));
    const first = Number(this.#page.readBigUInt64LE(valueAt));
    const run = Buffer.allocUnsafeSlow(PAGE_HEADER + bytes);
    const whole =
      this.#fill(run, first * meta!.pageSize) &&
      Number(run.readBigUInt64LE(0)) === first &&
      run.readUInt16LE(18) === OVERFLOW &&
      // More where a shorter value took the place of a longer one in the same transaction.
      run.readUInt32LE(20) >= overflowPages(bytes, meta!.pageSize);
    return whole ? run.subarray(PAGE_HEADER) : undefined;
  }

  #newest(): Meta | undefined {
    const first = this.#metaAt(0);
    const second = first === undefined ? undefined : this.#metaAt(first.pageSize);
    if (first === undefined || second === undefined) return undefined;
    if (this.#page.length !== first.pageSize) this.#page = Buffer.alloc(first.pageSize);
    const newest = second.transaction > first.transaction ? second : first;
    // Another process may write the page while it is read: what is half of each is not the same twice.
    const again = this.#metaAt(newest === first ? 0 : first.pageSize);
    return again?.transaction === newest.transaction && again.mainRoot === newest.mainRoot ? newest : undefined;
  }

  #metaAt(at: number): Meta | undefined {
    return this.#fill(this.#meta, at) ? parseMeta(this.#meta) : undefined;
  }

  #root(meta: Meta): bigint | undefined {
    for (const name of this.#names) {
      const found = this.#find(meta, meta.mainRoot, name);
      if (found === undefined) continue;
      const table = (found.flags & SUB_TREE) !== 0 && found.bytes === SUB_TREE_BYTES;
      return table ? this.#page.readBigUInt64LE(found.valueAt + SUB_ROOT_AT) : undefined;
    }
    return undefined;
  }

  /** The entry of a key, in the leaf that is in `#page` then. */
  #find({ lastPage, pageSize }: Meta, root: bigint, key: Buffer): Node | undefined {
    let number = root === NO_PAGE ? Number.POSITIVE_INFINITY : Number(root);
    for (let depth = 0; depth < MAX_DEPTH; depth++) {
      const page = this.#page;
      if (number > lastPage || !this.#fill(page, number * pageSize)) return undefined;
      if (Number(page.readBigUInt64LE(0)) !== number) return undefined;
      const kind = page.readUInt16LE(18) & (BRANCH | LEAF | OVERFLOW);
      if (kind !== BRANCH && kind !== LEAF) return undefined;
      const node = lastUpTo(page, key, kind === BRANCH);
      if (node === undefined) return undefined;
      if (kind === LEAF) {
        return page.compare(key, 0, key.length, node.keyAt, node.valueAt) === 0 ? node : undefined;
      }
      number = node.bytes + node.flags * 2 ** 32;
    }
    return undefined;
  }

  #fill(buffer: Buffer, at: number): boolean {
    return readSync(this.#fd, buffer, 0, buffer.length, at) === buffer.length;
  }
}

/** The last node whose key is not after the one that is looked for. The first node of a branch stands for all before it. */
function lastUpTo(page: Buffer, key: Buffer, branch: boolean): Node | undefined {
  let from = branch ? 1 : 0;
  let to = page.readUInt16LE(20) >> 1;
  while (from < to) {
    const middle = (from + to) >> 1;
    const node = nodeAt(page, middle);
    if (node === undefined) return undefined;
    if (page.compare(key, 0, key.length, node.keyAt, node.valueAt) <= 0) from = middle + 1;
    else to = middle;
  }
  return from === 0 ? undefined : nodeAt(page, from - 1);
}

/** Undefined where the page is not what it says. */
function nodeAt(page: Buffer, index: number): Node | undefined {
  const slot = PAGE_HEADER + 2 * index;
  const at = slot + 2 > page.length ? page.length : page.readUInt16LE(slot) + PAGE_HEADER;
  if (at + NODE_HEADER > page.length) return undefined;
  const bytes = page.readUInt16LE(at) + page.readUInt16LE(at + 2) * 0x10000;
  const flags = page.readUInt16LE(at + 4);
  const keyAt = at + NODE_HEADER;
  const valueAt = keyAt + page.readUInt16LE(at + 6);
  const inPage = (flags & BIG_DATA) === 0 ? 0 : OVERFLOW_REFERENCE;
  return valueAt + inPage > page.length ? undefined : { bytes, flags, keyAt, valueAt };
}
