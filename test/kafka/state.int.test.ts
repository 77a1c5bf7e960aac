import { randomUUID } from 'node:crypto';
import kafkajs from 'kafkajs';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readAll, texts } from '../../src/log/event-log.contract.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { TopologyBuilder } from '../../src/topology/builder.ts';
import { Engine } from '../../src/topology/engine.ts';
import type { SourceCodec, Topology } from '../../src/topology/topology.ts';
import { tumbling } from '../../src/topology/windows/window-spec.ts';
import { startKafka } from '../log/kafka-broker.ts';

const kafka = await startKafka();

const codec: SourceCodec<number> = {
  decode: ({ timestamp }) => ({ kind: 'record', value: 1, time: timestamp }),
};

/** Counts what comes of two sources. */
function counts(): Topology {
  const builder = new TopologyBuilder('counts');
  builder
    .source('a', { topic: 'a', codec })
    .merge(builder.source('b', { topic: 'b', codec }))
    .window(tumbling(1_000_000))
    .count('count', { emit: 'update' })
    .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(String(value.value)) }) });
  return builder.build();
}

/** Passes on what comes of two sources; keeps no state. */
function places(): Topology {
  const builder = new TopologyBuilder('places');
  builder
    .source('a', { topic: 'a', codec })
    .merge(builder.source('b', { topic: 'b', codec }))
    .sink('out', { topic: 'out', encode: ({ key }) => ({ key, value: Buffer.from('1') }) });
  return builder.build();
}

describe.skipIf(kafka === undefined)('state on kafka (needs a broker)', { timeout: 120_000 }, () => {
  let prefix: string;
  let log: EventLog;
  const client = new kafkajs.Kafka({ brokers: kafka?.brokers ?? [], logLevel: 0 });
  beforeEach(async () => {
    prefix = `s${randomUUID().slice(0, 8)}.`;
    log = await openKafkaLog({ brokers: kafka!.brokers, prefix });
  });
  afterEach(() => log.close());
  afterAll(() => kafka?.stop());

  test('is not put on a compacted topic that is also cut by age', async () => {
    const admin = client.admin();
    await admin.connect();
    const make = (name: string, policy: string) =>
      admin.createTopics({
        waitForLeaders: true,
        topics: [
          {
            topic: prefix + name,
            numPartitions: 1,
            configEntries: [
              { name: 'cleanup.policy', value: policy },
              { name: 'max.message.bytes', value: String(32 * 2 ** 20) },
            ],
          },
        ],
      });
    await make('both', 'compact,delete');
    await make('compacted', 'compact');
    await admin.disconnect();
    await log.ensureTopics([{ name: 'compacted', partitions: 1, cleanup: 'compact' }]);
    await expect(log.ensureTopics([{ name: 'both', partitions: 1, cleanup: 'compact' }])).rejects.toMatchObject({
      code: 'LOG_TOPIC_MISMATCH',
      message: expect.stringMatching(/topic both: .*set the topic's cleanup.policy to compact alone/),
    });
  });

  test('is waited for where the open transaction of another writer hides it', async () => {
    const topics = ['a', 'b', 'out', 'dead-letters'];
    await log.ensureTopics(topics.map((name) => ({ name, partitions: 1, cleanup: 'delete' })));
    const put = (n: number) =>
      log.append(
        Array.from({ length: n }, () => {
          return { topic: 'a', partition: 0, timestamp: 5000, key: Buffer.from('k'), value: Buffer.from('1') };
        }),
      );
    const start = async () => {
      const engine = new Engine({ log, topology: counts(), group: 'g' });
      await engine.start();
      return engine;
    };
    const settled = (engine: Engine, end: number) =>
      expect.poll(() => engine.status()[0]?.inputs[0]?.offset, { timeout: 30_000 }).toBe(end);
    const first = await start();
    await put(10);
    await settled(first, 10);
    const other = client.producer({
      transactionalId: `${prefix}other`,
      maxInFlightRequests: 1,
      idempotent: true,
      transactionTimeout: 60_000,
    });
    await other.connect();
    const transaction = await other.transaction();
    const message = { partition: 0, key: 'other.x-0/k', value: 'x' };
    await transaction.send({ topic: `${prefix}state`, messages: [message] });
    await put(10);
    await settled(first, 20);
    await first.stop();
    const { end } = await log.offsets('state', 0);
    expect(await log.written('state', 0)).toBeGreaterThan(end);
    const second = await start();
    await put(1);
    await expect.poll(() => second.status()[0]?.phase, { timeout: 30_000 }).toBe('waiting');
    await transaction.abort();
    await settled(second, 21);
    await second.stop();
    await other.disconnect();
    const wanted = Array.from({ length: 21 }, (_, i) => String(i + 1));
    await expect.poll(async () => texts(await readAll(log, 'out', 0)), { timeout: 10_000 }).toEqual(wanted);
    expect(await log.written('state', 0)).toBe((await log.offsets('state', 0)).end);
  });

  test.each([
    'when nothing comes',
    'when it stops',
  ])('is not cut where retention took the marks of transactions only, which are committed %s', async (when) => {
    const topics = ['a', 'b', 'out', 'dead-letters'];
    await log.ensureTopics(topics.map((name) => ({ name, partitions: 1, cleanup: 'delete' })));
    const start = async () => {
      const idleSweepMs = when === 'when nothing comes' ? 0 : 1e9;
      const topology = idleSweepMs === 0 ? counts() : places();
      const engine = new Engine({ log, topology, group: 'g', idleSweepMs, batch: { pollMs: 50 } });
      await engine.start();
      return engine;
    };
    const other = client.producer({ transactionalId: `${prefix}other`, maxInFlightRequests: 1, idempotent: true });
    await other.connect();
    const transact = async (end: 'commit' | 'abort') => {
      const transaction = await other.transaction();
      const messages = Array.from({ length: 5 }, () => ({ partition: 0, key: 'k', value: '1', timestamp: '5000' }));
      await transaction.send({ topic: `${prefix}a`, messages });
      await transaction[end]();
    };
    const first = await start();
    await transact('commit');
    await expect.poll(async () => (await readAll(log, 'out', 0)).length, { timeout: 30_000 }).toBe(5);
    // What was aborted and its mark: nobody has ever seen a record there.
    await transact('abort');
    await expect.poll(async () => (await log.offsets('a', 0)).end, { timeout: 30_000 }).toBe(12);
    if (when === 'when nothing comes') {
      await expect.poll(async () => (await log.committed('g.a')).get('a/0'), { timeout: 30_000 }).toBe(12);
    }
    // The reader has passed the mark, or the rest of the state is written.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await first.stop();
    expect((await log.committed('g.a')).get('a/0')).toBe(12);
    await log.deleteRecords('a', 0, 12);
    const second = await start();
    await transact('commit');
    const wanted = Array.from({ length: 10 }, (_, i) => (when === 'when it stops' ? '1' : String(i + 1)));
    await expect.poll(async () => texts(await readAll(log, 'out', 0)), { timeout: 30_000 }).toEqual(wanted);
    await second.stop();
    // A record that was not read is still missed.
    await transact('commit');
    await transact('commit');
    await log.deleteRecords('a', 0, 19);
    const third = await start();
    await expect.poll(() => third.status()[0]?.errorCode, { timeout: 30_000 }).toBe('STATE_LOG_CUT');
    await third.stop();
    await other.disconnect();
  });
});
