import { expect, it } from 'vitest';
import { Engine, MemoryLog, numberCodec, TopologyBuilder, tumbling } from '../../src/index.ts';

it('runs on a log', async () => {
  const builder = new TopologyBuilder('counts');
  builder
    .source('readings', {
      topic: 'readings',
      codec: { decode: ({ value, timestamp }) => ({ kind: 'record', value: value!, time: timestamp }) },
    })
    .window(tumbling(60_000))
    .count('count', { emit: 'update' })
    .sink('counts', {
      topic: 'counts',
      encode: ({ key, value }) => ({ key, value: numberCodec.encode(value.value) }),
    });
  const topology = builder.build();
  // region engine
  const log = new MemoryLog();
  await log.ensureTopics([
    { name: 'readings', partitions: 2, cleanup: 'delete' },
    { name: 'counts', partitions: 2, cleanup: 'delete' },
    { name: 'dead-letters', partitions: 1, cleanup: 'delete' },
  ]);
  const engine = new Engine({
    log,
    topology,
    group: 'counts',
    onEvent: ({ kind, message, error }) => {
      if (kind === 'failed') console.error(message, error);
    },
  });
  await engine.start();
  await log.append([
    { topic: 'readings', partition: 0, timestamp: 1_000, key: Buffer.from('kitchen'), value: Buffer.from('20') },
  ]);
  while (engine.status().every(({ commits }) => commits === 0)) await new Promise((r) => setTimeout(r, 10));

  const [first] = await engine.state('count', 'windows').range();
  expect(first?.key).toBe('kitchen');
  expect(engine.status()[0]).toMatchObject({ phase: 'running', lag: 0, stuck: false });
  await engine.stop();
  // endregion
});
