import { expect, it } from 'vitest';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { jsonCodec } from '../state/json-codec.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine } from './engine.ts';
import type { SourceCodec, Topology } from './topology.ts';

const ROWS = 100;
const codec: SourceCodec<number> = {
  decode: ({ timestamp }) => ({ kind: 'record', value: 1, time: timestamp }),
};

function looked(): Topology {
  const builder = new TopologyBuilder('looked');
  const readings = builder.source('readings', { topic: 'readings', codec });
  const table = builder.table('devices', { topic: 'devices', codec: jsonCodec<number>() });
  readings
    .joinTable('join', table, (_, row) => row)
    .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(String(value)) }) });
  return builder.build();
}

async function setUp(sweepLength: number) {
  const log = new MemoryLog();
  const topics = ['readings', 'devices', 'out', 'dead-letters'];
  await log.ensureTopics(topics.map((name) => ({ name, partitions: 1, cleanup: 'delete' as const })));
  const engine = new Engine({ log, topology: looked(), group: 'g', sweepLength, batch: { pollMs: 2 } });
  await engine.start();
  let sent = 0;
  const put = async (topic: string, keys: readonly string[], value: string | null) => {
    const bytes = value === null ? null : Buffer.from(value);
    await log.append(
      keys.map((key) => ({ topic, partition: 0, timestamp: 1000 + sent++, key: Buffer.from(key), value: bytes })),
    );
    await expect.poll(() => engine.status()[0]?.records, { interval: 2 }).toBe(sent);
  };
  const state = async () => (await log.read('state', 0, 0, { maxRecords: 1e6, maxBytes: 1e9 })).records;
  return { engine, put, state };
}

const rows = Array.from({ length: ROWS }, (_, i) => `device-${i}`);

it('writes a row of a table when it changes, and then with the sweep only', async () => {
  const { engine, put, state } = await setUp(1_000_000);
  await put('devices', rows, '7');
  const before = (await state()).length;
  for (let i = 0; i < 5; i++) await put('readings', ['device-1'], '1');
  const more = (await state()).slice(before).map(({ key }) => String(key));
  await engine.stop();
  // Five entries of the journal, and what the sweep has done in five records.
  expect(more.filter((key) => key.includes('#inputs/'))).toHaveLength(5);
  expect(more.length).toBeLessThan(10);
});

it('forgets a deleted row, with a tombstone', async () => {
  const { engine, put, state } = await setUp(10);
  await put('devices', rows, '7');
  await put('devices', rows, null);
  for (let i = 0; i < 60; i++) await put('readings', ['other'], '1');
  expect(engine.status()[0]?.keys).toBeLessThan(3);
  await engine.stop();
  const last = new Map((await state()).map(({ key, value }) => [String(key), value]));
  for (const row of rows) expect(last.get(`g.devices-0/${row}`)).toBeNull();
});
