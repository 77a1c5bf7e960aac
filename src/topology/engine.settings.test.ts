import { describe, expect, it } from 'vitest';
import { rooms } from '../../test/topologies/rooms.ts';
import type { EventLog } from '../log/event-log.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import type { Collector, Operator, OperatorContext, StreamRecord } from '../operators/operator.ts';
import { numberCodec } from '../state/codecs.ts';
import type { KeyedStore } from '../state/store.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine, type EngineOptions } from './engine.ts';
import type { EngineClock } from './engine-clock.ts';

/** Counts by key, and notes how large the micro-batches were. */
class Batches implements Operator<string, number> {
  readonly #sizes: number[];
  #counts!: KeyedStore<number>;
  #size = 0;

  constructor(sizes: number[]) {
    this.#sizes = sizes;
  }

  init(context: OperatorContext): void {
    this.#counts = context.keyed('counts', numberCodec);
  }

  process(record: StreamRecord<string>, out: Collector<number>): void {
    const count = (this.#counts.get(record) ?? 0) + 1;
    this.#counts.set(record, count);
    this.#size++;
    out.emit(count, record.time);
  }

  flush(): void {
    if (this.#size > 0) this.#sizes.push(this.#size);
    this.#size = 0;
  }
}

function counting(sizes: number[]) {
  const builder = new TopologyBuilder('counting');
  builder
    .source<string>('in', {
      topic: 'in',
      codec: { decode: ({ value, timestamp }) => ({ kind: 'record', value: String(value), time: timestamp }) },
    })
    .process('count', () => new Batches(sizes))
    .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(String(value)) }) });
  return builder.build();
}

async function logWith(records: number): Promise<MemoryLog> {
  const log = new MemoryLog();
  await log.ensureTopics(
    ['in', 'out', 'dead-letters'].map((name) => ({ name, partitions: 1, cleanup: 'delete' as const })),
  );
  if (records > 0) await append(log, records);
  return log;
}

async function append(log: EventLog, count: number): Promise<void> {
  await log.append(
    Array.from({ length: count }, (_, i) => ({
      topic: 'in',
      partition: 0,
      timestamp: 1_000 + i,
      key: Buffer.from(`key-${i % 50}`),
      value: Buffer.alloc(100, 65),
    })),
  );
}

async function run(log: EventLog, records: number, options: Partial<EngineOptions>) {
  const sizes: number[] = [];
  const engine = new Engine({
    log,
    topology: counting(sizes),
    group: 'g',
    until: new Map([['in/0', records]]),
    ...options,
  });
  await engine.start();
  await engine.finished();
  const commits = engine.status()[0]!.commits;
  await engine.stop();
  return { sizes, commits };
}

describe('bounds of micro-batches and commits', () => {
  const RECORDS = 1_000;
  it.each<[string, EngineOptions['batch'], { largest: number; commits: (n: number) => boolean }]>([
    ['most records', { maxRecords: 30 }, { largest: 30, commits: (n) => n <= 34 }],
    // Each record has a value of 100 bytes and a key of 5 to 6.
    ['most bytes', { maxBytes: 1_000 }, { largest: 10, commits: (n) => n <= 100 }],
    ['records of a commit', { maxRecords: 50, commitRecords: 100 }, { largest: 50, commits: (n) => n >= 10 }],
    ['time of a commit', { maxRecords: 50, commitMs: 0 }, { largest: 50, commits: (n) => n === 20 }],
  ])('holds %s', async (_, batch, { largest, commits: fits }) => {
    const { sizes, commits } = await run(await logWith(RECORDS), RECORDS, batch === undefined ? {} : { batch });
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(RECORDS);
    expect(Math.max(...sizes)).toBe(largest);
    expect(fits(commits), `${commits} commits`).toBe(true);
  });

  it('gathers for as long as it may linger', async () => {
    const log = await logWith(0);
    let now = 1_000;
    const sleeping: (() => void)[] = [];
    const clock: EngineClock = {
      now: () => now,
      sleep: (ms) =>
        new Promise((resolve) => {
          // Other sleeps than the linger are none of this test's.
          if (ms !== 500) setTimeout(resolve, 5);
          else sleeping.push(resolve);
        }),
    };
    const sizes: number[] = [];
    const engine = new Engine({ log, topology: counting(sizes), group: 'g', clock, batch: { lingerMs: 500 } });
    await engine.start();
    await append(log, 1);
    await expect.poll(() => sleeping.length).toBe(1);
    await append(log, 2);
    now += 500;
    sleeping.pop()!();
    await expect.poll(() => sizes).toEqual([3]);
    await engine.stop();
  });
});

describe('a restore', () => {
  it('shows how far it has come: snapshots, then the replay', async () => {
    const log = await logWith(2_000);
    await run(log, 2_000, { sweepLength: 700, batch: { maxRecords: 50, commitRecords: 50 } });
    const seen: { phase: string; restored: number }[] = [];
    const slow = new Proxy<EventLog>(log, {
      get: (target, name) => {
        const member = target[name as keyof EventLog];
        if (name !== 'read') return typeof member === 'function' ? member.bind(target) : member;
        return (...[topic, partition, offset, options]: Parameters<EventLog['read']>) => {
          const [task] = engine.status();
          if (task !== undefined) seen.push({ phase: task.phase, restored: task.restored });
          return target.read(topic, partition, offset, { ...options, maxRecords: 20 });
        };
      },
    });
    const engine: Engine = new Engine({ log: slow, topology: counting([]), group: 'g', sweepLength: 700 });
    await engine.start();
    await expect.poll(() => engine.status()[0]?.phase).toBe('running');
    expect(engine.status()[0]).toMatchObject({ restored: 1, keys: 50 });
    await engine.stop();
    const shares = seen.map(({ restored }) => restored);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    const between = (phase: string, from: number, to: number) =>
      seen.filter((each) => each.phase === phase && each.restored > from && each.restored < to).length;
    expect(between('restoring', 0, 0.5)).toBeGreaterThan(2);
    expect(between('replaying', 0.5, 1)).toBeGreaterThan(2);
  });
});

describe('topics that do not fit', () => {
  const start = async (partitions: Readonly<Record<string, number>>) => {
    const log = new MemoryLog();
    await log.ensureTopics(
      ['readings', 'devices', 'corrected', 'pairs', 'counts', 'dead-letters'].map((name) => ({
        name,
        partitions: partitions[name] ?? 2,
        cleanup: name === 'devices' ? 'compact' : 'delete',
      })),
    );
    const engine = new Engine({ log, topology: rooms(), group: 'g' });
    await engine.start();
    await engine.stop();
  };

  it('are refused before anything runs: joins of different partition counts, sinks that are too narrow', async () => {
    await start({});
    await expect(start({ devices: 3 })).rejects.toMatchObject({
      code: 'TOPOLOGY_INVALID',
      message: 'devices: topics that are read together need equal numbers of partitions: devices has 3, readings has 2',
    });
    await expect(start({ pairs: 1 })).rejects.toMatchObject({
      code: 'TOPOLOGY_INVALID',
      message: expect.stringMatching(/writes 2 partitions to pairs, which has 1/),
    });
    await expect(start({ counts: 3 })).resolves.toBeUndefined();
  });
});
