import type { GlobalStore, KeyedStore, SlabLayout, SlabMigration, SlabStore, StoreCodec } from '../state/store.ts';

/**
 * The contract of an operator.
 *
 * A micro-batch goes through the topology node by node: every node handles all items of the batch, in the order of the
 * input records that caused them, before the next node begins. So an operator sees whole batches (one kernel call for
 * all windows), and what it emits does not depend on where the batches were cut.
 *
 * An operator sees records, its own state and the stream's time (ticks), and nothing else: no clock, no randomness, no
 * I/O, nothing of other nodes. State belongs to the record's key; operators do not look up other keys.
 */
export interface Operator<I = unknown, O = unknown> {
  /**
   * What it emits to its main output is made of many records of a key (the result of a window, for example): behind a
   * `keyBy` it has no {@link Origins} then.
   */
  readonly gathers?: boolean;
  /** Called once before the first record, before state is restored. Stores are declared here and nowhere else. */
  init?(context: OperatorContext): void;
  /**
   * Called once after `init` and after state was restored, before the first record: the only place to wait for
   * something from outside, such as the model that restored state names. Tasks wait as long as it takes.
   */
  prepare?(): Promise<void>;
  process(record: StreamRecord<I>, out: Collector<O>): void;
  /** A tick of the log: wall-clock time as a record. Prefer timers to walking over keys here. */
  tick?(time: number, out: Collector<O>): void;
  /** A timer that this node has set for `at` is due: `time` (of the tick) ≥ its deadline. It is cleared before the call. */
  timer?(at: Position, time: number, out: Collector<O>): void;
  /** A record that concerns every key (an Activation, for example), in the order of the log. */
  broadcast?(value: unknown, position: Position, out: Collector<O>): void;
  /**
   * The micro-batch's items for this node are through. An operator that collected work in `process` does it here and
   * emits with `out.at(position)`, in the order in which the positions came.
   */
  flush?(out: DeferredCollector<O>): void;
  close?(): void;
}

/** A key of the task, with the row that its state has in every store. */
export interface Keyed {
  readonly key: string;
  /** Row in the task's stores; valid while the task holds the key. */
  readonly row: number;
}

/** Where in the input an item comes from. */
export interface Position extends Keyed {
  /** Offset of the input record that caused this item. */
  readonly offset: number;
  /** Ingest time of that input record (timestamp of the log record), milliseconds since the epoch. */
  readonly ingestTime: number;
  /** Place of the input record in the micro-batch; only for ordering. */
  readonly turn: number;
}

export interface StreamRecord<T> extends Position {
  readonly value: T;
  /** Event time, milliseconds since the epoch. */
  readonly time: number;
}

export interface Collector<O> {
  /** Emits to the main output, with the key and position of the item being handled. */
  emit(value: O, time: number): void;
  /** Emits to a named output (`late`, `rejected`, …). An output that nobody has connected counts and drops. */
  emitTo(output: string, value: unknown, time: number): void;
  /** Whether something reads a named output of this node. */
  connected(output: string): boolean;
  /**
   * Puts the input record that caused the item being handled among the dead letters. The state keeps what the operator
   * changes; an operator that cannot go on with a record throws instead, and the node's policy decides.
   * @param reason stable, for counts; the operator counts by itself.
   */
  deadLetter(reason: string, message: string): void;
  /** Counts an event of this node under a stable reason: shown in metrics and on the page. */
  count(reason: string, by?: number): void;
}

export interface DeferredCollector<O> extends Collector<O> {
  /** The following emits belong to this position, which came in this micro-batch. */
  at(position: Position): void;
}

export interface OperatorContext {
  /** Name of the node. */
  readonly node: string;
  readonly task: string;
  readonly partition: number;
  /** State for each key as a value of the heap; the codec makes snapshots. */
  keyed<V>(name: string, codec: StoreCodec<V>): KeyedStore<V>;
  /**
   * State for each key as a fixed row of typed arrays: for windows and counters of many keys.
   * @param migrations from former layouts; stored rows of any other layout are refused (STATE_ORPHANED).
   */
  slab(name: string, layout: SlabLayout, migrations?: readonly SlabMigration[]): SlabStore;
  /** State of the task itself (the model in use, for example): one value, set by broadcasts and ticks only. */
  global<V>(name: string, codec: StoreCodec<V>, initial: V): GlobalStore<V>;
  /** One timer for each key of this node, on the time of ticks. */
  readonly timers: Timers;
  /** Set behind a `keyBy` only. */
  readonly origins?: Origins;
  /** Only inside `broadcast`: every timer of this node fires now, at the broadcast's place, whatever its deadline. */
  fireTimers(): void;
}

/** Where items behind a `keyBy` come from: a key there has records of many origins, whose clocks and pace differ. */
export interface Origins {
  /**
   * The key that the input record had before the `keyBy` (before the first, where there are several). Undefined for items
   * of ticks, and where the `keyBy` keeps no origins.
   */
  of(at: Position): string | undefined;
  /**
   * The stream's time at that item: up to here all partitions before the `keyBy` have been read. Milliseconds since the
   * epoch, the earliest of the partitions' latest ticks; −∞ while some have been heard and others have not, ∞ where no
   * ticks come or the time is the key's own.
   */
  clock(at: Position): number;
}

export interface Timers {
  /** Sets or moves the timer of this key. @param deadline milliseconds since the epoch, compared with ticks. */
  set(at: Keyed, deadline: number): void;
  clear(at: Keyed): void;
  /** Deadline of this key, or undefined. */
  get(at: Keyed): number | undefined;
}

/** Makes the operator of a node, once for each task. */
export type OperatorFactory<I, O> = () => Operator<I, O>;
