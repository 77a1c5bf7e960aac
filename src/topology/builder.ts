import { GraphDraft } from './graph-draft.ts';
import { Stream, Table } from './stream.ts';
import type { Awaits, Prepare, SourceCodec, Topology, ValueCodec } from './topology.ts';
import { validate } from './validate.ts';

export interface SourceOptions<T> {
  readonly topic: string;
  readonly codec: SourceCodec<T>;
  readonly prepare?: Prepare;
  readonly awaits?: Awaits;
}

export interface TableOptions<T> {
  /** A compacted topic; a record without a value deletes its key's row. */
  readonly topic: string;
  readonly codec: ValueCodec<T>;
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

  /**
   * Reads a topic. Partition p of the topic is task p.
   * @typeParam K what the key is: a branded string type keeps streams of different keys from being joined.
   */
  source<T, K extends string = string>(name: string, options: SourceOptions<T>): Stream<T, K> {
    this.#graph.add({ ...options, kind: 'source', name });
    return new Stream<T, K>(this.#graph, [{ node: name, output: '' }]);
  }

  /** Reads a compacted topic as a table: the last value of each key, to join streams with. */
  table<T, K extends string = string>(name: string, { topic, codec }: TableOptions<T>): Table<T, K> {
    const changes: SourceCodec<T | undefined> = {
      decode: ({ value, timestamp }) => {
        return { kind: 'record', value: value === null ? undefined : codec.decode(value), time: timestamp };
      },
    };
    this.#graph.add({ kind: 'source', name, topic, codec: changes, table: true });
    return new Table<T, K>(this.#graph, [{ node: name, output: '' }], codec);
  }

  /** @throws TOPOLOGY_INVALID, with every fault that was found. */
  build(): Topology {
    const topology = { name: this.name, nodes: new Map(this.#graph.nodes), edges: [...this.#graph.edges] };
    validate(topology);
    return topology;
  }
}
