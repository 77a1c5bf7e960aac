import { FleetcastError } from '../errors.ts';
import type { StoreMark } from './store.ts';

/** What snapshots need of a store: its rows as bytes, under a name and a version. */
export interface Column {
  /** `node/store`, unique in the task. */
  readonly name: string;
  /** Of the bytes; other versions go through the codec's migration or are refused. */
  readonly version: number;
  has(row: number): boolean;
  /** Bytes of a row that the store has. */
  encode(row: number): Uint8Array;
  /** Whether bytes of that version can be read. */
  reads(version: number): boolean;
  /** @throws STATE_ORPHANED where bytes of that version cannot be read. */
  restore(row: number, version: number, bytes: Uint8Array): void;
  /** The row as a copy that shares nothing with the store, for readers outside the task. */
  copy(row: number): unknown;
  erase(row: number): void;
  /** How to take back what happens to a row that the store has; undefined where its bytes are the way. */
  mark(row: number): StoreMark | undefined;
}

/** @throws STATE_ORPHANED with the way out. */
export function refuseVersion(name: string, found: number, wanted: number): never {
  throw new FleetcastError(
    'STATE_ORPHANED',
    `stored state of ${name} has codec version ${found}, the topology has ${wanted} and no migration between them`,
    { details: { store: name, found, wanted } },
  );
}

/** @throws OPERATOR_FAILED for rows that no key has: records of ticks and broadcasts have no keyed state. */
export function checkRow(name: string, row: number): void {
  if (row < 0) {
    throw new FleetcastError('OPERATOR_FAILED', `${name}: a record that belongs to no key cannot change keyed state`);
  }
}
