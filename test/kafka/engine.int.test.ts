import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { encodeRecord } from '../../src/events/codec.ts';
import type { EventLog, OutRecord, PartitionWait, TopicSpec } from '../../src/log/event-log.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { MemoryLog } from '../../src/log/memory/memory-log.ts';
import { partitionFor } from '../../src/log/partitioner.ts';
import { TopologyBuilder } from '../../src/topology/builder.ts';
import { Engine, type EngineOptions } from '../../src/topology/engine.ts';
import { EngineThreads } from '../../src/topology/threads/engine-threads.ts';
import type { Topology } from '../../src/topology/topology.ts';
import { Child } from '../log/child.ts';
import { startKafka } from '../log/kafka-broker.ts';
import { rooms } from '../topologies/rooms.ts';
import { sums } from '../topologies/sums.ts';

const kafka = await startKafka();
const PARTITIONS = 2;

/** What the engine's own tests show on the memory log, once on a real broker: the same outputs on both. */
describe.skipIf(kafka === undefined)('the engine on kafka (needs a broker)', { timeout: 300_000 }, () => {
  let prefix: string;
  let log: EventLog;
  beforeEach(async () => {
    prefix = `e${randomUUID().slice(0, 8)}.`;
    log = await openKafkaLog({ brokers: kafka!.brokers, prefix });
  });
  afterEach(() => log.close());
  afterAll(() => kafka?.stop());

  const record = (topic: string, key: string | null, timestamp: number, value: unknown): OutRecord[] => {
    const bytes = Buffer.from(JSON.stringify(value));
    const partitions = key === null ? [0, 1] : [partitionFor(key, PARTITIONS)];
    return partitions.map((partition) => {
      return { topic, partition, timestamp, key: key === null ? null : Buffer.from(key), value: bytes };
    });
  };
  const specs = (deleted: readonly string[], compacted: readonly string[] = []): TopicSpec[] => [
    ...deleted.map((name) => ({ name, partitions: PARTITIONS, cleanup: 'delete' as const })),
    ...compacted.map((name) => ({ name, partitions: PARTITIONS, cleanup: 'compact' as const })),
  ];
  const bounds = async (on: EventLog, inputs: readonly string[], share: number) => {
    const until = new Map<string, number>();
    for (const topic of inputs) {
      for (let p = 0; p < PARTITIONS; p++) {
        until.set(`${topic}/${p}`, Math.ceil((await on.offsets(topic, p)).end * share));
      }
    }
    return until;
  };
  const run = async (
    on: EventLog,
    topology: Topology,
    inputs: readonly string[],
    share = 1,
    more?: Partial<EngineOptions>,
  ) => {
    const until = await bounds(on, inputs, share);
    const engine = new Engine({ log: on, topology, group: 'g', until, batch: { maxRecords: 7, pollMs: 20 }, ...more });
    await engine.start();
    await engine.finished();
    return engine;
  };
  const contents = async (on: EventLog, topic: string, sorted = false) => {
    const lines: string[] = [];
    for (let p = 0; p < PARTITIONS; p++) {
      const { end } = await on.offsets(topic, p);
      for (let at = 0; at < end; ) {
        const batch = await on.read(topic, p, at, { maxRecords: 1e6, waitMs: 1000 });
        for (const { key, value } of batch.records) lines.push(`${p} ${String(key)} ${String(value)}`);
        at = batch.nextOffset;
      }
    }
    return sorted ? lines.sort() : lines;
  };
  const both = async (topics: readonly TopicSpec[], input: readonly OutRecord[]) => {
    const memory = new MemoryLog();
    for (const each of [memory, log]) {
      await each.ensureTopics(topics);
      await each.append(input);
    }
    return memory;
  };

  test('a member says that it waits while the group gives up one that was killed', async () => {
    await log.ensureTopics(specs(['in', 'out']));
    const child = new Child('copy', `kafka:${kafka!.brokers.join(',')}/${prefix}`, 'killed');
    await child.said(/^assigned/);
    await child.kill();
    const told: (readonly PartitionWait[])[] = [];
    let assigned: (partitions: readonly number[]) => void = () => {};
    const done = new Promise<readonly number[]>((resolve) => {
      assigned = resolve;
    });
    const before = Date.now();
    const member = await log.join({
      group: 'copiers',
      topics: ['in'],
      memberId: 'next',
      onAssigned: (partitions) => assigned(partitions),
      onRevoked: () => {},
      onWaiting: (waits) => told.push(waits),
    });
    expect(await done).toEqual([0, 1]);
    await expect.poll(() => told.at(-1)).toEqual([]);
    expect(told[0]).toEqual([0, 1].map((partition) => ({ partition, holder: undefined, until: expect.any(Number) })));
    expect(told[0]![0]!.until! - before).toBeGreaterThanOrEqual(10_000);
    await member.leave();
  });

  test('keyed state, timers, globals, broadcasts and merges, over three lives', async () => {
    const input: OutRecord[] = [];
    for (let i = 0; i < 300; i++) {
      const time = 1000 + 3 * i;
      input.push(...record('in', 'abcd'[i % 4]!, time, { v: i % 10, t: time }));
      if (i % 25 === 24) input.push(...record('in', null, time + 1, { tick: time + 1 }));
      if (i % 90 === 89) input.push(...record('in', null, time + 2, { say: i % 5 }));
    }
    const memory = await both(specs(['in', 'out', 'dead-letters']), input);
    await (await run(memory, sums(), ['in'])).stop();
    for (const share of [0.3, 0.7, 1]) {
      const engine = await run(log, sums(), ['in'], share, { sweepLength: 40 });
      expect(engine.status().map(({ phase }) => phase)).toEqual(['done', 'done']);
      await engine.stop();
    }
    expect(await contents(log, 'out')).toEqual(await contents(memory, 'out'));
  });

  test('tables, joins, windows and repartition topics, over two lives', async () => {
    const input: OutRecord[] = ['a', 'b', 'c', 'd'].flatMap((device) =>
      record('devices', device, 1000, { offset: 100 }),
    );
    for (let i = 0; i < 60; i++) {
      const room = i % 3 === 0 ? 'attic' : 'hall';
      input.push(...record('readings', 'abcd'[i % 4]!, 1000 + 5 * i, { room, value: i % 7 }));
      if (i % 10 === 9) input.push(...record('readings', null, 1000 + 5 * i, { tick: 1000 + 5 * i }));
    }
    for (const tick of [2000, 3000]) input.push(...record('readings', null, tick, { tick }));
    const topics = specs(['readings', 'corrected', 'pairs', 'counts', 'dead-letters'], ['devices']);
    const memory = await both(topics, input);
    await (await run(memory, rooms(), ['readings', 'devices'])).stop();
    const first = new Map([...(await bounds(log, ['devices'], 1)), ...(await bounds(log, ['readings'], 0.5))]);
    await (await run(log, rooms(), [], 1, { until: first })).stop();
    await (await run(log, rooms(), ['readings', 'devices'])).stop();
    for (const topic of ['corrected', 'pairs']) {
      expect(await contents(log, topic, true)).toEqual(await contents(memory, topic, true));
    }
    expect((await contents(log, 'counts')).length).toBeGreaterThan(0);
  });

  test('a call that holds up the thread past the session costs time, and neither loses nor repeats anything', async () => {
    await log.ensureTopics(specs(['in', 'out', 'dead-letters']));
    const input = Array.from({ length: 40 }, (_, i) => record('in', `k${i % 5}`, 1000 + i, i)).flat();
    await log.append(input);
    let blocked = 0;
    const builder = new TopologyBuilder('slow');
    builder
      .source('in', {
        topic: 'in',
        codec: { decode: ({ value, timestamp }) => ({ kind: 'record', value: String(value), time: timestamp }) },
      })
      .map('slow', (value: string) => {
        // Two calls of 2.5 s each, with a session of 1 s.
        if (value === '10' && blocked++ < 2) for (const end = Date.now() + 2500; Date.now() < end; );
        return value;
      })
      .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(value) }) });
    const engine = await run(log, builder.build(), ['in'], 1, { sessionMs: 1000, backoffMs: [10, 100] });
    await engine.stop();
    expect(blocked).toBeGreaterThan(0);
    const expected = input.map(({ partition, key, value }) => `${partition} ${String(key)} ${String(value)}`);
    expect(await contents(log, 'out', true)).toEqual(expected.sort());
  });

  test('a task that waits for something outside keeps its partition past the session', async () => {
    await log.ensureTopics(specs(['readings', 'out', 'dead-letters']));
    const activation = { type: 'Activation', name: 'n', modelId: 'm', role: 'champion', time: 0, reason: '' } as const;
    const timestamp = 1000;
    const value = encodeRecord(activation);
    await log.append([0, 1].map((partition) => ({ topic: 'readings', partition, timestamp, key: null, value })));
    let prepared = 0;
    const builder = new TopologyBuilder('waits');
    builder
      .source('readings', {
        topic: 'readings',
        codec: { decode: () => ({ kind: 'broadcast', value: 1 }) },
        prepare: async () => {
          prepared++;
          await new Promise((resolve) => setTimeout(resolve, 4000));
          return 1;
        },
      })
      .sink('out', { topic: 'out', encode: () => undefined });
    const engine = await run(log, builder.build(), ['readings'], 1, { sessionMs: 1000 });
    // Had the session run out, the tasks had begun again.
    expect([prepared, engine.status().map(({ restarts }) => restarts)]).toEqual([2, [0, 0]]);
    await engine.stop();
  });

  test('threads share the partitions, and their state can be read from outside', async () => {
    await log.ensureTopics(specs(['in', 'out', 'seen', 'dead-letters']));
    await log.append(Array.from({ length: 200 }, (_, i) => record('in', `k${i % 8}`, 1000 + i, i)).flat());
    const threads = new EngineThreads({
      module: new URL('./thread-module.mjs', import.meta.url),
      args: { brokers: kafka!.brokers, prefix },
      threads: 2,
    });
    await threads.start();
    await expect.poll(async () => (await contents(log, 'out')).length, { timeout: 60_000 }).toBe(200);
    expect(
      threads
        .status()
        .map(({ partition }) => partition)
        .sort(),
    ).toEqual([0, 1]);
    const stored = (await threads.state('sum', 'sum').get('k3')) as { count: Int32Array };
    expect(stored.count[0]).toBe(25);
    await threads.stop();
  });
});
