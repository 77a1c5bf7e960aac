import { FleetcastError } from '../errors.ts';
import type { OperatorFactory } from '../operators/operator.ts';
import { jsonCodec } from '../state/json-codec.ts';
import type { StoreCodec } from '../state/store.ts';
import type { GraphDraft, Origin } from './graph-draft.ts';
import { StreamJoinOperator, type StreamJoinOptions } from './joins/stream-join-operator.ts';
import { TableJoinOperator } from './joins/table-join-operator.ts';
import type { Tagged } from './joins/tagged.ts';
import { repartitionCodec, repartitionEncoder } from './repartition.ts';
import { SplitOperator } from './split.ts';
import { FilterOperator, FlatMapOperator, MapOperator } from './stateless.ts';
import type { ErrorPolicy, SinkEncoder, TimeOf, ValueCodec } from './topology.ts';
import { arrivalFold, type Held, heldCodec, orderedFold } from './windows/fold.ts';
import { SlidingOperator } from './windows/sliding-operator.ts';
import { type EmitMode, WindowOperator } from './windows/window-operator.ts';
import type { Aggregator, SlidingWindows, Windowed, WindowSpec } from './windows/window-spec.ts';

export interface NodeOptions {
  /** Default `fail`. */
  readonly onError?: ErrorPolicy;
}

export interface SinkOptions<T> extends NodeOptions {
  readonly topic: string;
  readonly encode: SinkEncoder<T>;
  /**
   * What goes to the topic may come back to this sink, by a source of it. Without it that is refused: a record that is
   * written for each that is read never ends. Up to the operators between them to let it end.
   */
  readonly feedback?: true;
}

export interface KeyByOptions<T> extends NodeOptions {
  /** Of the values on the repartition topic. Default: JSON. */
  readonly codec?: ValueCodec<T>;
  /** Partitions of the repartition topic. Default: as many as the input has. */
  readonly partitions?: number;
  /**
   * What the event time of the new key is made of, for windows and joins that follow. `origin` (the default): of the
   * latest event times of all keys from before that it has records of, the earliest, and never beyond the ticks that have
   * come from all partitions; one with a fast clock, or in a partition that lags, then costs the others no record. Adds
   * the old key to each record of the repartition topic, and about 110 bytes of memory for each old key of a new one.
   * `key`: the latest event time of the key itself.
   */
  readonly timeOf?: TimeOf;
}

type Test<T> = (value: T, key: string) => boolean;

/**
 * A stream of records with values of type T.
 * @typeParam K what the key is. `keyBy` with a branded string type gives a stream that joins only with its like.
 */
export class Stream<T, K extends string = string> {
  /** Only for the compiler: makes streams of different keys different types. */
  declare readonly keyType: (key: K) => K;
  protected readonly graph: GraphDraft;
  protected readonly origins: readonly Origin[];

  /** Use `TopologyBuilder.source`. */
  constructor(graph: GraphDraft, origins: readonly Origin[]) {
    this.graph = graph;
    this.origins = origins;
  }

  /** An operator of one's own: state, timers, side outputs. */
  process<O>(name: string, factory: OperatorFactory<T, O>, options: NodeOptions = {}): NodeStream<O, K> {
    return this.#operator<O>(name, 'process', factory, options);
  }

  map<O>(name: string, map: (value: T, key: K) => O, options: NodeOptions = {}): NodeStream<O, K> {
    return this.#operator<O>(name, 'map', () => new MapOperator(map as (value: T, key: string) => O), options);
  }

  /** Keeps the records for which `keep` is true; with a type guard, the stream has the narrower type. */
  filter<S extends T>(name: string, keep: (value: T, key: K) => value is S, options?: NodeOptions): NodeStream<S, K>;
  filter(name: string, keep: (value: T, key: K) => boolean, options?: NodeOptions): NodeStream<T, K>;
  filter(name: string, keep: (value: T, key: K) => boolean, options: NodeOptions = {}): NodeStream<T, K> {
    return this.#operator<T>(name, 'filter', () => new FilterOperator(keep as Test<T>), options);
  }

  /** Any number of records for each, all at its time. */
  flatMap<O>(name: string, map: (value: T, key: K) => Iterable<O>, options: NodeOptions = {}): NodeStream<O, K> {
    const each = map as (value: T, key: string) => Iterable<O>;
    return this.#operator<O>(name, 'flatMap', () => new FlatMapOperator(each), options);
  }

  /** Named branches: each record goes to the first whose test holds. Others are counted (`no-branch`) and dropped. */
  split<B extends string>(
    name: string,
    branches: Readonly<Record<B, (value: T, key: K) => boolean>>,
    options: NodeOptions = {},
  ): Record<B, Stream<T, K>> {
    const node = this.#operator<never>(name, 'split', () => new SplitOperator<T>(branches as never), options);
    const streams = Object.keys(branches).map((branch) => [branch, node.output<T>(branch)]);
    return Object.fromEntries(streams) as Record<B, Stream<T, K>>;
  }

  /** Both streams as one: in the order of the input records that caused them, this stream first within one. */
  merge<U>(other: Stream<U, K>): Stream<T | U, K> {
    this.#mustShareGraph(other);
    return new Stream<T | U, K>(this.graph, [...this.origins, ...other.origins]);
  }

  /**
   * The stream with another key, through a topic of the topology's own: what follows runs in tasks of its own, one for
   * each partition of that topic. Ticks go with it; broadcasts do not.
   */
  keyBy<J extends string = string>(
    name: string,
    select: (value: T, key: K) => J,
    options: KeyByOptions<T> = {},
  ): Stream<T, J> {
    const { codec = jsonCodec<T>(), onError = 'fail', partitions, timeOf = 'origin' } = options;
    const topic = `${name}-repartition`;
    const encode = repartitionEncoder(
      select as unknown as (value: T, key: string) => string,
      codec,
      timeOf,
    ) as SinkEncoder<unknown>;
    this.graph.add(
      {
        kind: 'sink',
        name: `${name}-out`,
        topic,
        encode,
        onError,
        repartition: partitions === undefined ? {} : { partitions },
      },
      this.origins,
    );
    this.graph.add({ kind: 'source', name, topic, codec: repartitionCodec(codec), repartition: true, timeOf });
    return new Stream<T, J>(this.graph, [{ node: name, output: '' }]);
  }

  /** Groups the records of each key by event time. */
  window(spec: WindowSpec): WindowedStream<T, K> {
    return new WindowedStream<T, K>(this, spec);
  }

  /**
   * Joins two streams by key within a bound of event time. Sources of both must have equal partition counts and the
   * same partitioning of keys. Output beside the results: `late`, see {@link StreamJoinOptions.late}.
   */
  join<R, O>(
    name: string,
    other: Stream<R, K>,
    options: StreamJoinOptions<T, R> & NodeOptions & { readonly kind?: 'inner' },
    join: (left: T, right: R, key: K) => O,
  ): NodeStream<O, K>;
  join<R, O>(
    name: string,
    other: Stream<R, K>,
    options: StreamJoinOptions<T, R> & NodeOptions & { readonly kind: 'left' },
    join: (left: T, right: R | undefined, key: K) => O,
  ): NodeStream<O, K>;
  join<R, O>(
    name: string,
    other: Stream<R, K>,
    options: StreamJoinOptions<T, R> & NodeOptions & { readonly kind: 'outer' },
    join: (left: T | undefined, right: R | undefined, key: K) => O,
  ): NodeStream<O, K>;
  join<R, O>(
    name: string,
    other: Stream<R, K>,
    options: StreamJoinOptions<T, R> & NodeOptions,
    join: (left: never, right: never, key: K) => O,
  ): NodeStream<O, K> {
    const joiner = join as (left: T | undefined, right: R | undefined, key: string) => O;
    const sides = this.#sides(name, other);
    return sides.#operator<O>(name, 'join', () => new StreamJoinOperator<T, R, O>(options, joiner), options);
  }

  /** Joins each record with the row that the table has for its key; records without one are counted and dropped. */
  joinTable<R, O>(
    name: string,
    table: Table<R, K>,
    join: (value: T, row: R, key: K) => O,
    options?: NodeOptions & { readonly kind?: 'inner' },
  ): NodeStream<O, K>;
  joinTable<R, O>(
    name: string,
    table: Table<R, K>,
    join: (value: T, row: R | undefined, key: K) => O,
    options: NodeOptions & { readonly kind: 'left' },
  ): NodeStream<O, K>;
  joinTable<R, O>(
    name: string,
    table: Table<R, K>,
    join: (value: T, row: never, key: K) => O,
    options: NodeOptions & { readonly kind?: 'inner' | 'left' } = {},
  ): NodeStream<O, K> {
    const joiner = join as (value: T, row: R | undefined, key: string) => O;
    const rowless = options.kind === 'left';
    const sides = this.#sides<R | undefined>(name, table.changes());
    return sides.#operator<O>(name, 'join-table', () => new TableJoinOperator(table.codec, joiner, rowless), options);
  }

  /** Writes to a topic: to the partition of the same number as the input's, at the input record's ingest time. */
  sink(name: string, options: SinkOptions<T>): void {
    const { topic, encode, feedback, onError = 'fail' } = options;
    const node = { kind: 'sink', name, topic, encode: encode as SinkEncoder<unknown>, onError } as const;
    this.graph.add({ ...node, ...(feedback === undefined ? {} : { feedback }) }, this.origins);
  }

  #sides<R>(name: string, other: Stream<R, K>): Stream<Tagged<T, R>, K> {
    this.#mustShareGraph(other);
    const left = this.map<Tagged<T, R>>(`${name}-left`, (value) => ({ side: 'left', value }));
    return left.merge(other.map<Tagged<T, R>>(`${name}-right`, (value) => ({ side: 'right', value })));
  }

  #mustShareGraph(other: Stream<unknown, K>): void {
    if (other.graph === this.graph) return;
    throw new FleetcastError('TOPOLOGY_INVALID', 'streams of two builders cannot be merged or joined');
  }

  #operator<O>(
    name: string,
    type: string,
    factory: () => unknown,
    { onError = 'fail' }: NodeOptions,
  ): NodeStream<O, K> {
    const made = factory as OperatorFactory<unknown, unknown>;
    this.graph.add({ kind: 'operator', name, type, factory: made, onError }, this.origins);
    return new NodeStream<O, K>(this.graph, name);
  }
}

/** The main output of one node, which may have named outputs beside it. */
export class NodeStream<T, K extends string = string> extends Stream<T, K> {
  readonly #node: string;

  /** Use the methods of {@link Stream}. */
  constructor(graph: GraphDraft, node: string) {
    super(graph, [{ node, output: '' }]);
    this.#node = node;
  }

  /** What the operator emits with `emitTo(name, …)`. An output that nobody connects is counted and dropped. */
  output<U>(name: string): Stream<U, K> {
    return new Stream<U, K>(this.graph, [{ node: this.#node, output: name }]);
  }
}

/** The last value of each key of a compacted topic. */
export class Table<T, K extends string = string> {
  readonly codec: ValueCodec<T>;
  readonly #changes: Stream<T | undefined, K>;

  /** Use `TopologyBuilder.table`. */
  constructor(graph: GraphDraft, origins: readonly Origin[], codec: ValueCodec<T>) {
    this.codec = codec;
    this.#changes = new Stream<T | undefined, K>(graph, origins);
  }

  /** The table's changes; undefined where a row is deleted. */
  changes(): Stream<T | undefined, K> {
    return this.#changes;
  }
}

export interface AggregateOptions<T, A> extends NodeOptions {
  /** Of what an open window holds. Default: JSON. */
  readonly codec?: StoreCodec<A>;
  /** Default `close`. */
  readonly emit?: EmitMode;
  /**
   * Keeps the values of open windows and folds them by event time when a result is due, so that it is the same to the
   * last bit for every order of arrival: sums of floating-point numbers are not otherwise. Costs the values' memory.
   */
  readonly ordered?: ValueCodec<T>;
}

export interface ReduceOptions<T> extends NodeOptions {
  /** Of the values. Default: JSON. */
  readonly codec?: ValueCodec<T>;
  /** Default `close`. */
  readonly emit?: EmitMode;
  /** See {@link AggregateOptions.ordered}. */
  readonly ordered?: boolean;
}

/** Outputs of the results' node: `late` and `future`, with the records' own values; see {@link EventTimeOptions.late}. */
export class WindowedStream<T, K extends string = string> {
  readonly #stream: Stream<T, K>;
  readonly #spec: WindowSpec;

  /** Use {@link Stream.window}. */
  constructor(stream: Stream<T, K>, spec: WindowSpec) {
    this.#stream = stream;
    this.#spec = spec;
  }

  /** @throws TOPOLOGY_INVALID for sessions without `merge`, unless folded in order. */
  aggregate<A>(
    name: string,
    aggregator: Aggregator<T, A>,
    options: AggregateOptions<T, A> = {},
  ): NodeStream<Windowed<A>, K> {
    const { codec = jsonCodec<A>(), emit = 'close', ordered } = options;
    const spec = this.#spec;
    if (spec.kind === 'sliding') return this.#sliding(name, spec, aggregator, options);
    if (ordered !== undefined) {
      const fold = orderedFold(aggregator, ordered);
      return this.#stream.process(name, () => new WindowOperator(spec, fold, emit), options);
    }
    if (spec.kind === 'session' && aggregator.merge === undefined) {
      throw new FleetcastError('TOPOLOGY_INVALID', `${name}: sessions need an aggregator with merge`);
    }
    const fold = arrivalFold(aggregator, codec);
    return this.#stream.process(name, () => new WindowOperator(spec, fold, emit), options);
  }

  /** Records in each window. */
  count(name: string, options: NodeOptions & { readonly emit?: EmitMode } = {}): NodeStream<Windowed<number>, K> {
    const counter: Aggregator<T, number> = {
      initial: () => 0,
      add: (count) => count + 1,
      merge: (earlier, later) => earlier + later,
    };
    // A count does not look at values: of sliding windows, too, it keeps places only.
    const nothing = { encode: () => new Uint8Array(0), decode: () => undefined as T };
    return this.aggregate(name, counter, this.#spec.kind === 'sliding' ? { ...options, ordered: nothing } : options);
  }

  /** Reduces the values of each window to one. `reduce` should be associative. The map node is named `name-value`. */
  reduce(name: string, reduce: (a: T, b: T) => T, options: ReduceOptions<T> = {}): NodeStream<Windowed<T>, K> {
    const { codec = jsonCodec<T>(), ordered, ...rest } = options;
    const join = (a: Held<T>, b: Held<T>): Held<T> => (a === null ? b : b === null ? a : { of: reduce(a.of, b.of) });
    const aggregator: Aggregator<T, Held<T>> = {
      initial: () => null,
      add: (held, value) => join(held, { of: value }),
      merge: join,
    };
    const inOrder = ordered === true || this.#spec.kind === 'sliding';
    const folded = inOrder ? { ordered: codec } : { codec: heldCodec(codec) };
    const windows = this.aggregate<Held<T>>(name, aggregator, { ...rest, ...folded });
    return windows.map(`${name}-value`, ({ value, ...window }) => ({ ...window, value: value!.of }));
  }

  #sliding<A>(
    name: string,
    spec: SlidingWindows,
    aggregator: Aggregator<T, A>,
    options: AggregateOptions<T, A>,
  ): NodeStream<Windowed<A>, K> {
    const values = options.ordered ?? jsonCodec<T>();
    return this.#stream.process(
      name,
      () => new SlidingOperator(spec, aggregator, values, options.emit ?? 'close'),
      options,
    );
  }
}
