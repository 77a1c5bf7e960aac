import type { LogRecord } from '../log/event-log.ts';
import type { Operator, OperatorFactory, StreamRecord } from '../operators/operator.ts';

/**
 * A topology as inert data: named nodes and edges. Made by `TopologyBuilder`, checked by `validate`, drawn by
 * `describe`, run by `Engine` and `TopologyTestDriver`. Nothing here runs or opens anything.
 */
export interface Topology {
  readonly name: string;
  readonly nodes: ReadonlyMap<string, TopologyNode>;
  readonly edges: readonly Edge[];
}

export type TopologyNode = SourceNode | OperatorNode | SinkNode;

export interface SourceNode {
  readonly kind: 'source';
  readonly name: string;
  readonly topic: string;
  readonly codec: SourceCodec<unknown>;
  readonly prepare?: Prepare;
  readonly awaits?: Awaits;
  /** Set where the topic is one of the topology's own, between a `keyBy` and what follows it. */
  readonly repartition?: true;
  /** Of a repartition topic: see `KeyByOptions.timeOf`. */
  readonly timeOf?: TimeOf;
  /** The topic is compacted: a restore cannot count on older records of a key still being there. */
  readonly table?: true;
}

/** Whose latest event times the time of a key behind `keyBy` is made of: the keys before it, or the key itself. */
export type TimeOf = 'origin' | 'key';

export interface OperatorNode {
  readonly kind: 'operator';
  readonly name: string;
  /** What it is, for descriptions: `process`, `map`, `window` … */
  readonly type: string;
  readonly factory: OperatorFactory<unknown, unknown>;
  readonly onError: ErrorPolicy;
}

export interface SinkNode {
  readonly kind: 'sink';
  readonly name: string;
  readonly topic: string;
  readonly encode: SinkEncoder<unknown>;
  readonly onError: ErrorPolicy;
  /** Set for the sink of a `keyBy`: records go to the partition of their new key, ticks to every partition. */
  readonly repartition?: { readonly partitions?: number };
  /** See `SinkOptions.feedback`. */
  readonly feedback?: true;
}

export interface Edge {
  readonly from: string;
  /** Output of `from`: empty for the main output. */
  readonly output: string;
  readonly to: string;
}

/** What one record of the log is to a topology. */
export type SourceItem<T> =
  | SourceRecord<T>
  | SourceTick
  /** Concerns every key; operators get it in the order of the log. */
  | { readonly kind: 'broadcast'; readonly value: unknown }
  /** Does not go on; counted under the stable reason. */
  | { readonly kind: 'skip'; readonly reason: string };

/** Wall-clock time: drives timers. */
export interface SourceTick {
  readonly kind: 'tick';
  readonly time: number;
  /**
   * Where several clocks feed one partition: which of them this is, from 0, and of how many. The partition's time is
   * the earliest of theirs.
   */
  readonly from?: number;
  readonly of?: number;
}

export interface SourceRecord<T> {
  readonly kind: 'record';
  readonly value: T;
  /** Event time, milliseconds since the epoch. */
  readonly time: number;
  /** Only where it differs from the log record's key read as UTF-8. State belongs to it. */
  readonly key?: string;
  /** The key that it had before a `keyBy`. */
  readonly origin?: string;
}

export interface SourceCodec<T> {
  /** Throws for bytes that do not decode: they go to the dead letters with the reason `undecodable`, counted. */
  decode(record: LogRecord): SourceItem<T>;
}

/** Values as bytes, for topics and state of the topology's own. */
export interface ValueCodec<T> {
  /** Changes when bytes in stored state can no longer be read as they are. Default 1. */
  readonly version?: number;
  encode(value: T): Uint8Array;
  decode(bytes: Uint8Array): T;
  /** Reads bytes of an older version in stored state. Without it, an older version is refused (STATE_ORPHANED). */
  migrate?(bytes: Uint8Array, version: number): T;
}

/**
 * Makes ready what a broadcast needs from outside (the artefact that an Activation names, for example) and returns
 * what operators are to get. The micro-batch is cut before the broadcast, and the task waits as long as this takes.
 * The signal ends the wait when the task stops.
 */
export type Prepare = (value: unknown, signal: AbortSignal) => Promise<unknown>;

/** Names what {@link Prepare} needs for a broadcast, for the log: `the model 3f2a…`. */
export type Awaits = (value: unknown) => string;

/** Key and value of an output record; undefined drops it. A key given as text is written as UTF-8. */
export type SinkEncoder<T> = (record: StreamRecord<T>) => EncodedRecord | undefined;

export interface EncodedRecord {
  readonly key: string | Uint8Array | null;
  readonly value: Uint8Array | null;
}

/**
 * What happens with a record on which an operator (or an encoder) throws.
 * - `fail`: the task stops with OPERATOR_FAILED; other tasks go on.
 * - `dead-letter`: what the record emitted at this node and what it changed in the node's stores and timers of its key
 *   is taken back, the input record goes to the dead letters with the stack and the key, and the task goes on. Fields of
 *   the operator itself are not taken back.
 * - retry: the task is restored from its last commit and runs again, up to `attempts` times with doubling pauses;
 *   after that `exhausted` holds.
 */
export type ErrorPolicy =
  | 'fail'
  | 'dead-letter'
  | {
      readonly attempts: number;
      /** First pause, milliseconds; doubles up to 30 s. */
      readonly backoffMs: number;
      readonly exhausted: 'fail' | 'dead-letter';
    };

/** Operators of any types, where types do not matter any more. */
export type AnyOperator = Operator<unknown, unknown>;
