import { FleetcastError } from '../errors.ts';
import { decode, encodeRecord } from '../events/codec.ts';
import type { DeadLetter, StateSnapshot } from '../events/records.ts';
import type { LogRecord, OutRecord } from '../log/event-log.ts';
import { Counts } from './counts.ts';
import { Executor } from './executor.ts';
import { divide, type Subtopology } from './plan.ts';
import type { AnyRecord } from './record-buffer.ts';
import { readState, type StateReader } from './state-reader.ts';
import type { SourceItem, Topology } from './topology.ts';

export interface TestDriverOptions {
  /**
   * Asked after each item that is piped in: true runs the micro-batch that has gathered. Default: after every item.
   * What comes out must not depend on it, and a property test can show that.
   */
  readonly cut?: () => boolean;
  /** Topic that dead letters go to. Default `dead-letters`. */
  readonly deadLetterTopic?: string;
}

/** A record that reached a sink. */
export interface SunkRecord<T> {
  readonly key: string;
  readonly value: T;
  readonly time: number;
  readonly ingestTime: number;
  /** Offset of the input record that caused it. */
  readonly offset: number;
}

interface Part {
  readonly plan: Subtopology;
  readonly executor: Executor;
  /** By source: offset of the next record. */
  readonly offsets: number[];
}

/**
 * Runs a topology with no log and a clock that is the test's: pipe records, ticks and broadcasts in, look at what came
 * out and at the state. Everything but `restart` is synchronous. It plays one partition.
 *
 * ```ts
 * const driver = new TopologyTestDriver(topology);
 * driver.pipe('readings', 'device-1', { value: 20 }, Date.UTC(2026, 0, 1));
 * driver.tick(Date.UTC(2026, 0, 1, 1));
 * expect(driver.values('averages')).toEqual([20]);
 * ```
 */
export class TopologyTestDriver {
  topology: Topology;
  /** What nodes have counted, by node and reason. */
  readonly counts = new Counts();
  #parts: Part[];
  readonly #cut: () => boolean;
  readonly #deadLetterTopic: string;
  readonly #outputs: OutRecord[] = [];
  readonly #sunk = new Map<string, SunkRecord<unknown>[]>();
  #ingestTime = 0;
  #ready: Promise<void>;

  constructor(topology: Topology, options: TestDriverOptions = {}) {
    this.topology = topology;
    this.#cut = options.cut ?? (() => true);
    this.#deadLetterTopic = options.deadLetterTopic ?? 'dead-letters';
    this.#parts = this.#divide(topology);
    this.#ready = this.#prepare();
  }

  /** Resolves when all operators' `prepare` is done. Needed only where an operator has one. */
  ready(): Promise<void> {
    return this.#ready;
  }

  /**
   * Pipes a record into a source, past its codec.
   * @param time event time. @param ingestTime when the log got it; by default the latest ingest time so far, or `time`
   * where there is none.
   */
  pipe(source: string, key: string, value: unknown, time: number, ingestTime?: number): void {
    this.#ingestTime = ingestTime ?? (this.#ingestTime === 0 ? time : this.#ingestTime);
    this.#add(source, Buffer.from(key, 'utf8'), null, { kind: 'record', value, time, key });
  }

  /** Pipes a log record into a source, through its codec. */
  pipeBytes(source: string, key: string | null, value: Uint8Array | null, ingestTime: number): void {
    this.#ingestTime = ingestTime;
    this.#add(source, key === null ? null : Buffer.from(key, 'utf8'), value);
  }

  /** A tick for every source, or for one. */
  tick(time: number, source?: string): void {
    this.#ingestTime = time;
    for (const name of this.#sourceNames(source)) this.#add(name, null, null, { kind: 'tick', time });
  }

  /** A broadcast for every source, or for one: `value` as `prepare` would have returned it. */
  broadcast(value: unknown, source?: string): void {
    for (const name of this.#sourceNames(source)) this.#add(name, null, null, { kind: 'broadcast', value });
  }

  /** Runs what was piped in since the last cut. Reading outputs or state does it too. */
  run(): void {
    for (const part of this.#parts) this.#run(part);
  }

  /** Values that reached a sink, in order. */
  values<T = unknown>(sink: string): T[] {
    return this.records<T>(sink).map((record) => record.value);
  }

  /** Records that reached a sink, in order, before they were encoded. */
  records<T = unknown>(sink: string): readonly SunkRecord<T>[] {
    if (this.topology.nodes.get(sink)?.kind !== 'sink') throw unknown('sink', sink);
    this.run();
    return (this.#sunk.get(sink) ?? []) as SunkRecord<T>[];
  }

  /** Everything that was written to a topic, or to all topics, as it would be on the log. */
  outputs(topic?: string): readonly OutRecord[] {
    this.run();
    return topic === undefined ? this.#outputs : this.#outputs.filter((record) => record.topic === topic);
  }

  deadLetters(): DeadLetter[] {
    return this.outputs(this.#deadLetterTopic).map((record) => decode<DeadLetter>('DeadLetter', record.value!));
  }

  /** The state of a node's store, by key. */
  state(node: string, store: string): StateReader {
    this.run();
    const reader = this.#parts
      .filter(({ plan }) => plan.nodes.some(({ name }) => name === node))
      .map(({ executor }) => readState(executor.state, node, store))[0];
    if (reader === undefined) throw unknown('node', node);
    return reader;
  }

  /**
   * Stops, keeps nothing but the snapshots' bytes, and starts again from them.
   * @param edited goes on with the topology after an edit: the way to test a codec's migration.
   * @throws STATE_ORPHANED where the edit does not fit the state.
   */
  async restart(edited: Topology = this.topology): Promise<void> {
    this.run();
    const former = this.#parts;
    this.topology = edited;
    this.#parts = this.#divide(edited);
    for (const { plan, executor, offsets } of former) {
      const part = this.#parts.find(({ plan: { name } }) => name === plan.name);
      const { state } = executor;
      const globals = state.snapshotGlobals();
      const snapshots = [...state.keys.keys()].map((key): Buffer => {
        const stores = state.snapshotRow(state.keys.rowOf(key));
        return encodeRecord({ type: 'StateSnapshot', task: plan.name, key, offset: 0, stores });
      });
      executor.close();
      if (part === undefined) continue;
      for (const [i, source] of part.plan.sources.entries()) {
        const index = plan.sources.findIndex(({ name }) => name === source.name);
        if (index >= 0) part.offsets[i] = offsets[index]!;
      }
      part.executor.state.restoreGlobals(globals);
      // Backwards: nothing may depend on which key has which row.
      for (const bytes of snapshots.reverse()) {
        const { key, stores } = decode<StateSnapshot>('StateSnapshot', bytes);
        part.executor.state.restoreKey(key, stores);
      }
    }
    this.#ready = this.#prepare();
    await this.#ready;
  }

  close(): void {
    for (const { executor } of this.#parts) executor.close();
  }

  #divide(topology: Topology): Part[] {
    return divide(topology).map((plan) => ({
      plan,
      executor: this.#executor(plan),
      offsets: plan.sources.map(() => 0),
    }));
  }

  #executor(plan: Subtopology): Executor {
    const toPartitionZero = (topic: string) => ({ topic, partitionOf: () => 0 });
    const executor = new Executor(plan, {
      task: `${plan.name}-0`,
      partition: 0,
      target: ({ topic, repartition }) => ({
        ...toPartitionZero(topic),
        ...(repartition === undefined ? {} : { ticks: { from: 0, of: 1, partitions: 1 } }),
      }),
      deadLetters: toPartitionZero(this.#deadLetterTopic),
      judge: (policy) => (typeof policy === 'string' ? policy : policy.exhausted),
      counts: this.counts,
    });
    for (const { name, kind } of plan.nodes) {
      if (kind === 'sink') executor.sink(name)!.onRecord = (record) => this.#sink(name, record);
    }
    return executor;
  }

  #sink(name: string, { key, value, time, ingestTime, offset }: AnyRecord): void {
    const list = this.#sunk.get(name) ?? [];
    this.#sunk.set(name, list);
    list.push({ key, value, time, ingestTime, offset });
  }

  #add(source: string, key: Uint8Array | null, value: Uint8Array | null, item?: SourceItem<unknown>): void {
    for (const part of this.#parts) {
      const index = part.plan.sources.findIndex(({ name }) => name === source);
      if (index < 0) continue;
      const record: LogRecord = { offset: part.offsets[index]!, timestamp: this.#ingestTime, key, value };
      part.offsets[index]! += 1;
      const { batch } = part.executor;
      batch.add(index, record, item ?? batch.decode(index, record));
      if (this.#cut()) this.#run(part);
      return;
    }
    throw unknown('source', source);
  }

  /** What goes to a topic that the topology reads itself is piped into the part that reads it. */
  #run(part: Part): void {
    if (part.executor.batch.size === 0) return;
    part.executor.run();
    const outputs = part.executor.takeOutputs();
    this.#outputs.push(...outputs);
    for (const { topic, timestamp, key, value } of outputs) {
      for (const reader of this.#parts) {
        const index = reader.plan.sources.findIndex((source) => source.topic === topic);
        if (index < 0) continue;
        const record: LogRecord = { offset: reader.offsets[index]!, timestamp, key, value };
        reader.offsets[index]! += 1;
        const { batch } = reader.executor;
        batch.add(index, record, batch.decode(index, record));
      }
    }
    for (const reader of this.#parts) if (reader !== part) this.#run(reader);
  }

  #sourceNames(source: string | undefined): string[] {
    if (source !== undefined) return [source];
    const sources = this.#parts.flatMap(({ plan }) => plan.sources);
    return sources.filter(({ repartition }) => repartition !== true).map(({ name }) => name);
  }

  async #prepare(): Promise<void> {
    for (const { executor } of this.#parts) await executor.prepare();
  }
}

function unknown(what: string, name: string): FleetcastError {
  return new FleetcastError('USAGE', `the topology has no ${what} ${name}`);
}
