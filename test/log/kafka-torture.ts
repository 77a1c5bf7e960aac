import { randomUUID } from 'node:crypto';
import type { EventLog } from '../../src/log/event-log.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { Child } from './child.ts';
import type { RunningKafka } from './kafka-broker.ts';

export interface TortureOptions {
  readonly seed: number;
  readonly faults: number;
  readonly recordsAFault: number;
  readonly partitions: number;
  readonly say?: (line: string) => void;
}

export interface Ledger {
  readonly faults: number;
  readonly appended: number;
  readonly copied: number;
  /** What is missing, twice, out of order or wrong, in words. */
  readonly wrong: string[];
}

type Fault = 'kill' | 'stop' | 'join' | 'leave' | 'broker-kill' | 'broker-restart';
const FAULTS: readonly Fault[] = ['kill', 'stop', 'join', 'leave', 'kill', 'broker-kill', 'stop', 'broker-restart'];

/**
 * Two or three processes copy topic `in` to `out`, exactly once, while they are killed, stopped past their session and
 * continued, joined and left, and the brokers are killed and restarted; the order of faults follows the seed. At the
 * end every record of `in` has to be in `out` once, in order, as a read-committed reader sees it.
 */
export async function torture(kafka: RunningKafka, options: TortureOptions): Promise<Ledger> {
  const say = options.say ?? (() => {});
  const random = generator(options.seed);
  const prefix = `tort${randomUUID().slice(0, 8)}.`;
  const log = await openKafkaLog({ brokers: kafka.brokers, prefix, retryMs: 60_000 });
  const expected = Array.from({ length: options.partitions }, () => [] as string[]);
  const children = new Set<Child>();
  let names = 0;
  const start = () => {
    const child = new Child('copy', `kafka:${kafka.brokers.join(',')}/${prefix}`, `m${names++}`);
    children.add(child);
    return child;
  };
  const any = (): Child => [...children][Math.floor(random() * children.size)]!;
  /** Of several nodes one; of one the only. */
  const node = () => (kafka.nodes > 1 ? Math.floor(random() * kafka.nodes) : undefined);
  const fill = async () => {
    for (const [partition, values] of expected.entries()) {
      const fresh = Array.from({ length: options.recordsAFault }, (_, i) => `p${partition} r${values.length + i}`);
      values.push(...fresh);
      await log.append(
        fresh.map((value) => ({
          topic: 'in',
          partition,
          timestamp: Date.now(),
          key: Buffer.from(`k${partition}`),
          value: Buffer.from(value),
        })),
      );
    }
  };

  const run: Record<Fault, () => Promise<void>> = {
    kill: async () => {
      const child = any();
      await child.kill();
      children.delete(child);
      start();
    },
    stop: async () => {
      const child = any();
      child.process.kill('SIGSTOP');
      await pause(3500);
      child.process.kill('SIGCONT');
    },
    join: async () => {
      if (children.size < 4) start();
    },
    leave: async () => {
      if (children.size < 2) start();
      const child = any();
      await child.stop();
      children.delete(child);
      if (children.size < 2) start();
    },
    'broker-kill': async () => {
      await kafka.halt('KILL', node());
      await pause(kafka.nodes > 1 ? 2000 : 0);
      await kafka.start();
    },
    'broker-restart': async () => {
      await kafka.halt('TERM', node());
      await pause(500);
      await kafka.start();
    },
  };

  try {
    const topics = ['in', 'out'].map((name) => ({ name, partitions: options.partitions, cleanup: 'delete' as const }));
    await log.ensureTopics(topics);
    start();
    start();
    for (let n = 0; n < options.faults; n++) {
      const fault = n < FAULTS.length ? FAULTS[n]! : FAULTS[Math.floor(random() * FAULTS.length)]!;
      say(`fault ${n + 1}: ${fault}, ${children.size} processes`);
      const filling = fill();
      await pause(200 + random() * 800);
      await run[fault]();
      await filling;
    }
    await settle(log, expected);
    return await check(log, expected, options.faults);
  } finally {
    for (const child of children) await child.kill();
    await log.close();
  }
}

/** Until every partition of `out` holds as many records as were appended; the check says what is wrong if it never does. */
async function settle(log: EventLog, expected: readonly (readonly string[])[]): Promise<void> {
  const deadline = performance.now() + 90_000;
  for (const [partition, values] of expected.entries()) {
    let count = 0;
    for (let at = 0; count < values.length && performance.now() < deadline; ) {
      const batch = await log.read('out', partition, at, { waitMs: 1000 });
      count += batch.records.length;
      at = batch.nextOffset;
    }
  }
}

async function check(log: EventLog, expected: readonly (readonly string[])[], faults: number): Promise<Ledger> {
  const wrong: string[] = [];
  let copied = 0;
  let appended = 0;
  for (const [partition, values] of expected.entries()) {
    const found = await contents(log, 'out', partition);
    const source = await contents(log, 'in', partition);
    appended += values.length;
    copied += found.length;
    if (source.join() !== values.join()) wrong.push(`in/${partition} is not what was appended (${source.length})`);
    const at = values.findIndex((value, i) => found[i] !== value);
    if (at >= 0 || found.length !== values.length) {
      wrong.push(`out/${partition}: ${found.length} of ${values.length}; at ${at} ${found[at]} for ${values[at]}`);
    }
  }
  return { faults, appended, copied, wrong };
}

async function contents(log: EventLog, topic: string, partition: number): Promise<string[]> {
  const values: string[] = [];
  const { end } = await log.offsets(topic, partition);
  for (let at = 0; at < end; ) {
    const batch = await log.read(topic, partition, at, { waitMs: 1000 });
    for (const record of batch.records) values.push(Buffer.from(record.value!).toString());
    at = batch.nextOffset;
  }
  return values;
}

function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
