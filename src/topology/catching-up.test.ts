import { expect, it } from 'vitest';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { jsonCodec } from '../state/json-codec.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine } from './engine.ts';
import type { SourceCodec, Topology } from './topology.ts';
import { tumbling } from './windows/window-spec.ts';

const COUNT = 900;
const numbers: SourceCodec<number> = {
  decode: ({ value, timestamp }) => ({ kind: 'record', value: Number(String(Buffer.from(value!))), time: timestamp }),
};
const encode = ({ key, value }: { key: string; value: unknown }) => ({
  key,
  value: Buffer.from(JSON.stringify(value)),
});

/** Two topics that were written record by record in turn, ten seconds apart, and all of it before the engine starts. */
async function backlog(topology: Topology): Promise<{ outputs: string[]; counts: unknown }> {
  const log = new MemoryLog();
  const names = ['left', 'right', 'out', 'dead-letters'];
  await log.ensureTopics(names.map((name) => ({ name, partitions: 1, cleanup: 'delete' as const })));
  const record = (topic: string, value: number, timestamp: number) => ({
    topic,
    partition: 0,
    timestamp,
    key: Buffer.from('k'),
    value: Buffer.from(String(value)),
  });
  for (let i = 0; i < COUNT; i++) {
    await log.append([record('left', i, i * 10_000), record('right', i, i * 10_000 + 500)]);
  }
  const run = async (to: number) => {
    const until = new Map(['left', 'right'].map((topic) => [`${topic}/0`, to] as const));
    const engine = new Engine({ log, topology, group: 'g', until, batch: { maxRecords: 64, pollMs: 5 } });
    await engine.start();
    await engine.finished();
    await engine.stop();
    return engine.counts();
  };
  // Down in between: the second run goes on from the journal of the first.
  await run(COUNT / 3);
  const counts = await run(COUNT);
  const { records } = await log.read('out', 0, 0, { maxRecords: 10 * COUNT });
  return { outputs: records.map(({ value }) => String(Buffer.from(value!))), counts };
}

it('joins what has waited on the log as if it had come live', async () => {
  const builder = new TopologyBuilder('pairs');
  const left = builder.source('left', { topic: 'left', codec: numbers });
  const right = builder.source('right', { topic: 'right', codec: numbers });
  const codec = jsonCodec<number>();
  left
    .join('pair', right, { withinMs: 1000, graceMs: 0, left: codec, right: codec }, (a, b) => [a, b])
    .sink('out', { topic: 'out', encode });
  const { outputs } = await backlog(builder.build());
  expect(outputs).toEqual(Array.from({ length: COUNT }, (_, i) => JSON.stringify([i, i])));
});

it('counts what has waited on the log of merged streams', async () => {
  const builder = new TopologyBuilder('merged');
  const left = builder.source('left', { topic: 'left', codec: numbers });
  const right = builder.source('right', { topic: 'right', codec: numbers });
  left
    .merge(right)
    .window(tumbling(60_000, { graceMs: 10_000 }))
    .count('count')
    .sink('out', { topic: 'out', encode });
  const { outputs, counts } = await backlog(builder.build());
  const counted = outputs.reduce((sum, output) => sum + (JSON.parse(output) as { value: number }).value, 0);
  // All but what the windows hold that no later record has closed.
  expect(counted).toBeGreaterThanOrEqual(2 * COUNT - 2 * 8);
  expect(JSON.stringify(counts)).not.toContain('late');
});
