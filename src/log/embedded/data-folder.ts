import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { FleetcastError, messageOf } from '../../errors.ts';
import { META_BYTES, type Meta, parseMeta } from './page-format.ts';

/** Version of the layout of tables, chunks and marker. A folder of a later version is refused. */
export const FOLDER_VERSION = 1;

const MARKER = 'fleetcast-log.json';
const FORMAT = 'fleetcast-log';
/** LMDB leaves pages that it allocated and freed in its last transaction unwritten at the end of the file. */
const UNWRITTEN_PAGES = 64;

interface Marker {
  readonly format: string;
  readonly version: number;
  readonly state: 'creating' | 'ready';
}

/**
 * Makes an empty or absent folder ours, or looks whether it is: before LMDB opens it and without writing to it.
 * @returns call it when LMDB has made its files.
 * @throws DATA_FOLDER_DAMAGED, DATA_FOLDER_NEWER; the folder is left as it was.
 */
export function claimFolder(path: string): () => void {
  const marker = readMarker(path);
  if (marker === undefined) {
    try {
      mkdirSync(path, { recursive: true });
    } catch (cause) {
      if (isWithoutRight(cause)) {
        throw new FleetcastError('DATA_FOLDER_READ_ONLY', `${path} cannot be made: ${messageOf(cause)}`, { cause });
      }
      throw damaged(path, `no folder can be made here (${messageOf(cause)})`, cause);
    }
    if (readdirSync(path).length > 0) {
      throw damaged(path, 'it holds files but is no log of fleetcast; choose an empty folder');
    }
    writeMarker(path, 'creating');
    return () => writeMarker(path, 'ready');
  }
  if (marker.state === 'creating') return () => writeMarker(path, 'ready');
  checkData(path);
  return () => {};
}

/**
 * Makes the database of a folder that is claimed as long as it says: LMDB would map pages beyond the end of the file,
 * which end the process, where a zero page is an error only. To be called within the folder's gate: what another process
 * writes meanwhile would be cut off.
 * @throws DATA_FOLDER_DAMAGED
 */
export function extendData(path: string): void {
  const file = join(path, 'data.mdb');
  if (!existsSync(file)) return;
  const needed = checkData(path);
  if (statSync(file).size < needed) truncateSync(file, needed);
}

/**
 * Whether a log was made in the folder, which then has a database of the right size. Nothing is written.
 * @throws DATA_FOLDER_DAMAGED, DATA_FOLDER_NEWER
 */
export function holdsLog(path: string): boolean {
  if (readMarker(path)?.state !== 'ready') return false;
  checkData(path);
  return true;
}

function readMarker(path: string): Marker | undefined {
  const file = join(path, MARKER);
  if (!existsSync(file)) return undefined;
  let marker: Marker;
  try {
    marker = JSON.parse(readFileSync(file, 'utf8')) as Marker;
  } catch (cause) {
    throw damaged(path, `${MARKER} is unreadable (${messageOf(cause)})`, cause);
  }
  if (marker?.format !== FORMAT || !Number.isInteger(marker.version)) throw damaged(path, `${MARKER} is not ours`);
  if (marker.version > FOLDER_VERSION) {
    throw new FleetcastError(
      'DATA_FOLDER_NEWER',
      `${path} has version ${marker.version}; this program reads versions up to ${FOLDER_VERSION}`,
    );
  }
  return marker;
}

function writeMarker(path: string, state: Marker['state']): void {
  const marker: Marker = { format: FORMAT, version: FOLDER_VERSION, state };
  const temporary = join(path, `${MARKER}.${process.pid}.tmp`);
  writeFileSync(temporary, `${JSON.stringify(marker)}\n`, { flush: true });
  renameSync(temporary, join(path, MARKER));
}

/** LMDB maps the file into memory: what is cut short or no database at all has to be found before. @returns its size. */
function checkData(path: string): number {
  const file = join(path, 'data.mdb');
  if (!existsSync(file)) throw damaged(path, 'data.mdb is missing');
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    const first = readMeta(fd, 0);
    const second = first === undefined ? undefined : readMeta(fd, first.pageSize);
    if (first === undefined || second === undefined) throw damaged(path, 'data.mdb is no database');
    const latest = second.transaction > first.transaction ? second : first;
    const needed = (latest.lastPage + 1) * latest.pageSize;
    if (size < needed - UNWRITTEN_PAGES * latest.pageSize) {
      throw damaged(path, `data.mdb has ${size} bytes of ${needed}`);
    }
    return needed;
  } finally {
    closeSync(fd);
  }
}

function readMeta(fd: number, at: number): Meta | undefined {
  const page = Buffer.alloc(META_BYTES);
  return readSync(fd, page, 0, page.length, at) < page.length ? undefined : parseMeta(page);
}

function isWithoutRight(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EROFS'].includes(String((error as NodeJS.ErrnoException).code));
}

export function damaged(path: string, what: string, cause?: unknown): FleetcastError {
  return new FleetcastError('DATA_FOLDER_DAMAGED', `${path}: ${what}`, { cause });
}
