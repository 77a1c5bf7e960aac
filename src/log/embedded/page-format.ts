/**
 * How LMDB lays out its file, as far as we read it by ourselves. Page header: number u64, transaction u64, pad u16, flags
 * u16, then lower and upper u16 or, of a run of pages, their count u32. Behind it an array of u16, one for each node:
 * where it begins. Node: size of the value or number of the child's page (with the flags) u32, flags u16, size of the key
 * u16, key, value or reference to the pages that hold it.
 */
export const PAGE_HEADER = 24;
export const NODE_HEADER = 8;
export const OVERFLOW_REFERENCE = 24;
export const BRANCH = 1;
export const LEAF = 2;
export const OVERFLOW = 4;
export const BIG_DATA = 1;
export const SUB_TREE = 2;
export const DUPLICATES = 4;
export const META_BYTES = 160;
/** Where a table's record in the root table has the number of the table's root page. */
export const SUB_ROOT_AT = 40;
export const SUB_TREE_BYTES = 48;
export const MAX_DEPTH = 32;
export const NO_PAGE = 0xffffffffffffffffn;

const MAGIC = 0xbeefc0de;

export interface Meta {
  readonly pageSize: number;
  readonly lastPage: number;
  readonly transaction: number;
  readonly freeRoot: bigint;
  readonly mainRoot: bigint;
}

/** @param page its first `META_BYTES`. @returns undefined where it is no meta page. */
export function parseMeta(page: Buffer): Meta | undefined {
  const pageSize = page.readUInt32LE(48);
  const known = page.readUInt32LE(24) === MAGIC && pageSize >= 512 && pageSize <= 65_536;
  if (!known || (pageSize & (pageSize - 1)) !== 0) return undefined;
  const lastPage = Number(page.readBigUInt64LE(144));
  if (lastPage >= 2 ** 36) return undefined;
  return {
    pageSize,
    lastPage,
    transaction: Number(page.readBigUInt64LE(152)),
    freeRoot: page.readBigUInt64LE(88),
    mainRoot: page.readBigUInt64LE(136),
  };
}

/** Pages that a value with pages of its own takes. */
export function overflowPages(bytes: number, pageSize: number): number {
  return Math.floor((PAGE_HEADER - 1 + bytes) / pageSize) + 1;
}
