import type { StateSnapshot } from '../events/records.ts';
import type { Executor } from './executor.ts';
import { InputJournal, journalPrefix } from './input-journal.ts';
import { type HiddenPart, SnapshotReader, type StateEntry, type StatePlace } from './state-topic.ts';
import type { TaskOptions } from './task-options.ts';

/**
 * Puts what the state topic has of a task into an executor: at a restore up to the end, or, for a standby, as it comes.
 * However far it has come, reading on to the end gives what reading everything at once would have given.
 */
export class StateFollower {
  readonly executor: Executor;
  /** Undefined for a task with one source, unless it had several. */
  journal: InputJournal | undefined;
  /** The newest globals, with the header of the sweep; undefined where there are none. */
  globals: StateSnapshot | undefined;
  readonly #discard: readonly string[];
  readonly #inputs: string;
  readonly #newJournal: () => InputJournal;
  readonly #reader: SnapshotReader<string>;

  constructor(executor: Executor, options: TaskOptions) {
    const { log, part, discardState } = options;
    const place: StatePlace = { topic: options.stateTopic, partition: options.statePartition, task: options.name };
    const topics = part.sources.map(({ topic }) => topic);
    this.executor = executor;
    this.#newJournal = () => new InputJournal(place, topics);
    this.journal = topics.length > 1 ? this.#newJournal() : undefined;
    this.#discard = discardState;
    this.#inputs = journalPrefix(place);
    this.#reader = new SnapshotReader(log, place, [`${place.task}/`, this.#inputs]);
  }

  /** Records of the state topic that are there and were not taken, as last seen. */
  get lag(): number {
    return this.#reader.lag;
  }

  /** Offset (or place in the input sequence) of the newest snapshot; −1 where there is nothing of this task. */
  get newest(): number {
    const { state } = this.executor;
    let newest = Math.max(this.globals?.offset ?? -1, (this.journal?.end ?? 0) - 1);
    for (let row = 0; row < state.keys.rowCount; row++) newest = Math.max(newest, state.snapshotOffset(row));
    return newest;
  }

  /** @throws STATE_ORPHANED for state that does not fit the topology. */
  async toEnd(hidden: HiddenPart, onProgress: (share: number) => void): Promise<void> {
    for await (const entry of this.#reader.toEnd(hidden, onProgress)) this.#take(entry);
  }

  /** Takes what comes next, or nothing when nothing has come for `waitMs`. @throws like `toEnd` */
  async next(waitMs: number, signal: AbortSignal): Promise<void> {
    for (const entry of await this.#reader.next({ waitMs, signal })) this.#take(entry);
  }

  #take({ prefix, key, snapshot }: StateEntry & { readonly prefix: string }): void {
    const { state } = this.executor;
    if (prefix === this.#inputs) {
      if (snapshot !== undefined) this.journal ??= this.#newJournal();
      this.journal?.restore(Number(key), snapshot);
    } else if (key === '') {
      this.globals = snapshot === undefined ? undefined : withoutNodes(snapshot, this.#discard);
    } else if (snapshot === undefined) {
      const row = state.keys.find(key);
      if (row === undefined) return;
      state.restoreKey(key, {});
      state.forget(row);
    } else if (!state.keyless || Object.keys(snapshot.stores).length > 0) {
      const row = state.restoreKey(key, withoutNodes(snapshot, this.#discard).stores);
      state.setSnapshotOffset(row, snapshot.offset);
    }
  }
}

/** Leaves out the stores of nodes whose state the user gave up. */
function withoutNodes(snapshot: StateSnapshot, nodes: readonly string[]): StateSnapshot {
  if (nodes.length === 0) return snapshot;
  const kept = Object.entries(snapshot.stores).filter(([name]) => {
    const store = name.replace(/^(complete|current):/, '');
    return !nodes.includes(store.slice(0, store.indexOf('/')));
  });
  return { ...snapshot, stores: Object.fromEntries(kept) };
}
