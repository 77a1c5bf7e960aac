import { FleetcastError } from '../errors.ts';
import { partitionFor } from '../log/partitioner.ts';
import type { TaskState } from '../state/task-state.ts';
import type { EngineClock } from './engine-clock.ts';
import { readState, type StateRange } from './state-reader.ts';

/** Where a key was found, and what it has there. */
export interface FoundState {
  readonly partition: number;
  /** It is where the default partitioner would put the key: of several partitions that have it, this one is meant. */
  readonly likely: boolean;
  readonly value: unknown;
}

export interface StateRow {
  readonly key: string;
  readonly partition: number;
  readonly value: unknown;
}

/** Reads a store of all tasks that this engine runs. Values are copies, as of each task's last commit. */
export interface EngineStateReader {
  /**
   * Undefined where the key has nothing. It is looked for where the default partitioner would put it, then in all other
   * partitions that this engine has, by number: who writes the topic may place keys otherwise.
   * @throws STATE_ELSEWHERE where it is in none of them, and the partition that the partitioner would put it into is with
   * another engine, or on its way; USAGE where a task that has failed cannot be asked; LOG_UNAVAILABLE while one starts
   * again; STATE_TIMEOUT where one has not answered in time (`stateTimeoutMs`): it restores, waits, or is stuck
   */
  get(key: string): Promise<unknown>;
  /** As `get`, with the partition. */
  find(key: string): Promise<FoundState | undefined>;
  /**
   * By key in code-unit order, then by partition, over all partitions that this engine has when it is asked.
   * @throws as `get`; STATE_ELSEWHERE where one of them has gone meanwhile
   */
  range(options?: StateRange): Promise<StateRow[]>;
}

/** A task that can be asked. */
export interface StateHolder {
  read<T>(look: (state: TaskState) => T, signal: AbortSignal): Promise<T>;
}

/** The tasks of one part of a topology by partition, and how many partitions there are in all. */
export interface StateHolders {
  /** Of the part. */
  readonly group: string;
  readonly tasks: ReadonlyMap<number, StateHolder>;
  readonly partitions: number;
}

export function stateReader(
  { group, tasks, partitions }: StateHolders,
  node: string,
  store: string,
  clock: EngineClock,
  timeoutMs: number,
): EngineStateReader {
  const find = (key: string): Promise<FoundState | undefined> =>
    within(clock, timeoutMs, async (signal) => {
      const likely = partitionFor(key, partitions);
      const order = [...tasks].sort(([a], [b]) => Number(b === likely) - Number(a === likely) || a - b);
      const found = await firstOf(
        order.map(([partition, task]) => async () => {
          const value = await task.read((state) => readState(state, node, store).get(key), signal);
          return value === undefined ? undefined : { partition, likely: partition === likely, value };
        }),
      );
      if (found !== undefined || order.some(([partition]) => partition === likely)) return found;
      throw elsewhere(`partition ${likely} of ${group}, where the key ${key} would be,`, { group, partition: likely });
    });
  return {
    find,
    get: async (key) => (await find(key))?.value,
    range: (options = {}) =>
      within(clock, timeoutMs, async (signal) => {
        const lists = await Promise.all(
          [...tasks].map(async ([partition, task]) => {
            const entries = await task.read((state) => readState(state, node, store).range(options), signal);
            return entries.map((entry) => ({ ...entry, partition }));
          }),
        );
        return mergedRange(lists, options.limit);
      }),
  };
}

export function mergedRange(lists: readonly (readonly StateRow[])[], limit?: number): StateRow[] {
  const all = lists.flat();
  all.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.partition - b.partition));
  return all.slice(0, limit);
}

/** What the first of `looks` that finds something finds; most keys are where they are looked for first. */
async function firstOf<T>(looks: readonly (() => Promise<T | undefined>)[]): Promise<T | undefined> {
  const [likely = async () => undefined, ...others] = looks;
  const first = await settled(likely());
  if (first.found !== undefined) return first.found;
  const failures = [first];
  const rest = others.map((look) => settled(look()));
  for (const look of rest) {
    const result = await look;
    if (result.found !== undefined) return result.found;
    failures.push(result);
  }
  for (const { failed } of failures) if (failed !== undefined) throw failed.error;
  return undefined;
}

interface Settled<T> {
  readonly found?: T | undefined;
  readonly failed?: { readonly error: unknown };
}

function settled<T>(promise: Promise<T | undefined>): Promise<Settled<T>> {
  return promise.then(
    (found) => ({ found }),
    (error: unknown) => ({ failed: { error } }),
  );
}

/** The signal fires after `ms`. */
export async function within<T>(clock: EngineClock, ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const done = new AbortController();
  void clock.sleep(ms, done.signal).then(() => {
    if (!done.signal.aborted) late.abort();
  });
  try {
    return await work(late.signal);
  } finally {
    done.abort();
  }
}

/** @param what is not here. */
export function elsewhere(what: string, details: Record<string, unknown>): FleetcastError {
  const where = 'is not with this process: ask the one that has it, or once more, if it is just moving';
  return new FleetcastError('STATE_ELSEWHERE', `${what} ${where}`, { details });
}

export function stateTimeout(who: string, details: Record<string, unknown> = {}): FleetcastError {
  return new FleetcastError('STATE_TIMEOUT', `${who} has not answered in time when it was asked for its state`, {
    details,
  });
}
