import { FleetcastError } from '../errors.ts';
import type { TaskState } from '../state/task-state.ts';

/** Reads one store of one task. Values are copies. */
export interface StateReader {
  /** Undefined where the key has nothing in the store. Of a slab: field name to typed array. */
  get(key: string): unknown;
  /** Keys from `from` (inclusive) to `to` (exclusive) in code-unit order, at most `limit`. */
  range(options?: StateRange): { readonly key: string; readonly value: unknown }[];
}

export interface StateRange {
  readonly from?: string;
  readonly to?: string;
  readonly limit?: number;
}

/** @throws USAGE for a store that the node does not have. */
export function readState(state: TaskState, node: string, store: string): StateReader {
  const name = `${node}/${store}`;
  const column = state.column(name);
  const cell = state.globalCell(name);
  if (column === undefined && cell === undefined) {
    throw new FleetcastError('USAGE', `there is no store ${name}; there are ${state.storeNames().sort().join(', ')}`);
  }
  const get = (key: string): unknown => {
    if (cell !== undefined) return cell.copy();
    const row = state.keys.find(key);
    return row !== undefined && column!.has(row) ? column!.copy(row) : undefined;
  };
  return {
    get,
    range({ from = '', to, limit = Number.POSITIVE_INFINITY } = {}) {
      if (cell !== undefined) return [{ key: '', value: cell.copy() }];
      const keys = [...state.keys.keys()].filter((key) => {
        return key >= from && (to === undefined || key < to) && column!.has(state.keys.find(key)!);
      });
      keys.sort((a, b) => (a < b ? -1 : 1));
      return keys.slice(0, limit).map((key) => ({ key, value: get(key) }));
    },
  };
}
