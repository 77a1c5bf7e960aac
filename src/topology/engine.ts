import { FleetcastError } from '../errors.ts';
import type { EventLog, GroupMember, PartitionWait } from '../log/event-log.ts';
import { partitionFor } from '../log/partitioner.ts';
import { checkState } from './check-state.ts';
import { Counts } from './counts.ts';
import { type EngineClock, systemClock } from './engine-clock.ts';
import { prepareTopics } from './engine-topics.ts';
import { describeWaits, type PartitionWaitStatus } from './partition-waits.ts';
import { divide, keepNames, type Subtopology } from './plan.ts';
import type { SinkTarget } from './sink-runner.ts';
import type { StandbyStatus } from './standby.ts';
import { Standbys } from './standbys.ts';
import { readManifest } from './state-manifest.ts';
import { type EngineStateReader, stateReader } from './state-search.ts';
import { Task } from './task.ts';
import type { BatchBounds, TaskEvent, TaskOptions } from './task-options.ts';
import type { TaskStatus } from './task-status.ts';
import type { SinkNode, Topology, TopologyNode } from './topology.ts';

export interface EngineOptions {
  readonly log: EventLog;
  readonly topology: Topology;
  /** Engines of one group share the partitions. The group of a sub-topology is `group.subtopology`. */
  readonly group: string;
  /** Unique within the group. Default: the group and the process id. */
  readonly memberId?: string;
  /** Compacted topic of the snapshots. Default `state`. It is created where it is missing. */
  readonly stateTopic?: string;
  /** Default `dead-letters`; it must exist. */
  readonly deadLetterTopic?: string;
  /** Where a sink's records go; for a second run beside the first. Default: the sink's own topic. */
  readonly outputTopic?: (topic: string) => string;
  /** Where a group begins that has committed nothing. Default `earliest`. */
  readonly startFrom?: 'earliest' | 'latest';
  /** `topic/partition` to the offset before which its task ends. Default: tasks run until they are stopped. */
  readonly until?: ReadonlyMap<string, number>;
  readonly batch?: BatchBounds;
  /** Input records in which the whole state is written once; see `Sweep`. */
  readonly sweepLength?: number;
  /** Nodes whose stored state may be dropped: the way out after an edit that orphans state. */
  readonly discardState?: readonly string[];
  /**
   * Keeps copies of the state of tasks that other processes of the group run, so that a task which comes here need not
   * read its state first: of all, or of these partitions. A copy takes as much memory as the task's state. Default: none.
   */
  readonly standby?: 'all' | readonly number[];
  /**
   * Go on although the log has lost input: begin at what is left, and count what was not read (`cut`, offsets by source);
   * restore from the snapshots without what was to be replayed after them. Without it the task fails (STATE_LOG_CUT).
   */
  readonly acceptCutLog?: boolean;
  /** Default 60,000. */
  readonly idleSweepMs?: number;
  /** Default 30,000. */
  readonly stuckMs?: number;
  /** First and longest pause after a failure, milliseconds. Default 100 and 30,000. */
  readonly backoffMs?: readonly [number, number];
  /**
   * Without a sign of life for so long, a process loses its partitions to the others. Until then nobody works on those of
   * one that was killed, also when it is started again at once. Milliseconds; default 10,000.
   */
  readonly sessionMs?: number;
  /** How long reading the state may wait for a task: STATE_TIMEOUT after that. Milliseconds; default 5,000. */
  readonly stateTimeoutMs?: number;
  readonly clock?: EngineClock;
  readonly onEvent?: (event: TaskEvent) => void;
}

interface Running {
  readonly part: Subtopology;
  readonly partitions: number;
  readonly tasks: Map<number, Task>;
  readonly standbys: Standbys;
  member: GroupMember | undefined;
  /** Partitions of this engine's share that another member still holds. */
  waits: readonly PartitionWait[];
  /** Reads a repartition topic: its bound is known when what feeds it is done. */
  readonly bounded: boolean;
  telling: boolean;
  /** What the last event told of `waits`. */
  told: string;
}

/**
 * Runs a topology on a log: a task for each partition that the group gives it.
 *
 * ```ts
 * const engine = new Engine({ log, topology, group: 'averages' });
 * await engine.start();
 * …
 * await engine.stop();
 * ```
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #clock: EngineClock;
  readonly #running: Running[] = [];
  readonly #partitionsOf = new Map<string, number>();
  /** `topic/partition` of repartition topics to their ends, as soon as what feeds them is done. */
  readonly #bounds = new Map<string, number>();
  /** What tasks have counted that have ended here since. */
  readonly #ended = new Counts();
  readonly #stopping = new AbortController();
  #started = false;
  #joined = false;
  /** Called when a task has ended or gone. */
  readonly #listeners = new Set<() => void>();

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Checks the topics, joins the group and starts its tasks.
   * @throws TOPOLOGY_INVALID where topics do not fit, LOG_TOPIC_UNKNOWN, STATE_ORPHANED where stored state does not,
   * RESET_UNFINISHED
   */
  async start(): Promise<void> {
    if (this.#started) throw new FleetcastError('USAGE', 'the engine has been started before');
    this.#started = true;
    const { log, topology, group, stateTopic = 'state' } = this.#options;
    const { parts: known, resets } = await readManifest(log, stateTopic);
    if (resets.has(group)) {
      throw new FleetcastError('RESET_UNFINISHED', `a reset of the group ${group} has begun and not ended`, {
        details: { group },
      });
    }
    const parts = keepNames(divide(named(topology, group)), known.get(group) ?? []);
    const topicOf = (topic: string): string => this.#topicOf(topic);
    const deadLetterTopic = topicOf(this.#options.deadLetterTopic ?? 'dead-letters');
    const { widths, partitionsOf } = await prepareTopics({
      log,
      parts,
      stateTopic,
      deadLetterTopic,
      topicOf,
      onRetention: (message) => this.#options.onEvent?.({ kind: 'retention', task: group, message }),
    });
    for (const [topic, partitions] of partitionsOf) this.#partitionsOf.set(topic, partitions);
    await checkState({
      log,
      stateTopic,
      group,
      parts,
      groupOf: (name) => subtopologyGroup(group, name),
      discard: this.#options.discardState ?? [],
      now: this.#clock.now(),
    });
    for (const [i, part] of parts.entries()) {
      const partitions = widths[i]!;
      const bounded = part.sources.some(({ repartition }) => repartition === true);
      const openWriter = (): Promise<never> => Promise.reject(new Error('a standby does not write'));
      const running: Running = {
        part,
        partitions,
        tasks: new Map(),
        standbys: new Standbys(this.#options.standby, (p) => this.#taskOptions(running, p, { openWriter })),
        member: undefined,
        waits: [],
        bounded,
        telling: false,
        told: '[]',
      };
      this.#running.push(running);
      await this.#join(running);
    }
    this.#joined = true;
  }

  /** Ends all tasks after the commit under way and leaves the group. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const running of this.#running) {
      await running.standbys.stop();
      await running.member?.leave();
      await Promise.all([...running.tasks.values()].map((task) => task.stop()));
    }
  }

  /**
   * Resolves when every partition has come to its bound (`until`), here or in other engines of the group. What is
   * behind a repartition topic is waited for only where this engine has all tasks that feed it.
   * @throws what made a task of this engine fail for good.
   */
  async finished(): Promise<void> {
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        this.#listeners.add(resolve);
      });
      const failed = this.#tasks().find((task) => task.phase === 'failed');
      if (failed !== undefined) throw failed.error;
      const done = await Promise.all(this.#running.map((running) => this.#isDone(running)));
      if (this.#running.length > 0 && done.every(Boolean)) return;
      await this.#boundRepartitions();
      await Promise.race([changed, this.#clock.sleep(FINISH_POLL_MS)]);
    }
  }

  async #isDone(running: Running): Promise<boolean> {
    const { tasks, partitions, part } = running;
    if (![...tasks.values()].every((task) => task.phase === 'done')) return false;
    if (tasks.size === partitions) return true;
    const committed = await this.#options.log.committed(subtopologyGroup(this.#options.group, part.name));
    for (let p = 0; p < partitions; p++) {
      const task = tasks.get(p);
      // It may have come while the offsets were asked for.
      if (task !== undefined && task.phase !== 'done') return false;
      if (task !== undefined) continue;
      for (const { topic } of part.sources) {
        const bound = this.#boundOf(running, topic, p);
        if (bound === undefined || (committed.get(`${topic}/${p}`) ?? 0) < bound) return false;
      }
    }
    return true;
  }

  #boundOf({ bounded }: Running, topic: string, partition: number): number | undefined {
    const at = `${topic}/${partition}`;
    const { until } = this.#options;
    return this.#bounds.get(at) ?? (until === undefined || bounded ? undefined : (until.get(at) ?? 0));
  }

  /** Sets the bounds of repartition topics whose feeders are done. */
  async #boundRepartitions(): Promise<void> {
    for (const { part, partitions } of this.#running) {
      for (const source of part.sources) {
        const feeders = this.#running.filter(({ part: { nodes } }) => {
          return nodes.some((node) => node.kind === 'sink' && node.topic === source.topic);
        });
        if (source.repartition !== true || !feeders.every(hasAllDone)) continue;
        for (let p = 0; p < partitions; p++) {
          // The last commits of what feeds it may not be visible yet.
          this.#bounds.set(`${source.topic}/${p}`, await this.#options.log.written(source.topic, p));
        }
      }
    }
  }

  /** How the tasks of this engine fare. */
  status(): TaskStatus[] {
    return this.#tasks().map((task) => task.status());
  }

  /** Partitions of this engine's share that nobody works on here yet, because another member of the group holds them. */
  waiting(): PartitionWaitStatus[] {
    return this.#running.flatMap((running) => this.#waitsOf(running));
  }

  /** The group has given this engine no partition, and none is to come: it stands by for the others. */
  idle(): boolean {
    if (!this.#joined) return false;
    return this.#running.every(({ member, tasks, waits }) => {
      return member?.settled() === true && member.assignment().length + tasks.size + waits.length === 0;
    });
  }

  /** How the copies fare that this engine keeps of other engines' tasks; see `standby`. */
  standbys(): StandbyStatus[] {
    return this.#running.flatMap(({ standbys }) => standbys.status());
  }

  /** What nodes have counted in this engine's tasks since it started, also in those that have gone to others. */
  counts(): Record<string, Record<string, number>> {
    const sum = new Counts();
    sum.addAll(this.#ended);
    for (const task of this.#tasks()) sum.addAll(task.counts);
    return sum.toJSON();
  }

  /** @throws USAGE for a node that the topology does not have; a wrong store shows when it is read. */
  state(node: string, store: string): EngineStateReader {
    const running = this.#running.find(({ part }) => part.nodes.some(({ name }) => name === node));
    if (running === undefined) throw new FleetcastError('USAGE', `the topology has no running node ${node}`);
    const group = subtopologyGroup(this.#options.group, running.part.name);
    return stateReader({ ...running, group }, node, store, this.#clock, this.#options.stateTimeoutMs ?? 5_000);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }

  #tasks(): Task[] {
    return this.#running.flatMap(({ tasks }) => [...tasks.values()]);
  }

  async #join(running: Running): Promise<void> {
    const { log, sessionMs } = this.#options;
    const { part, tasks, standbys } = running;
    const end = async (partitions: readonly number[]): Promise<void> => {
      const ending = partitions.map((p) => tasks.get(p)).filter((task) => task !== undefined);
      await Promise.all(ending.map((task) => task.stop()));
      for (const task of ending) this.#ended.addAll(task.counts);
      for (const p of partitions) tasks.delete(p);
      standbys.cover(running.partitions, tasks);
      this.#changed();
    };
    // The first assignment may come before `join` has resolved.
    let joined: (member: GroupMember) => void = () => {};
    const member = new Promise<GroupMember>((resolve) => {
      joined = resolve;
    });
    running.member = await log.join({
      group: subtopologyGroup(this.#options.group, part.name),
      topics: part.sources.map(({ topic }) => topic),
      memberId: this.#options.memberId ?? `${this.#options.group}-${process.pid}`,
      ...(sessionMs === undefined ? {} : { sessionMs }),
      onAssigned: (partitions) => {
        for (const partition of partitions) {
          const openWriter: GroupMember['openWriter'] = async (...what) => (await member).openWriter(...what);
          const task = new Task(this.#taskOptions(running, partition, { openWriter }), standbys.take(partition));
          tasks.set(partition, task);
          task.start();
          void task.ended().then(() => this.#changed());
        }
      },
      onRevoked: end,
      onLost: end,
      onWaiting: (waits) => {
        running.waits = waits;
        void this.#tellWaits(running);
      },
    });
    joined(running.member);
    standbys.cover(running.partitions, tasks);
  }

  /** Most partitions come at once: only what does not is worth an event. */
  async #tellWaits(running: Running): Promise<void> {
    if (running.telling || running.waits.length === 0) return;
    running.telling = true;
    await this.#clock.sleep(WAIT_EVENT_MS, this.#stopping.signal);
    running.telling = false;
    if (this.#stopping.signal.aborted) return;
    const waits = this.#waitsOf(running);
    // A holder that lives puts its time off again and again.
    const what = JSON.stringify(waits.map(({ partition, holder }) => [partition, holder]));
    if (what === running.told) return;
    running.told = what;
    const task = subtopologyGroup(this.#options.group, running.part.name);
    for (const message of describeWaits(waits)) this.#options.onEvent?.({ kind: 'waiting', task, message });
  }

  #waitsOf({ part, waits }: Running): PartitionWaitStatus[] {
    const group = subtopologyGroup(this.#options.group, part.name);
    return waits.map((wait) => ({ ...wait, group }));
  }

  #taskOptions(running: Running, partition: number, member: TaskOptions['member']): TaskOptions {
    const { log, group, stateTopic = 'state', deadLetterTopic = 'dead-letters' } = this.#options;
    const { part } = running;
    const deadLetterPartitions = this.#partitionsOf.get(this.#topicOf(deadLetterTopic)) ?? 1;
    return {
      log,
      member,
      part,
      partition,
      name: taskName(group, part.name, partition),
      stateTopic,
      statePartition: partition % (this.#partitionsOf.get(stateTopic) ?? 1),
      target: (sink) => this.#target(sink, partition, running.partitions),
      deadLetters: {
        topic: this.#topicOf(deadLetterTopic),
        partitionOf: () => partition % deadLetterPartitions,
      },
      startFrom: this.#options.startFrom ?? 'earliest',
      until: (topic) => this.#boundOf(running, topic, partition),
      batch: this.#options.batch ?? {},
      sweepLength: this.#options.sweepLength,
      discardState: this.#options.discardState ?? [],
      acceptCutLog: this.#options.acceptCutLog ?? false,
      idleSweepMs: this.#options.idleSweepMs ?? 60_000,
      stuckMs: this.#options.stuckMs ?? 30_000,
      backoffMs: this.#options.backoffMs ?? [100, 30_000],
      clock: this.#clock,
      onEvent: this.#options.onEvent ?? (() => {}),
    };
  }

  #target(sink: SinkNode, partition: number, inputPartitions: number): SinkTarget {
    if (sink.repartition === undefined) return { topic: this.#topicOf(sink.topic), partitionOf: () => partition };
    const { topic } = sink;
    const partitions = this.#partitionsOf.get(topic)!;
    return {
      topic,
      partitionOf: (key) => partitionFor(key ?? '', partitions),
      ticks: { from: partition, of: inputPartitions, partitions },
    };
  }

  #topicOf(topic: string): string {
    return this.#options.outputTopic?.(topic) ?? topic;
  }
}

/** How often `finished` looks at partitions that other engines have. */
const FINISH_POLL_MS = 100;
const WAIT_EVENT_MS = 1_000;

/** Repartition topics belong to a group: two groups may run one topology beside each other. */
export function named(topology: Topology, group: string): Topology {
  const nodes = [...topology.nodes].map(([name, node]): [string, TopologyNode] => {
    const own = node.kind !== 'operator' && node.repartition !== undefined;
    return [name, own ? { ...node, topic: `${group}-${node.topic}` } : node];
  });
  return { ...topology, nodes: new Map(nodes) };
}

function hasAllDone({ tasks, partitions }: Running): boolean {
  return tasks.size === partitions && [...tasks.values()].every((task) => task.phase === 'done');
}

/** The group whose committed offsets are those of a sub-topology. A sub-topology has the name of its first source. */
export function subtopologyGroup(group: string, subtopology: string): string {
  return `${group}.${subtopology}`;
}

/** The name under which a task's state is kept. */
export function taskName(group: string, subtopology: string, partition: number): string {
  return `${group}.${subtopology}-${partition}`;
}
