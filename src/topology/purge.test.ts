import { expect, it } from 'vitest';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine } from './engine.ts';
import { systemClock } from './engine-clock.ts';
import type { SourceCodec, Topology } from './topology.ts';
import { tumbling } from './windows/window-spec.ts';

const codec: SourceCodec<number> = {
  decode: ({ timestamp }) => ({ kind: 'record', value: 1, time: timestamp }),
};
const TOPIC = 'g-by-repartition';

/** @param merged with records of the topic `b`, of which none comes. */
function counts(merged = false): Topology {
  const builder = new TopologyBuilder('t');
  const keyed = builder.source('a', { topic: 'a', codec }).keyBy('by', () => 'all', { timeOf: 'key' });
  const all = merged ? keyed.merge(builder.source('z', { topic: 'b', codec })) : keyed;
  all
    .window(tumbling(1e9))
    .count('count', { emit: 'update' })
    .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(String(value.value)) }) });
  return builder.build();
}

const topology = counts();

async function newLog() {
  const log = new MemoryLog();
  const topics = ['a', 'b', 'out', 'dead-letters'];
  await log.ensureTopics(topics.map((name) => ({ name, partitions: 1, cleanup: 'delete' as const })));
  const put = (n: number) =>
    log.append(
      Array.from({ length: n }, () => {
        return { topic: 'a', partition: 0, timestamp: 5000, key: Buffer.from('k'), value: Buffer.from('1') };
      }),
    );
  const outputs = async (n: number) => {
    await expect.poll(async () => (await log.offsets('out', 0)).end, { interval: 5 }).toBe(n);
    const { records } = await log.read('out', 0, 0, { maxRecords: 1000 });
    expect(records.map(({ value }) => Number(Buffer.from(value!)))).toEqual(Array.from({ length: n }, (_, i) => i + 1));
  };
  return { log, put, outputs };
}

it('keeps records behind a keyBy for as long as a restore needs them, and deletes them then, whatever their age', async () => {
  const { log, put, outputs } = await newLog();
  let ahead = 0;
  const clock = { ...systemClock, now: () => Date.now() + ahead };
  const start = async (idleSweepMs: number) => {
    const engine = new Engine({ log, topology, group: 'g', idleSweepMs, clock, batch: { pollMs: 5 } });
    await engine.start();
    return engine;
  };
  const needing = await start(1e9);
  await put(10);
  await outputs(10);
  ahead += 60_000;
  await put(1);
  await outputs(11);
  // The broker's retention: the records are older than any.
  await log.maintain();
  await needing.stop();
  expect((await log.offsets(TOPIC, 0)).earliest).toBe(0);

  const swept = await start(0);
  await put(5);
  await outputs(16);
  const { end } = await log.offsets(TOPIC, 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  ahead += 60_000;
  await expect.poll(async () => (await log.offsets(TOPIC, 0)).earliest, { interval: 5 }).toBe(end);
  // The input is not the topology's own.
  expect((await log.offsets('a', 0)).earliest).toBe(0);
  await swept.stop();
  const again = await start(1e9);
  await put(5);
  await outputs(21);
  await again.stop();
});

it('takes what it has deleted itself for no sign that retention is about to overtake a restore', async () => {
  const { log, put, outputs } = await newLog();
  let ahead = 0;
  const clock = { ...systemClock, now: () => Date.now() + ahead };
  const engine = new Engine({
    log,
    topology,
    group: 'g',
    idleSweepMs: 1e9,
    clock,
    batch: { pollMs: 5 },
    sweepLength: 5,
  });
  await engine.start();
  for (let n = 1; n <= 40; n++) {
    await put(1);
    await outputs(n);
    ahead += 60_000;
  }
  expect((await log.offsets(TOPIC, 0)).earliest).toBeGreaterThan(20);
  expect(engine.status().map(({ retentionAtRisk }) => retentionAtRisk)).toEqual([false, false]);
  await engine.stop();
});

it('keeps what a restore needs of the time before an edit that added a source', async () => {
  const { log, put, outputs } = await newLog();
  let ahead = 0;
  let n = 0;
  const clock = { ...systemClock, now: () => Date.now() + ahead };
  const run = async (edited: boolean, records: number) => {
    const options = { log, topology: counts(edited), group: 'g', idleSweepMs: 1e9, clock, sweepLength: 10 };
    const engine = new Engine({ ...options, batch: { pollMs: 5 } });
    await engine.start();
    for (const goal = n + records; n < goal; ) {
      await put(1);
      await outputs(++n);
      ahead += 60_000;
    }
    await engine.stop();
  };
  // A cycle of the sweep is under way at the end of the first, and complete within the second.
  await run(false, 25);
  for (let i = 0; i < 3; i++) await run(true, 13);
});
