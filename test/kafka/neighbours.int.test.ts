import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import { DEFAULT_MAPPING } from '../../src/bridges/mapping/config.ts';
import { compileMapping } from '../../src/bridges/mapping/mapping.ts';
import { MqttBridge } from '../../src/bridges/mqtt/bridge.ts';
import { connectPublisher } from '../../src/bridges/mqtt/publisher.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { bridgeTopics, type CleanUps, mosquittoFor, readingsOf, TOPICS, until } from '../bridge-kit.ts';
import { startKafka } from '../log/kafka-broker.ts';

const kafka = await startKafka();

describe.skipIf(kafka === undefined)('two bridges on one Kafka log (needs a broker)', () => {
  const cleanUps: CleanUps = [];

  afterAll(async () => {
    for (const undo of cleanUps.reverse()) await undo();
    await kafka?.stop();
  });

  test('the second under another client id is refused until the first has ended, and each message is there once', {
    timeout: 120_000,
  }, async () => {
    const { url } = await mosquittoFor(cleanUps);
    const prefix = `neighbours${randomUUID().slice(0, 8)}.`;
    const topics = { ...TOPICS, memory: 'bridge-memory' };
    const bridge = async (clientId: string) => {
      const log = await openKafkaLog({ brokers: kafka!.brokers, prefix });
      cleanUps.push(() => log.close());
      await bridgeTopics(log, 1);
      await log.ensureTopics([{ name: topics.memory, partitions: 1, cleanup: 'compact' }]);
      const made = new MqttBridge({
        log,
        mapping: compileMapping(DEFAULT_MAPPING),
        topics,
        now: Date.now,
        tickMs: 0,
        clientId,
        connection: { url, reconnectMs: { min: 20, max: 100 } },
      });
      cleanUps.push(() => made.stop());
      return { log, made };
    };
    const first = await bridge('one');
    await first.made.start();
    await first.made.ready();
    const second = await bridge('two');
    await expect(second.made.start()).rejects.toMatchObject({
      code: 'BRIDGE_OVERLAP',
      message: expect.stringContaining('"one"'),
    });
    const publisher = await connectPublisher({ url, clientId: 'publisher', reconnectMs: { min: 20, max: 100 } });
    cleanUps.push(() => publisher.end(500));
    const publish = (n: number) => publisher.publish(`fleet/pump`, JSON.stringify({ n }), { qos: 1 });
    for (let n = 0; n < 10; n++) await publish(n);
    const numbers = async () => (await readingsOf(first.log)).map(({ values }) => values['n']);
    await until('the readings are there', async () => (await numbers()).length >= 10);
    await first.made.stop();
    const third = await bridge('three');
    await third.made.start();
    await third.made.ready();
    await publish(10);
    await until('the follower has written', async () => (await numbers()).includes(10));
    expect(await numbers()).toEqual(Array.from({ length: 11 }, (_, n) => n));
  });
});
