import { decode } from '../../src/events/codec.ts';
import type { StateSnapshot } from '../../src/events/records.ts';
import type { EventLog, LogRecord, OutRecord } from '../../src/log/event-log.ts';
import { Engine, named, subtopologyGroup, taskName } from '../../src/topology/engine.ts';
import type { EngineClock } from '../../src/topology/engine-clock.ts';
import { storedRuns, type TopicRun } from '../../src/topology/input-journal.ts';
import { divide, type Subtopology } from '../../src/topology/plan.ts';
import type { TimeOf } from '../../src/topology/topology.ts';
import { interleaving, undisturbed } from './reference.ts';
import { PARTITIONS, SCENARIOS, type Scenario } from './scenarios.ts';
import { type Process, Scheduler } from './scheduler.ts';
import { type LogDefects, SimBroker } from './sim-log.ts';

const GROUP = 'sim';
/** Steps with disturbances; after them everything must come to its end. */
const ROUGH_STEPS = 400;
const MAX_STEPS = 20_000;

export interface SimulationResult {
  readonly seed: number;
  /** Undefined where all invariants hold. */
  readonly failure: string | undefined;
  readonly steps: number;
  readonly trace: readonly string[];
}

/** Defects to run with on purpose: the simulation must find each. */
export interface Defects extends LogDefects {
  /** Changes the log that engines see: for defects of the engine's order of things. */
  readonly wrap?: (log: EventLog) => EventLog;
  /** How event time goes behind a `keyBy`. */
  readonly timeOf?: TimeOf;
}

/**
 * Runs a topology in several simulated processes under everything that can go wrong, and checks that what comes out is
 * what the same input gives when nothing does: byte for byte, nothing lost, nothing twice, commits never going back.
 */
export async function simulate(seed: number, defects: Defects = {}): Promise<SimulationResult> {
  const scheduler = new Scheduler(seed);
  const world = new World(scheduler, defects);
  let failure: string | undefined;
  try {
    failure = await world.run();
  } catch (error) {
    failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  return { seed, failure, steps: scheduler.step, trace: scheduler.trace };
}

/** How often what goes wrong, each step. */
interface Rates {
  readonly crash: number;
  readonly move: number;
  readonly pause: number;
  /** Of another writer, on the state topic. */
  readonly transaction: number;
}

class World {
  readonly #scheduler: Scheduler;
  readonly #broker: SimBroker;
  readonly #defects: Defects;
  readonly #scenario: Scenario;
  readonly #parts: readonly Subtopology[];
  readonly #processes: Process[] = [];
  readonly #engines = new Map<Process, Engine>();
  readonly #input: readonly OutRecord[];
  /** `topic/partition` of the input to what has arrived, by offset. */
  readonly #arrived = new Map<string, LogRecord[]>();
  /** Task to its journal: place in the input sequence to the runs that a commit took. */
  readonly #journals = new Map<string, Map<number, readonly TopicRun[]>>();
  #appended = 0;
  readonly #sweepLength: number;
  readonly #maxRecords: number;
  readonly #commitRecords: number;
  #born = 0;
  #clockShift = 0;

  constructor(scheduler: Scheduler, defects: Defects) {
    this.#scheduler = scheduler;
    this.#defects = defects;
    this.#broker = new SimBroker(scheduler, defects);
    const { random } = scheduler;
    const which = random.next();
    this.#scenario =
      which < 0.4 ? SCENARIOS.several() : which < 0.6 ? SCENARIOS.lags(defects.timeOf) : SCENARIOS.single();
    this.#parts = divide(named(this.#scenario.topology, GROUP));
    this.#broker.onCommit = (records) => this.#keepJournal(records);
    this.#sweepLength = 1 + random.below(30);
    this.#maxRecords = 1 + random.below(12);
    this.#commitRecords = 1 + random.below(30);
    this.#input = this.#scenario.inputOf(random);
  }

  /** @returns what went wrong. */
  async run(): Promise<string | undefined> {
    await this.#broker.log.ensureTopics(this.#scenario.topics);
    await this.#broker.log.ensureTopics([{ name: 'state', partitions: PARTITIONS, cleanup: 'compact' }]);
    for (const record of this.#scenario.first ?? []) await this.#append(record);
    for (const [at, record] of this.#input.entries())
      this.#scheduler.post(undefined, () => void this.#append(record), at * 4);
    const { random } = this.#scheduler;
    this.#spawn();
    if (random.chance(0.7)) this.#spawn();
    const rates: Rates = {
      crash: random.next() * 0.02,
      move: random.next() * 0.03,
      pause: random.next() * 0.02,
      transaction: random.next() * 0.02,
    };
    this.#broker.faults.lostRequest = random.chance(0.5) ? random.next() * 0.1 : 0;
    this.#broker.faults.lostResponse = random.chance(0.5) ? random.next() * 0.1 : 0;
    this.#broker.faults.overtaken = random.chance(0.5) ? random.next() * 0.3 : 0;
    while (this.#scheduler.step < MAX_STEPS) {
      if (this.#scheduler.step < ROUGH_STEPS) this.#disturb(rates);
      else this.#calm();
      if (!(await this.#scheduler.next())) return 'nothing moves any more';
      if (this.#broker.violations.length > 0) return this.#broker.violations.join('; ');
      if (this.#scheduler.step > ROUGH_STEPS && (await this.#finished())) return this.#compare();
    }
    return `not done after ${MAX_STEPS} steps: ${this.#committed()}`;
  }

  #disturb(rates: Rates): void {
    const { random, step } = this.#scheduler;
    const living = this.#processes.filter(({ alive }) => alive);
    if (living.length > 0 && random.chance(rates.crash)) this.#crash(random.pick(living));
    if (random.chance(rates.move)) this.#broker.rebalance(random.pick(this.#groups()));
    if (living.length > 0 && random.chance(rates.pause)) {
      const process = random.pick(living);
      process.pausedUntil = step + random.below(100);
      this.#scheduler.note(`${process.name} stands still until step ${process.pausedUntil}`);
    }
    if (random.chance(0.01)) {
      this.#clockShift += random.below(7_200_000) - 3_600_000;
      this.#scheduler.note(`clocks jump to ${this.#clockShift}`);
    }
    if (random.chance(0.01)) void this.#broker.maintain();
    if (random.chance(rates.transaction)) {
      void this.#broker.openTransaction('state', random.below(PARTITIONS), random.below(400));
    }
  }

  #calm(): void {
    this.#broker.faults.lostRequest = 0;
    this.#broker.faults.lostResponse = 0;
    this.#broker.faults.overtaken = 0;
    if (this.#processes.every(({ alive }) => !alive)) this.#spawn();
  }

  #spawn(): void {
    const process: Process = { name: `p${++this.#born}`, alive: true, pausedUntil: 0 };
    this.#processes.push(process);
    this.#scheduler.note(`${process.name} starts`);
    const connected = this.#broker.connect(process);
    const clock: EngineClock = {
      now: () => this.#scheduler.time + this.#clockShift,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          const done = (): void => {
            signal?.removeEventListener('abort', done);
            resolve();
          };
          signal?.addEventListener('abort', done, { once: true });
          this.#scheduler.post(process, done, ms);
        }),
    };
    const engine = new Engine({
      log: this.#defects.wrap?.(connected) ?? connected,
      topology: this.#scenario.topology,
      group: GROUP,
      memberId: process.name,
      sweepLength: this.#sweepLength,
      batch: { maxRecords: this.#maxRecords, commitRecords: this.#commitRecords },
      backoffMs: [5, 100],
      idleSweepMs: this.#sweepLength % 2 === 0 ? 50 : 1e12,
      clock,
      ...(this.#scheduler.random.chance(0.5) ? { standby: 'all' as const } : {}),
    });
    this.#engines.set(process, engine);
    const start = async (): Promise<void> => {
      try {
        await engine.start();
      } catch (error) {
        this.#scheduler.note(`${process.name} could not start: ${String(error)}`);
        this.#crash(process);
      }
    };
    this.#scheduler.post(process, () => void start());
  }

  #crash(process: Process): void {
    if (!process.alive) return;
    process.alive = false;
    this.#scheduler.note(`${process.name} crashes`);
    this.#scheduler.post(undefined, () => this.#broker.expire(process), 20 + this.#scheduler.random.below(100));
    this.#scheduler.post(undefined, () => this.#spawn(), this.#scheduler.random.below(200));
  }

  #groups(): string[] {
    return this.#parts.map(({ name }) => subtopologyGroup(GROUP, name));
  }

  #committed(): string {
    return JSON.stringify(this.#groups().map((group) => [...this.#broker.committed(group)]));
  }

  async #append(record: OutRecord): Promise<void> {
    const [offset] = await this.#broker.log.append([record]);
    const { topic, partition, timestamp, key, value } = record;
    const arrived = this.#arrived.get(`${topic}/${partition}`) ?? [];
    this.#arrived.set(`${topic}/${partition}`, arrived);
    arrived[offset!] = { offset: offset!, timestamp, key, value };
    this.#appended++;
  }

  #keepJournal(records: readonly OutRecord[]): void {
    for (const { topic, key, value } of records) {
      const [, task, base] = /^(.*)#inputs\/(\d+)$/.exec(String(key)) ?? [];
      if (topic !== 'state' || task === undefined || value === null) continue;
      const journal = this.#journals.get(task) ?? new Map<number, readonly TopicRun[]>();
      this.#journals.set(task, journal);
      journal.set(Number(base), storedRuns(decode<StateSnapshot>('StateSnapshot', value)));
    }
  }

  /** All input is on the log, and everything is committed, the parts behind others too. */
  async #finished(): Promise<boolean> {
    const failed = [...this.#engines.values()]
      .flatMap((engine) => engine.status())
      .find(({ phase }) => phase === 'failed');
    if (failed !== undefined) throw new Error(`a task failed for good: ${failed.error}`);
    if (this.#appended < this.#input.length + (this.#scenario.first?.length ?? 0)) return false;
    for (const part of this.#parts) {
      const committed = this.#broker.committed(subtopologyGroup(GROUP, part.name));
      for (const topic of sourceTopics(part)) {
        for (let p = 0; p < PARTITIONS; p++) {
          if ((await this.#broker.log.topic(topic)) === undefined) return false;
          const { end } = await this.#broker.log.offsets(topic, p);
          if ((committed.get(`${topic}/${p}`) ?? 0) !== end) return false;
        }
      }
    }
    return true;
  }

  /** Each task's output beside that of the same input when nothing disturbs it. */
  async #compare(): Promise<string | undefined> {
    /** By `topic/partition` and writer. */
    const wanted = new Map<string, string[][]>();
    for (const part of this.#parts) {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const records = await this.#inputOf(part, partition);
        if (typeof records === 'string') return records;
        const byPlace = new Map<string, string[]>();
        for (const record of undisturbed(GROUP, { part, partition, records })) {
          const at = `${record.topic}/${record.partition}`;
          byPlace.set(at, [...(byPlace.get(at) ?? []), line(record)]);
        }
        for (const [at, lines] of byPlace) wanted.set(at, [...(wanted.get(at) ?? []), lines]);
      }
    }
    const inputs = new Set(this.#input.map(({ topic }) => topic));
    for (const { name, cleanup } of await this.#broker.log.topics()) {
      if (cleanup === 'compact' || inputs.has(name)) continue;
      for (let p = 0; p < PARTITIONS; p++) {
        const found = (await this.#broker.log.read(name, p, 0, { maxRecords: 1e6 })).records.map(line);
        const writers = wanted.get(`${name}/${p}`) ?? [];
        // Several tasks write one partition of a repartition topic; how they take turns is chance.
        const [a, b] = writers.length > 1 ? [found.sort(), writers.flat().sort()] : [found, writers.flat()];
        if (a.join('\n') !== b.join('\n')) {
          return `${name}/${p} differs: found\n${a.join('\n')}\nwanted\n${b.join('\n')}`;
        }
      }
    }
    return this.#check();
  }

  /** What the scenario itself demands. */
  async #check(): Promise<string | undefined> {
    const found = new Map<string, LogRecord[][]>();
    for (const { name, cleanup } of await this.#broker.log.topics()) {
      if (cleanup === 'compact') continue;
      const partitions = Array.from({ length: PARTITIONS }, async (_, p) => {
        return [...(await this.#broker.log.read(name, p, 0, { maxRecords: 1e6 })).records];
      });
      found.set(name, await Promise.all(partitions));
    }
    return this.#scenario.check?.((topic) => found.get(topic)!);
  }

  async #inputOf(part: Subtopology, partition: number) {
    const topics = sourceTopics(part);
    const logs = new Map<string, readonly LogRecord[]>();
    for (const topic of topics) {
      const arrived = this.#arrived.get(`${topic}/${partition}`);
      logs.set(topic, arrived ?? (await this.#broker.log.read(topic, partition, 0, { maxRecords: 1e6 })).records);
    }
    const ends = new Map([...logs].map(([topic, records]) => [topic, records.length]));
    const journal = this.#journals.get(taskName(GROUP, part.name, partition)) ?? new Map();
    const runs =
      topics.length > 1 ? interleaving(journal, ends) : [{ topic: topics[0]!, from: 0, to: ends.get(topics[0]!)! }];
    if (typeof runs === 'string') return `${part.name}-${partition}: ${runs}`;
    return runs.flatMap(({ topic, from, to }) => {
      const source = topics.indexOf(topic);
      return logs
        .get(topic)!
        .slice(from, to)
        .map((record) => ({ source, record }));
    });
  }
}

function sourceTopics({ sources }: Subtopology): string[] {
  return sources.map(({ topic }) => topic);
}

function line({ timestamp, key, value }: LogRecord | OutRecord): string {
  return `${timestamp} ${String(key)} ${value === null ? 'null' : Buffer.from(value).toString('latin1')}`;
}
