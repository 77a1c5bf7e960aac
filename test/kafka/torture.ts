import { randomUUID } from 'node:crypto';
import { encodeRecord } from '../../src/events/codec.ts';
import type { EventLog, OutRecord } from '../../src/log/event-log.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { MemoryLog } from '../../src/log/memory/memory-log.ts';
import { partitionFor } from '../../src/log/partitioner.ts';
import { Random } from '../../src/models/random.ts';
import { topicSpecs } from '../../src/pipelines/topics.ts';
import { Engine } from '../../src/topology/engine.ts';
import type { Topology } from '../../src/topology/topology.ts';
import type { RunningKafka } from '../log/kafka-broker.ts';
import type { TcpProxy } from '../log/tcp-proxy.ts';
import { HOUR, reading } from '../readings.ts';
import { PipelineChild } from './pipeline-child.ts';
import { config, topologyOf } from './topologies.mjs';

export interface TortureOptions {
  readonly seed: number;
  readonly faults: number;
  readonly partitions: number;
  readonly devices: number;
  /** Hours of readings, one a device, that are appended beside each fault. */
  readonly hoursAFault: number;
  readonly say?: (line: string) => void;
}

export interface Ledger {
  readonly faults: Readonly<Record<string, number>>;
  readonly inputs: number;
  /** Topic to its records, as a read-committed consumer sees them. */
  readonly outputs: Readonly<Record<string, number>>;
  /** Commits that were tried again after a failure of a task. */
  readonly setbacks: number;
  /** Where an output differs from that of the undisturbed run, in words. */
  readonly wrong: string[];
}

type Fault =
  | 'kill'
  | 'stop'
  | 'join'
  | 'leave'
  | 'broker-kill'
  | 'broker-restart'
  | 'cut'
  | 'reset'
  | 'delay'
  | 'freeze';
/** All once, the dearest first, then drawn. */
const FAULTS: readonly Fault[] = [
  'kill',
  'stop',
  'broker-kill',
  'freeze',
  'cut',
  'join',
  'delay',
  'leave',
  'broker-restart',
  'reset',
];
const SESSION_MS = 2000;
const { topics } = config;
const CHECKED = [topics.forecasts, topics.history, topics.scores, topics.alerts, topics.deadLetters];
const START = Date.UTC(2026, 0, 1);

/**
 * Two to four processes run the forecasting pipeline on Kafka, reached through proxies, while they are killed, stopped
 * past their session and continued, joined and left, brokers killed and restarted, connections cut, reset, delayed and
 * frozen; kind, place and time of the faults follow the seed. Afterwards every output topic has to hold, byte for byte
 * and in order, what one undisturbed engine makes of the same input.
 */
export async function torture(
  kafka: RunningKafka,
  proxies: readonly TcpProxy[],
  options: TortureOptions,
): Promise<Ledger> {
  const say = options.say ?? (() => {});
  const random = new Random(options.seed);
  const pick = (n: number): number => Math.floor(random.uniform() * n);
  const brokers = proxies.map(({ port }) => `127.0.0.1:${port}`);
  const prefix = `tort${randomUUID().slice(0, 8)}.`;
  const log = await openKafkaLog({ brokers, prefix, retryMs: 90_000, requestTimeoutMs: 5000 });
  const input: OutRecord[][] = Array.from({ length: options.partitions }, () => []);
  const children = new Set<PipelineChild>();
  const ended: PipelineChild[] = [];
  const counts: Record<string, number> = {};
  let names = 0;
  let hour = 0;
  const start = (): void => {
    const member = `m${names++}`;
    const common = { brokers, prefix, group: 'torture', sessionMs: SESSION_MS };
    children.add(new PipelineChild({ ...common, member, topology: 'forecasting' }));
  };
  const any = (): PipelineChild => [...children][pick(children.size)]!;
  const gone = (child: PipelineChild): void => {
    children.delete(child);
    ended.push(child);
  };
  /** No fault of brokers or connections may end a task for good. */
  const refuseFailed = (): void => {
    for (const { lines } of [...children, ...ended]) {
      const failed = lines.find(({ text }) => text.startsWith('failed '));
      if (failed !== undefined) throw new Error(`a task gave up: ${failed.text}`);
    }
  };
  const proxy = (): TcpProxy => proxies[pick(proxies.length)]!;
  /** Of several nodes one; of one the only. */
  const node = (): number => pick(kafka.nodes);

  const fill = async (): Promise<void> => {
    for (const end = hour + options.hoursAFault; hour < end; hour++) {
      const batch = hourOf(hour, options);
      for (const record of batch) input[record.partition]!.push(record);
      await log.append(batch);
    }
  };

  const run: Record<Fault, () => Promise<void>> = {
    kill: async () => {
      const child = any();
      await child.kill();
      gone(child);
      start();
    },
    stop: async () => {
      const child = any();
      child.pause();
      await pause(SESSION_MS * 1.75);
      child.resume();
    },
    join: async () => {
      if (children.size < 4) start();
    },
    leave: async () => {
      if (children.size < 3) start();
      const child = any();
      await child.stop();
      gone(child);
    },
    'broker-kill': async () => {
      await kafka.halt('KILL', node());
      await pause(random.uniform() * 2000);
      await kafka.start();
    },
    'broker-restart': async () => {
      await kafka.halt('TERM', node());
      await pause(random.uniform() * 1000);
      await kafka.start();
    },
    cut: async () => proxy().cut(false),
    reset: async () => proxy().cut(true),
    delay: async () => {
      const slow = proxy();
      slow.delay(50 + pick(300));
      await pause(2000);
      slow.delay(0);
    },
    freeze: async () => {
      const dead = proxy();
      dead.freeze(true);
      await pause(1000 + random.uniform() * 3000);
      dead.freeze(false);
    },
  };

  try {
    const specs = topicSpecs(topics, { partitions: options.partitions });
    // Every revision of the history is compared: the broker must not clean it meanwhile.
    const keeper = await openKafkaLog({ brokers, prefix, topicConfig: { 'min.cleanable.dirty.ratio': '1' } });
    await keeper.ensureTopics(specs.filter(({ name }) => name === topics.history));
    await keeper.close();
    await log.ensureTopics(specs);
    start();
    start();
    await fill();
    for (let n = 0; n < options.faults; n++) {
      const fault = n < FAULTS.length ? FAULTS[n]! : FAULTS[pick(FAULTS.length)]!;
      counts[fault] = (counts[fault] ?? 0) + 1;
      say(`fault ${n + 1}: ${fault}, ${children.size} processes`);
      const filling = fill();
      await pause(100 + random.uniform() * 900);
      await run[fault]();
      await filling;
      refuseFailed();
    }
    const undisturbed = await peaceful(input, options.partitions);
    const wrong: string[] = [];
    const outputs: Record<string, number> = {};
    for (const topic of CHECKED) {
      for (let partition = 0; partition < options.partitions; partition++) {
        const expected = await contents(undisturbed, topic, partition);
        const found = await contents(log, topic, partition, expected.length);
        refuseFailed();
        outputs[topic] = (outputs[topic] ?? 0) + found.length;
        const at = expected.findIndex((line, i) => found[i] !== line);
        if (at < 0 && found.length === expected.length) continue;
        wrong.push(
          `${topic}/${partition}: ${found.length} of ${expected.length}; at ${at} ${found[at]} for ${expected[at]}`,
        );
      }
    }
    await undisturbed.close();
    for (const [partition, records] of input.entries()) {
      const read = await contents(log, topics.readings, partition, records.length);
      if (read.join() !== records.map(line).join()) wrong.push(`readings/${partition} is not what was appended`);
    }
    const told = [...children, ...ended].flatMap(({ lines }) => lines);
    if (wrong.length > 0) for (const { text } of told.slice(-200)) say(text);
    return {
      faults: counts,
      inputs: input.flat().length,
      outputs,
      setbacks: told.filter(({ text }) => text.startsWith('backing-off')).length,
      wrong,
    };
  } finally {
    for (const child of children) {
      child.resume();
      await child.kill();
    }
    await log.close();
  }
}

/** One hour of the fleet and a tick for each partition; some values are missing, some readings late or bad. */
function hourOf(hour: number, { devices, partitions, seed }: TortureOptions): OutRecord[] {
  const random = new Random(seed * 100_003 + hour);
  const records: OutRecord[] = [];
  for (let d = 0; d < devices; d++) {
    if (random.uniform() < 0.03) continue;
    const device = `pump-${d}`;
    const late = random.uniform() < 0.05 ? 2 * HOUR : 0;
    const level = random.uniform() < 0.01 ? Number.NaN : d + 3 * Math.sin(hour / 6 + d) + random.normal();
    const value = encodeRecord(reading(device, START + hour * HOUR - late + d, { level, flow: hour % 7 }));
    const timestamp = START + hour * HOUR + 1000 + d;
    records.push({
      topic: topics.readings,
      partition: partitionFor(device, partitions),
      timestamp,
      key: Buffer.from(device),
      value,
    });
  }
  const time = START + hour * HOUR + 60_000;
  for (let partition = 0; partition < partitions; partition++) {
    records.push({
      topic: topics.readings,
      partition,
      timestamp: time,
      key: null,
      value: encodeRecord({ type: 'Tick', time }),
    });
  }
  return records;
}

/** One engine on the memory log, which nothing disturbs. */
async function peaceful(input: readonly (readonly OutRecord[])[], partitions: number): Promise<EventLog> {
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions }));
  for (const records of input) await log.append(records);
  const until = new Map(input.map((records, p) => [`${topics.readings}/${p}`, records.length]));
  const engine = new Engine({ log, topology: topologyOf('forecasting', log) as Topology, group: 'torture', until });
  await engine.start();
  await engine.finished();
  await engine.stop();
  return log;
}

/** Waits until there are as many as are wanted; more or fewer show in the comparison. */
async function contents(log: EventLog, topic: string, partition: number, wanted = 0): Promise<string[]> {
  const lines: string[] = [];
  const deadline = performance.now() + 90_000;
  for (let at = 0; ; ) {
    const { records, nextOffset } = await log.read(topic, partition, at, { waitMs: 500 });
    for (const record of records) lines.push(line(record));
    if (records.length === 0 && (lines.length >= wanted || performance.now() > deadline)) return lines;
    at = nextOffset;
  }
}

function line({ timestamp, key, value }: Pick<OutRecord, 'timestamp' | 'key' | 'value'>): string {
  const text = (bytes: Uint8Array | null): string => (bytes === null ? 'null' : Buffer.from(bytes).toString('base64'));
  return `${timestamp} ${text(key)} ${text(value)}`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
