import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import { readAll, texts } from '../../src/log/event-log.contract.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { startKafka } from '../log/kafka-broker.ts';
import { PipelineChild } from './pipeline-child.ts';

const kafka = await startKafka();
const PARTITIONS = 2;
const KEYS = 400;

describe.skipIf(kafka === undefined)('a standby on kafka (needs a broker)', () => {
  afterAll(() => kafka?.stop());

  test('takes over from a process that was killed, with less of the state to read and the same outputs', {
    timeout: 120_000,
  }, async () => {
    const prefix = `standby${randomUUID().slice(0, 8)}.`;
    const log = await openKafkaLog({ brokers: kafka!.brokers, prefix });
    const children = new Set<PipelineChild>();
    const start = (member: string, standby: 'all' | []) => {
      const options = { brokers: kafka!.brokers, prefix, group: 'sums', member, topology: 'sums-1' } as const;
      const child = new PipelineChild({ ...options, standby });
      children.add(child);
      return child;
    };
    const expected = Array.from({ length: PARTITIONS }, () => [] as string[]);
    const sums = new Map<string, { count: number; sum: number }>();
    let n = 0;
    const feed = async (rounds: number) => {
      for (const end = n + rounds * KEYS; n < end; n += 100) {
        const numbers = Array.from({ length: 100 }, (_, i) => n + i);
        await log.append(
          numbers.flatMap((value) =>
            expected.map((outputs, partition) => {
              const key = `k${partition}.${value % KEYS}`;
              const { count, sum } = sums.get(key) ?? { count: 0, sum: 0 };
              sums.set(key, { count: count + 1, sum: sum + value });
              outputs.push(`${key} ${count + 1} ${sum + value}`);
              const text = Buffer.from(String(value));
              return { topic: 'in', partition, timestamp: 1000 + value, key: Buffer.from(key), value: text };
            }),
          ),
        );
      }
    };
    const processed = async () => {
      for (const [p, outputs] of expected.entries()) {
        const read = async () => (await readAll(log, 'out', p)).length;
        await expect.poll(read, { timeout: 60_000 }).toBeGreaterThanOrEqual(outputs.length);
        expect(texts(await readAll(log, 'out', p))).toEqual(outputs);
      }
    };
    /** Records of the state topic that a restore of the task has read, the last time. */
    const readOf = async (child: PipelineChild, task: string) => {
      const line = new RegExp(`^read (\\d+) of ${task}$`);
      await child.said(line);
      return Number(child.lines.map(({ text }) => line.exec(text)?.[1]).findLast((found) => found !== undefined));
    };
    try {
      const topics = ['in', 'out', 'dead-letters'];
      await log.ensureTopics(topics.map((name) => ({ name, partitions: PARTITIONS, cleanup: 'delete' })));
      const first = start('first', 'all');
      await first.said(/^ready/);
      await feed(6);
      await processed();

      const second = start('second', 'all');
      // Of two tasks it is given one, and it keeps a copy of the other.
      await second.said(/^restored sums\.in-\d/);
      const own = second.lines.map(({ text }) => /^restored (sums\.in-\d)/.exec(text)?.[1]).find((task) => task)!;
      const other = own === 'sums.in-0' ? 'sums.in-1' : 'sums.in-0';
      await second.said(new RegExp(`^copy ${other} 0 ${KEYS}$`));
      const feeding = feed(2);
      await first.kill();
      children.delete(first);
      const warm = await readOf(second, other);
      await feeding;
      await feed(1);
      await processed();
      const told = second.lines.map(({ text }) => text).filter((text) => text.startsWith('failed'));
      expect(told).toEqual([]);

      // A process without a copy reads the whole state; the one that had it read what came while it took over.
      await second.stop();
      children.delete(second);
      const third = start('third', []);
      const cold = await readOf(third, other);
      expect(cold).toBeGreaterThanOrEqual(KEYS);
      expect(warm, `${warm} of the state's records, ${cold} without a copy`).toBeLessThan(cold / 4);
      await feed(1);
      await processed();
    } finally {
      for (const child of children) await child.kill();
      await log.close();
    }
  });
});
