import { FleetcastError } from '../errors.ts';
import type { OperatorFactory } from '../operators/operator.ts';
import { FilterOperator, FlatMapOperator, MapOperator } from './stateless.ts';
import type { Edge, ErrorPolicy, Prepare, SinkEncoder, SourceCodec, Topology, TopologyNode } from './topology.ts';
import { validate } from './validate.ts';

export interface SourceOptions<T> {
  readonly topic: string;
  readonly codec: SourceCodec<T>;
  readonly prepare?: Prepare;
}

export interface NodeOptions {
  /** Default `fail`. */
  readonly onError?: ErrorPolicy;
}

export interface SinkOptions<T> extends NodeOptions {
  readonly topic: string;
  readonly encode: SinkEncoder<T>;
}

/**
 * Builds a topology: types flow from source to sink. Every node has a name, unique in the topology; state is kept under
 * the node's name, so a node that keeps its name keeps its state when the topology is edited.
 *
 * ```ts
 * const builder = new TopologyBuilder('averages');
 * const readings = builder.source('readings', { topic: 'readings', codec });
 * const averages = readings.filter('warm', (r) => r.value > 20).process('average', () => new Average());
 * averages.sink('averages', { topic: 'averages', encode: (r) => ({ key: r.key, value: encode(r.value) }) });
 * averages.output<Reading>('late').sink('late', { topic: 'late', encode: encodeReading });
 * const topology = builder.build();
 * ```
 */
export class TopologyBuilder {
  readonly name: string;
  readonly #graph = new GraphDraft();

  constructor(name: string) {
    this.name = name;
  }

  /** Reads a topic. Partition p of the topic is task p. */
  source<T>(name: string, options: SourceOptions<T>): Stream<T> {
    const { topic, codec, prepare } = options;
    this.#graph.add({ kind: 'source', name, topic, codec, ...(prepare === undefined ? {} : { prepare }) });
    return new Stream<T>(this.#graph, [{ node: name, output: '' }]);
  }

  /** @throws TOPOLOGY_INVALID, with every fault that was found. */
  build(): Topology {
    const topology = { name: this.name, nodes: new Map(this.#graph.nodes), edges: [...this.#graph.edges] };
    validate(topology);
    return topology;
  }
}

/** Where records of a stream come from: one output of a node, or several after a merge. */
interface Origin {
  readonly node: string;
  readonly output: string;
}

class GraphDraft {
  readonly nodes = new Map<string, TopologyNode>();
  readonly edges: Edge[] = [];

  add(node: TopologyNode, from: readonly Origin[] = []): void {
    if (this.nodes.has(node.name)) {
      throw new FleetcastError('TOPOLOGY_INVALID', `two nodes have the name ${node.name}`);
    }
    this.nodes.set(node.name, node);
    for (const { node: source, output } of from) this.edges.push({ from: source, output, to: node.name });
  }
}

/** A stream of records with values of type T, keyed by the key of the input record. */
export class Stream<T> {
  protected readonly graph: GraphDraft;
  protected readonly origins: readonly Origin[];

  /** Use {@link TopologyBuilder.source}. */
  constructor(graph: GraphDraft, origins: readonly Origin[]) {
    this.graph = graph;
    this.origins = origins;
  }

  /** An operator of one's own: state, timers, side outputs. */
  process<O>(name: string, factory: OperatorFactory<T, O>, options: NodeOptions = {}): NodeStream<O> {
    return this.#operator<O>(name, 'process', factory as OperatorFactory<unknown, unknown>, options);
  }

  map<O>(name: string, map: (value: T, key: string) => O, options: NodeOptions = {}): NodeStream<O> {
    return this.#operator<O>(
      name,
      'map',
      () => new MapOperator(map as (value: unknown, key: string) => unknown),
      options,
    );
  }

  /** Keeps the records for which `keep` is true; with a type guard, the stream has the narrower type. */
  filter<S extends T>(name: string, keep: (value: T, key: string) => value is S, options?: NodeOptions): NodeStream<S>;
  filter(name: string, keep: (value: T, key: string) => boolean, options?: NodeOptions): NodeStream<T>;
  filter(name: string, keep: (value: T, key: string) => boolean, options: NodeOptions = {}): NodeStream<T> {
    const test = keep as (value: unknown, key: string) => boolean;
    return this.#operator<T>(name, 'filter', () => new FilterOperator(test), options);
  }

  /** Any number of records for each, all at its time. */
  flatMap<O>(name: string, map: (value: T, key: string) => Iterable<O>, options: NodeOptions = {}): NodeStream<O> {
    const each = map as (value: unknown, key: string) => Iterable<unknown>;
    return this.#operator<O>(name, 'flatMap', () => new FlatMapOperator(each), options);
  }

  /** Both streams as one: in the order of the input records that caused them, this stream first within one. */
  merge<U>(other: Stream<U>): Stream<T | U> {
    if (other.graph !== this.graph) {
      throw new FleetcastError('TOPOLOGY_INVALID', 'streams of two builders cannot be merged');
    }
    return new Stream<T | U>(this.graph, [...this.origins, ...other.origins]);
  }

  /** Writes to a topic: to the partition of the same number as the input's, at the input record's ingest time. */
  sink(name: string, options: SinkOptions<T>): void {
    const { topic, encode, onError = 'fail' } = options;
    this.graph.add({ kind: 'sink', name, topic, encode: encode as SinkEncoder<unknown>, onError }, this.origins);
  }

  #operator<O>(
    name: string,
    type: string,
    factory: OperatorFactory<unknown, unknown>,
    options: NodeOptions,
  ): NodeStream<O> {
    this.graph.add({ kind: 'operator', name, type, factory, onError: options.onError ?? 'fail' }, this.origins);
    return new NodeStream<O>(this.graph, name);
  }
}

/** The main output of one node, which may have named outputs beside it. */
export class NodeStream<T> extends Stream<T> {
  readonly #node: string;

  /** Use the methods of {@link Stream}. */
  constructor(graph: GraphDraft, node: string) {
    super(graph, [{ node, output: '' }]);
    this.#node = node;
  }

  /** What the operator emits with `emitTo(name, …)`. An output that nobody connects is counted and dropped. */
  output<U>(name: string): Stream<U> {
    return new Stream<U>(this.graph, [{ node: this.#node, output: name }]);
  }
}
