import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import { readAll, texts } from '../../src/log/event-log.contract.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { startKafka } from '../log/kafka-broker.ts';
import { PipelineChild, type PipelineChildOptions } from './pipeline-child.ts';

const kafka = await startKafka();
const PARTITIONS = 4;

describe.skipIf(kafka === undefined)('two processes on kafka (needs a broker)', () => {
  afterAll(() => kafka?.stop());

  test('are replaced one after the other by the next version of the topology', { timeout: 300_000 }, async () => {
    const prefix = `roll${randomUUID().slice(0, 8)}.`;
    const log = await openKafkaLog({ brokers: kafka!.brokers, prefix });
    const children = new Set<PipelineChild>();
    const start = (member: string, topology: PipelineChildOptions['topology']) => {
      const child = new PipelineChild({ brokers: kafka!.brokers, prefix, group: 'sums', member, topology });
      children.add(child);
      return child;
    };
    const expected = Array.from({ length: PARTITIONS }, () => [] as string[]);
    let n = 0;
    const feed = async (rounds: number) => {
      for (const end = n + rounds; n < end; n++) {
        const batch = expected.map((outputs, partition) => {
          const key = `k${partition}.${n % 3}`;
          const before = outputs.filter((line) => line.startsWith(`${key} `));
          const sum = Number(before.at(-1)?.split(' ')[2] ?? 0) + n;
          outputs.push(`${key} ${before.length + 1} ${sum}`);
          return { topic: 'in', partition, timestamp: 1000 + n, key: Buffer.from(key), value: Buffer.from(String(n)) };
        });
        await log.append(batch);
      }
    };
    const processed = async (topic: string, partition: number, count: number) => {
      const read = async () => (await readAll(log, topic, partition)).length;
      await expect.poll(read, { timeout: 60_000 }).toBeGreaterThanOrEqual(count);
    };
    try {
      const topics = ['before', 'in', 'out', 'seen', 'dead-letters'];
      await log.ensureTopics(topics.map((name) => ({ name, partitions: PARTITIONS, cleanup: 'delete' })));
      const olds = [start('a', 'sums-1'), start('b', 'sums-1')];
      await Promise.all(olds.map((child) => child.said(/^ready/)));
      await feed(50);
      for (let p = 0; p < PARTITIONS; p++) await processed('out', p, 50);
      const replace = async (
        old: PipelineChild,
        topology: PipelineChildOptions['topology'],
        end: () => Promise<void>,
      ) => {
        const feeding = feed(100);
        await end();
        children.delete(old);
        const next = start(`${old.options.member}+`, topology);
        await next.said(/^restored/);
        await feeding;
        return next;
      };
      const news = [];
      for (const old of olds) news.push(await replace(old, 'sums-2', () => old.stop()));
      // The next edit changes the first source, and one of the old processes is taken for dead while it only stands still.
      const [first, second] = news as [PipelineChild, PipelineChild];
      first.pause();
      await replace(second, 'sums-3', () => second.stop());
      first.resume();
      await feed(50);
      await replace(first, 'sums-3', () => first.stop());
      await feed(50);
      for (const [p, outputs] of expected.entries()) {
        await processed('out', p, outputs.length);
        expect(texts(await readAll(log, 'out', p))).toEqual(outputs);
        expect((await readAll(log, 'seen', p)).length).toBeGreaterThanOrEqual(50);
      }
      const told = [...children].flatMap(({ lines }) => lines.map(({ text }) => text));
      expect(told.filter((text) => text.startsWith('failed'))).toEqual([]);
    } finally {
      for (const child of children) await child.kill();
      await log.close();
    }
  });
});
