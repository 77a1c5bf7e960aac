import { encodeRecord } from '../events/codec.ts';
import type { OutRecord } from '../log/event-log.ts';
import { TaskState } from '../state/task-state.ts';
import { NodeCollector } from './collector.ts';
import { Counts } from './counts.ts';
import { MicroBatch } from './micro-batch.ts';
import { OperatorRunner } from './operator-runner.ts';
import { OriginFlow } from './origins/origin-flow.ts';
import type { Subtopology } from './plan.ts';
import { type Judge, PoisonHandler } from './poison.ts';
import { byTurn, RecordBuffer } from './record-buffer.ts';
import { SinkRunner, type SinkTarget, type Staged } from './sink-runner.ts';
import type { SinkNode } from './topology.ts';

export interface ExecutorOptions {
  readonly task: string;
  readonly partition: number;
  /** Where a sink writes to. */
  readonly target: (sink: SinkNode) => SinkTarget;
  /** Where dead letters go. */
  readonly deadLetters: SinkTarget;
  readonly judge: Judge;
  /** What the log takes of a record; default no limit. */
  readonly maxRecordBytes?: number | undefined;
  readonly counts?: Counts;
}

/**
 * Runs micro-batches through the nodes of a sub-topology, synchronously and without any I/O.
 *
 * Every node handles all items of the batch, in the order of the turns that caused them, before the next node begins.
 * So operators see whole batches, and what comes out does not depend on where batches were cut.
 */
export class Executor {
  readonly state = new TaskState();
  readonly counts: Counts;
  readonly batch: MicroBatch;
  readonly #runners: readonly (OperatorRunner | SinkRunner)[];
  readonly #sinks: readonly SinkRunner[];
  readonly #poison: PoisonHandler;
  readonly #deadLetters: SinkTarget;
  /** Sources' edges: buffer of the source to the first nodes' buffers. */
  readonly #sourceEdges: readonly (readonly RecordBuffer[])[];

  /** Makes and initialises the operators. */
  constructor(part: Subtopology, options: ExecutorOptions) {
    this.counts = options.counts ?? new Counts();
    this.#poison = new PoisonHandler(options, this.counts, options.judge);
    this.#deadLetters = options.deadLetters;

    const edges = new Map<string, RecordBuffer[]>();
    const outputs = new Map<string, Map<string, RecordBuffer[]>>();
    for (const node of part.nodes) {
      const buffers: RecordBuffer[] = [];
      for (const { from, output } of part.inputs.get(node.name) ?? []) {
        const buffer = new RecordBuffer();
        buffers.push(buffer);
        const named = outputs.get(from) ?? new Map<string, RecordBuffer[]>();
        outputs.set(from, named);
        named.set(output, [...(named.get(output) ?? []), buffer]);
      }
      edges.set(node.name, buffers);
    }
    this.batch = new MicroBatch(part.sources, this.state, this.counts);
    const flow = new OriginFlow(part);
    this.#sourceEdges = part.sources.map((source) => outputs.get(source.name)?.get('') ?? []);
    this.#runners = part.nodes.map((node) => {
      const inputs = edges.get(node.name)!;
      if (node.kind === 'sink')
        return new SinkRunner(node, inputs, options.target(node), this.#poison, {
          origins: flow.reaches(node.name),
          maxRecordBytes: options.maxRecordBytes,
        });
      const out = new NodeCollector(node.name, this.counts, outputs.get(node.name) ?? new Map(), this.#poison);
      const origins = flow.reaches(node.name) ? { origins: this.batch.origins } : {};
      const runner = new OperatorRunner(node, inputs, out, this.state, this.#poison, {
        task: options.task,
        partition: options.partition,
        ...origins,
      });
      if (runner.operator.gathers === true) flow.endsAt(node.name);
      return runner;
    });
    this.#sinks = this.#runners.filter((runner) => runner instanceof SinkRunner);
  }

  /** Lets operators wait for what their restored state needs. Call once, after state was restored. */
  async prepare(): Promise<void> {
    for (const runner of this.#runners) {
      if (runner instanceof OperatorRunner) await runner.operator.prepare?.();
    }
  }

  /**
   * Runs what is in `batch` and clears it.
   * @throws OPERATOR_FAILED; the executor must not be used after that, its state is half-way through a batch.
   */
  run(): void {
    const { batch } = this;
    const silent = batch.replaying;
    this.counts.enabled = !silent;
    for (let source = 0; source < this.#sourceEdges.length; source++) {
      const { items, count } = batch.buffers[source]!;
      for (const edge of this.#sourceEdges[source]!) for (let i = 0; i < count; i++) edge.push(items[i]!);
    }
    if (!silent) this.#poison.rejects(batch);
    for (const runner of this.#runners) runner.run(batch, silent);
    if (silent) this.#poison.letters.length = 0;
    batch.clear();
  }

  /**
   * What the last run has written; to be taken after each run. For each topic in the order of the turns, then of the sinks, so
   * that the order within a partition does not depend on the cuts; dead letters last within a turn.
   */
  takeOutputs(): OutRecord[] {
    const byTopic = new Map<string, Staged[]>();
    const stage = (topic: string, staged: Staged): void => {
      if (staged.records.length === 0) return;
      const lists = byTopic.get(topic);
      if (lists === undefined) byTopic.set(topic, [staged]);
      else lists.push(staged);
    };
    for (const sink of this.#sinks) {
      stage(sink.target.topic, sink.staged);
      sink.staged = { turns: [], records: [] };
    }
    stage(this.#deadLetters.topic, this.#takeLetters());
    const lists = [...byTopic.values()].map(inOrder);
    return lists.length === 1 ? lists[0]! : lists.flat();
  }

  sink(name: string): SinkRunner | undefined {
    return this.#sinks.find((sink) => sink.node.name === name);
  }

  close(): void {
    for (const runner of this.#runners) if (runner instanceof OperatorRunner) runner.operator.close?.();
  }

  #takeLetters(): Staged {
    const { letters } = this.#poison;
    if (letters.length === 0) return { turns: [], records: [] };
    letters.sort(byTurn);
    const turns = letters.map(({ turn }) => turn);
    const records = letters.map(({ letter }) => {
      const key = Buffer.from(letter.origin, 'utf8');
      return {
        topic: this.#deadLetters.topic,
        partition: this.#deadLetters.partitionOf(key),
        timestamp: letter.time,
        key,
        value: encodeRecord(letter),
      };
    });
    letters.length = 0;
    return { turns, records };
  }
}

/** What several sinks wrote to one topic, in the order of the turns, then of the sinks. */
function inOrder(lists: readonly Staged[]): OutRecord[] {
  if (lists.length === 1) return lists[0]!.records;
  const all = lists.flatMap(({ turns, records }) => records.map((out, i) => ({ turn: turns[i]!, out })));
  return all.sort(byTurn).map(({ out }) => out);
}
