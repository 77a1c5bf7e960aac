import { setTimeout as pause } from 'node:timers/promises';
import { isFleetcastError } from '../../errors.ts';
import { ChunkReader, decodeInfo } from './chunk.ts';
import { DatabaseFile, type Entry, FileDamage } from './database-file.ts';
import { baseOf } from './tables.ts';

const KEY_BYTES = 16;
const INFO_BYTES = 32;

/** Tables whose values are JSON. */
const JSON_TABLES = new Set(['topics', 'groups', 'offsets']);

/**
 * Looks through the whole structure of a database file and through its latest chunks, up to `bytes` of them. Other
 * processes may write meanwhile when the caller holds a read transaction: it keeps the pages of every later state.
 * @returns what is wrong, or undefined.
 */
export async function findDamage(file: string, bytes: number): Promise<string | undefined> {
  const first = look(file, bytes);
  if (first === undefined) return undefined;
  // A meta page that was being written is whole a moment later; damage stays.
  await pause(20);
  return look(file, bytes);
}

function look(file: string, bytes: number): string | undefined {
  const database = new DatabaseFile(file);
  try {
    check(database, bytes);
    return undefined;
  } catch (error) {
    if (error instanceof FileDamage || isFleetcastError(error, 'DATA_FOLDER_DAMAGED')) return error.message;
    throw error;
  } finally {
    database.close();
  }
}

function check(database: DatabaseFile, bytes: number): void {
  const meta = database.begin();
  const roots = new Map<string, bigint>();
  for (const { key, subRoot } of database.entries(meta.mainRoot)) {
    if (subRoot !== undefined) roots.set(key.toString('latin1').replace(/\0$/, ''), subRoot);
  }
  for (const [name, root] of roots) {
    if (name === 'log' || name === 'index') continue;
    for (const entry of database.entries(root)) {
      const value = database.value(entry);
      if (JSON_TABLES.has(name)) parse(name, value);
    }
  }
  const chunks = chunksOf(database, roots);
  for (const entry of database.entries(meta.freeRoot)) database.claimFree(database.value(entry));
  chunks.sort((a, b) => b.transaction - a.transaction);
  let left = bytes;
  for (const chunk of chunks) {
    left -= chunk.bytes;
    if (left < 0) break;
    verify(database, chunk);
  }
}

/** The chunks with pages of their own; those within pages are verified on the way, and each against the index. */
function chunksOf(database: DatabaseFile, roots: ReadonlyMap<string, bigint>): Entry[] {
  const chunks: Entry[] = [];
  const index = entriesOf(database, roots.get('index'));
  for (const chunk of entriesOf(database, roots.get('log'))) {
    const { value: entry } = index.next();
    if (entry === undefined || !entry.key.equals(chunk.key) || chunk.key.length !== KEY_BYTES) {
      throw new FileDamage('the index of data.mdb does not fit its chunks');
    }
    const info = database.value(entry);
    if (info.length !== INFO_BYTES || decodeInfo(info).bytes !== chunk.bytes) {
      throw new FileDamage('the index of data.mdb does not fit its chunks');
    }
    if (chunk.inline === undefined) chunks.push({ ...chunk, key: Buffer.from(chunk.key) });
    else verify(database, chunk);
  }
  if (index.next().done !== true) throw new FileDamage('the index of data.mdb does not fit its chunks');
  return chunks;
}

function* entriesOf(database: DatabaseFile, root: bigint | undefined): Generator<Entry, undefined> {
  if (root !== undefined) yield* database.entries(root);
}

function verify(database: DatabaseFile, chunk: Entry): void {
  const where = `topic ${chunk.key.readUInt32BE(0)}, partition ${chunk.key.readUInt32BE(4)}`;
  new ChunkReader(database.value(chunk), baseOf(chunk.key), where);
}

function parse(table: string, value: Buffer): void {
  try {
    JSON.parse(value.toString('utf8'));
  } catch {
    throw new FileDamage(`the table ${table} of data.mdb is broken`);
  }
}
