import type { EventLog, LogRecord, OutRecord } from '../../src/log/event-log.ts';
import { Engine, subtopologyGroup } from '../../src/topology/engine.ts';
import type { EngineClock } from '../../src/topology/engine-clock.ts';
import { TopologyTestDriver } from '../../src/topology/test-driver.ts';
import type { Topology } from '../../src/topology/topology.ts';
import { sums } from '../topologies/sums.ts';
import { type Process, type Random, Scheduler } from './scheduler.ts';
import { type LogDefects, SimBroker } from './sim-log.ts';

const PARTITIONS = 2;
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

class World {
  readonly #scheduler: Scheduler;
  readonly #broker: SimBroker;
  readonly #defects: Defects;
  readonly #topology: Topology;
  readonly #processes: Process[] = [];
  readonly #engines = new Map<Process, Engine>();
  readonly #input: readonly (readonly OutRecord[])[];
  readonly #sweepLength: number;
  readonly #maxRecords: number;
  readonly #commitRecords: number;
  #born = 0;
  #clockShift = 0;

  constructor(scheduler: Scheduler, defects: Defects) {
    this.#scheduler = scheduler;
    this.#defects = defects;
    this.#broker = new SimBroker(scheduler, defects);
    this.#topology = sums('dead-letter');
    const { random } = scheduler;
    this.#sweepLength = 1 + random.below(30);
    this.#maxRecords = 1 + random.below(12);
    this.#commitRecords = 1 + random.below(30);
    this.#input = inputOf(random);
  }

  /** @returns what went wrong. */
  async run(): Promise<string | undefined> {
    const spec = { partitions: PARTITIONS, cleanup: 'delete' as const };
    await this.#broker.log.ensureTopics(['in', 'out', 'dead-letters'].map((name) => ({ name, ...spec })));
    await this.#broker.log.ensureTopics([{ name: 'state', partitions: PARTITIONS, cleanup: 'compact' }]);
    for (const [at, record] of this.#input.flat().entries()) {
      this.#scheduler.post(undefined, () => void this.#broker.log.append([record]), at * 4);
    }
    const { random } = this.#scheduler;
    this.#spawn();
    if (random.chance(0.7)) this.#spawn();
    const rates = { crash: random.next() * 0.02, move: random.next() * 0.03, pause: random.next() * 0.02 };
    this.#broker.faults.lostRequest = random.chance(0.5) ? random.next() * 0.1 : 0;
    this.#broker.faults.lostResponse = random.chance(0.5) ? random.next() * 0.1 : 0;
    while (this.#scheduler.step < MAX_STEPS) {
      if (this.#scheduler.step < ROUGH_STEPS) this.#disturb(rates);
      else this.#calm();
      if (!(await this.#scheduler.next())) return 'nothing moves any more';
      if (this.#broker.violations.length > 0) return this.#broker.violations.join('; ');
      if (this.#scheduler.step > ROUGH_STEPS && this.#finished()) return this.#compare();
    }
    return `not done after ${MAX_STEPS} steps: ${JSON.stringify([...this.#broker.committed(this.#group())])}`;
  }

  #disturb(rates: { readonly crash: number; readonly move: number; readonly pause: number }): void {
    const { random, step } = this.#scheduler;
    const living = this.#processes.filter(({ alive }) => alive);
    if (living.length > 0 && random.chance(rates.crash)) this.#crash(random.pick(living));
    if (random.chance(rates.move)) this.#broker.rebalance(this.#group());
    if (living.length > 0 && random.chance(rates.pause)) {
      const process = random.pick(living);
      process.pausedUntil = step + random.below(100);
      this.#scheduler.note(`${process.name} stands still until step ${process.pausedUntil}`);
    }
    if (random.chance(0.01)) {
      this.#clockShift += random.below(7_200_000) - 3_600_000;
      this.#scheduler.note(`clocks jump to ${this.#clockShift}`);
    }
    if (random.chance(0.01)) void this.#broker.log.maintain();
  }

  #calm(): void {
    this.#broker.faults.lostRequest = 0;
    this.#broker.faults.lostResponse = 0;
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
      topology: this.#topology,
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

  #group(): string {
    return subtopologyGroup(GROUP, 'in');
  }

  /** All input is on the log and committed. */
  #finished(): boolean {
    const committed = this.#broker.committed(this.#group());
    const failed = [...this.#engines.values()]
      .flatMap((engine) => engine.status())
      .find(({ phase }) => phase === 'failed');
    if (failed !== undefined) throw new Error(`a task failed for good: ${failed.error}`);
    return this.#input.every((records, p) => (committed.get(`in/${p}`) ?? 0) === records.length);
  }

  async #compare(): Promise<string | undefined> {
    for (let p = 0; p < PARTITIONS; p++) {
      // The order of the log, which is not that of the sending.
      const { records } = await this.#broker.log.read('in', p, 0, { maxRecords: 1e6 });
      const driver = new TopologyTestDriver(this.#topology);
      for (const { key, value, timestamp } of records) {
        driver.pipeBytes('in', key === null ? null : String(key), value, timestamp);
      }
      for (const topic of ['out', 'dead-letters']) {
        const found = (await this.#broker.log.read(topic, p, 0, { maxRecords: 1e6 })).records.map(line);
        const wanted = driver.outputs(topic).map(line);
        // Dead letters name their partition, which the driver does not know.
        if (topic === 'dead-letters' ? found.length !== wanted.length : found.join('\n') !== wanted.join('\n')) {
          return `${topic}/${p} differs: found\n${found.join('\n')}\nwanted\n${wanted.join('\n')}`;
        }
      }
    }
    return undefined;
  }
}

function line({ timestamp, key, value }: LogRecord | OutRecord): string {
  return `${timestamp} ${String(key)} ${value === null ? 'null' : Buffer.from(value).toString('latin1')}`;
}

/** Records, ticks, broadcasts, damaged bytes and poison for each partition. */
function inputOf(random: Random): OutRecord[][] {
  return Array.from({ length: PARTITIONS }, (_, partition) => {
    let timestamp = 1000;
    return Array.from({ length: 10 + random.below(40) }, (): OutRecord => {
      timestamp += random.below(8);
      const what = random.next();
      const key = what < 0.7 ? Buffer.from(`key-${partition}-${random.below(4)}`) : null;
      const item =
        key !== null
          ? { v: random.below(12) - 1, t: timestamp }
          : what < 0.9
            ? { tick: timestamp }
            : { say: random.below(5) };
      const value = random.chance(0.03) ? Buffer.from('damaged') : Buffer.from(JSON.stringify(item));
      return { topic: 'in', partition, timestamp, key, value };
    });
  });
}
