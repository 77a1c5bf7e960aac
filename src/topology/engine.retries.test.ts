import { expect, it } from 'vitest';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine } from './engine.ts';
import type { SourceCodec } from './topology.ts';

const text: SourceCodec<string> = {
  decode: ({ timestamp, value }) => ({ kind: 'record', value: String(value), time: timestamp }),
};

it('counts the tries of a record apart from those of a record of another source at the same offset', async () => {
  const log = new MemoryLog();
  await log.ensureTopics(
    ['a', 'b', 'out', 'dead-letters'].map((name) => ({ name, partitions: 1, cleanup: 'delete' as const })),
  );
  await log.ensureTopics([{ name: 'state', partitions: 1, cleanup: 'compact' }]);
  const builder = new TopologyBuilder('tries');
  const seen: string[] = [];
  const work = (value: string) => {
    seen.push(value);
    const times = seen.filter((each) => each === value).length;
    if (value === 'bad' || (value === 'flaky' && times < 3)) throw new Error('not yet');
    return value;
  };
  builder
    .source('a', { topic: 'a', codec: text })
    .merge(builder.source('b', { topic: 'b', codec: text }))
    .map('work', work, { onError: { attempts: 3, backoffMs: 1, exhausted: 'dead-letter' } })
    .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(value) }) });
  const engine = new Engine({ log, topology: builder.build(), group: 'g' });
  const put = (topic: string, value: string) =>
    log.append([{ topic, partition: 0, timestamp: 1, key: Buffer.from('k'), value: Buffer.from(value) }]);
  const end = async (topic: string) => (await log.offsets(topic, 0)).end;
  await engine.start();
  await put('a', 'bad');
  await expect.poll(() => end('dead-letters')).toBe(1);
  await put('b', 'flaky');
  await expect.poll(() => end('out')).toBe(1);
  expect(await end('dead-letters')).toBe(1);
  await engine.stop();
});
