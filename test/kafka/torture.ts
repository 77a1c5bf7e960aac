import { randomUUID } from 'node:crypto';
import type { OutRecord } from '../../src/log/event-log.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { Random } from '../../src/models/random.ts';
import type { RunningKafka } from '../log/kafka-broker.ts';
import type { TcpProxy } from '../log/tcp-proxy.ts';
import { PipelineChild } from './pipeline-child.ts';
import { inputOnLog, type TortureTopology } from './torture-topology.ts';

export interface TortureOptions {
  readonly seed: number;
  readonly faults: number;
  readonly topology: TortureTopology;
  /** Hours of readings, one a device, that are appended beside each fault. */
  readonly hoursAFault: number;
  readonly say?: (line: string) => void;
}

export interface Ledger {
  readonly faults: Readonly<Record<string, number>>;
  readonly inputs: number;
  /** Inputs that are on the log twice. */
  readonly repeated: number;
  /** Topic to its records, as a read-committed consumer sees them. */
  readonly outputs: Readonly<Record<string, number>>;
  /** Commits that were tried again after a failure of a task. */
  readonly setbacks: number;
  /** Where an output is not what the input makes it, in words. */
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

/**
 * Two to four processes run a topology on Kafka, reached through proxies, while they are killed, stopped past their
 * session and continued, joined and left, brokers killed and restarted, connections cut, reset, delayed and frozen; kind,
 * place and time of the faults follow the seed. Afterwards the topology's ledger has to be right.
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
  const { topology } = options;
  const input: OutRecord[] = [];
  const children = new Set<PipelineChild>();
  const ended: PipelineChild[] = [];
  const counts: Record<string, number> = {};
  let names = 0;
  let hour = 0;
  const start = (): void => {
    const member = `m${names++}`;
    const common = { brokers, prefix, group: 'torture', sessionMs: SESSION_MS };
    children.add(new PipelineChild({ ...common, member, topology: topology.name }));
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

  const append = async (batch: OutRecord[]): Promise<void> => {
    input.push(...batch);
    await log.append(batch);
  };
  const fill = async (): Promise<void> => {
    for (const end = hour + options.hoursAFault; hour < end; hour++) await append(topology.hour(hour));
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
    await append(await topology.prepare(log, { brokers, prefix }));
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
    await topology.settled?.(log, input, refuseFailed);
    await append(topology.last(hour));
    const { input: onLog, repeated, wrong: missing } = await inputOnLog(log, topology, input);
    const { outputs, wrong: differing } = await topology.check(log, onLog, refuseFailed);
    const wrong = [...missing, ...differing];
    const told = [...children, ...ended].flatMap(({ lines }) => lines);
    if (wrong.length > 0) for (const { text } of told.slice(-200)) say(text);
    return {
      faults: counts,
      inputs: input.length,
      repeated,
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

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
