import { randomUUID } from 'node:crypto';
import kafkajs from 'kafkajs';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startKafka } from '../../../test/log/kafka-broker.ts';
import { readAll, texts } from '../event-log.contract.ts';
import type { EventLog } from '../event-log.ts';
import { partitionFor } from '../partitioner.ts';
import { openKafkaLog, planKafkaTopics } from './kafka-log.ts';
import type { KafkaLogOptions } from './kafka-options.ts';

const kafka = await startKafka();

describe.skipIf(kafka === undefined)('kafka beside other clients (needs a broker)', { timeout: 300_000 }, () => {
  let options: KafkaLogOptions;
  let log: EventLog;

  beforeEach(async () => {
    options = { brokers: kafka!.brokers, prefix: `o${randomUUID().slice(0, 8)}.` };
    log = await openKafkaLog(options);
  });
  afterEach(() => log.close());
  afterAll(() => kafka?.stop());

  test('reads what another client has compressed, in the partitions that the partitioner says', async () => {
    await log.ensureTopics([{ name: 't', partitions: 5, cleanup: 'delete' }]);
    const client = new kafkajs.Kafka({ brokers: [...options.brokers], logLevel: kafkajs.logLevel.NOTHING });
    const producer = client.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
    await producer.connect();
    const keys = Array.from({ length: 60 }, (_, i) => `device-${i}`);
    await producer.send({
      topic: `${options.prefix}t`,
      compression: kafkajs.CompressionTypes.GZIP,
      messages: keys.map((key, i) => ({ key, value: `${key} ${i}`, timestamp: String(1_700_000_000_000 + i) })),
    });
    await producer.disconnect();
    for (let partition = 0; partition < 5; partition++) {
      const records = await readAll(log, 't', partition);
      expect(records.map((r) => Buffer.from(r.key!).toString())).toEqual(
        keys.filter((key) => partitionFor(key, 5) === partition),
      );
      for (const r of records) expect(r.timestamp).toBe(1_700_000_000_000 + Number(texts([r])[0]!.split(' ')[1]));
    }
  });

  test('another client reads what was committed, and nothing of a transaction that was not', async () => {
    await log.ensureTopics([{ name: 't', partitions: 1, cleanup: 'delete' }]);
    const record = (text: string) => ({
      topic: 't',
      partition: 0,
      timestamp: Date.now(),
      key: Buffer.from('k'),
      value: Buffer.from(text),
    });
    await log.append([record('plain')]);
    const client = new kafkajs.Kafka({ brokers: [...options.brokers], logLevel: kafkajs.logLevel.NOTHING });
    const producer = client.producer({
      transactionalId: `${options.prefix}x`,
      maxInFlightRequests: 1,
      idempotent: true,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    const transaction = await producer.transaction();
    await transaction.send({ topic: `${options.prefix}t`, messages: [{ key: 'k', value: 'aborted' }] });
    await transaction.abort();
    await producer.disconnect();
    await log.appendAtomically([record('together 1'), record('together 2')]);
    const seen: string[] = [];
    const consumer = client.consumer({ groupId: `${options.prefix}g`, readUncommitted: false });
    await consumer.connect();
    await consumer.subscribe({ topics: [`${options.prefix}t`], fromBeginning: true });
    await consumer.run({ eachMessage: async ({ message }) => void seen.push(message.value!.toString()) });
    const expected = ['plain', 'together 1', 'together 2'];
    await expect.poll(() => seen, { timeout: 60_000 }).toEqual(expected);
    await consumer.disconnect();
    expect(texts(await readAll(log, 't', 0))).toEqual(expected);
  });

  test('topics that are looked up together do not hide each other, nor do missing ones', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `t${i}`);
    await log.ensureTopics(names.map((name) => ({ name, partitions: 1, cleanup: 'delete' as const })));
    for (let round = 0; round < 5; round++) {
      const fresh = await openKafkaLog(options);
      const asked = names.flatMap((name, i) => (i % 4 === 3 ? [name, `missing${i}`] : [name]));
      const answers = await Promise.allSettled(asked.map((name) => fresh.offsets(name, 0)));
      expect(asked.filter((_, i) => answers[i]!.status === 'fulfilled')).toEqual(names);
      await fresh.close();
    }
  });

  test('tells what it would create without doing so', async () => {
    const specs = [
      { name: 'a', partitions: 3, cleanup: 'delete' as const, retentionMs: 60_000 },
      { name: 'b', partitions: 1, cleanup: 'compact' as const },
    ];
    await log.ensureTopics(specs.slice(1));
    const [first, second] = await planKafkaTopics(options, specs);
    expect(first).toMatch(/create with 3 partitions.*cleanup\.policy=delete.*retention\.ms=60000/);
    expect(second).toMatch(/exists as wanted/);
    expect((await log.topics()).map((spec) => spec.name)).toEqual(['b']);
    await log.ensureTopics([{ name: 'a', partitions: 3, cleanup: 'delete', retentionMs: 50_000 }]);
    const differs = expect.objectContaining({
      code: 'LOG_TOPIC_MISMATCH',
      message: expect.stringMatching(/retentionMs is 50000, wanted 60000 \(set the topic's retention\.ms to 60000/),
    });
    await expect(planKafkaTopics(options, specs)).rejects.toEqual(differs);
    await expect(log.ensureTopics(specs)).rejects.toEqual(differs);
  });

  test('refuses a topic that takes smaller records than the log, or stamps them itself', async () => {
    const specs = [{ name: 'small', partitions: 1, cleanup: 'compact' as const }];
    const wide = await openKafkaLog({ ...options, maxRecordBytes: 2 ** 20 });
    await wide.ensureTopics(specs);
    await wide.ensureTopics(specs);
    await wide.close();
    const small = {
      code: 'LOG_TOPIC_MISMATCH',
      message: expect.stringMatching(/small: max\.message\.bytes is 1049600/),
    };
    await expect(log.ensureTopics(specs)).rejects.toMatchObject(small);
    await expect(planKafkaTopics(options, specs)).rejects.toMatchObject(small);
    const topicConfig = { 'message.timestamp.type': 'LogAppendTime' };
    const stamping = await openKafkaLog({ ...options, topicConfig });
    const stamped = [{ name: 'stamped', partitions: 1, cleanup: 'delete' as const }];
    await stamping.ensureTopics(stamped);
    await stamping.close();
    const refused = {
      code: 'LOG_TOPIC_MISMATCH',
      message: expect.stringMatching(/stamped: message\.timestamp\.type is LogAppendTime/),
    };
    await expect(log.ensureTopics(stamped)).rejects.toMatchObject(refused);
  });

  test('a record that the log does not allow is refused before it is sent', async () => {
    await log.ensureTopics([{ name: 't', partitions: 1, cleanup: 'delete' }]);
    const value = Buffer.alloc(17 * 2 ** 20);
    const large = { topic: 't', partition: 0, timestamp: 1, key: null, value };
    await expect(log.append([large])).rejects.toMatchObject({ code: 'LOG_RECORD_TOO_LARGE' });
    await log.append([{ ...large, value: value.subarray(0, 5 * 2 ** 20) }]);
    expect((await readAll(log, 't', 0))[0]!.value).toHaveLength(5 * 2 ** 20);
  });
});

test('no broker at all is LOG_UNAVAILABLE', async () => {
  const open = openKafkaLog({ brokers: ['127.0.0.1:9'], retryMs: 300 });
  await expect(open).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', retryable: true });
});
