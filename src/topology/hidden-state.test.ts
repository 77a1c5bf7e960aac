import { expect, it } from 'vitest';
import { Veil } from '../../test/veil.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine } from './engine.ts';
import type { SourceCodec, Topology } from './topology.ts';
import { tumbling } from './windows/window-spec.ts';

const codec: SourceCodec<number> = {
  decode: ({ timestamp }) => ({ kind: 'record', value: 1, time: timestamp }),
};

/** Counts what comes of one source, or of two. */
function counts(sources: number): Topology {
  const builder = new TopologyBuilder('counts');
  let all = builder.source('a', { topic: 'a', codec });
  if (sources > 1) all = all.merge(builder.source('b', { topic: 'b', codec }));
  all
    .window(tumbling(1_000_000))
    .count('count', { emit: 'update' })
    .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(String(value.value)) }) });
  return builder.build();
}

const TOPICS = ['a', 'b', 'out', 'dead-letters'].map((name) => ({ name, partitions: 1, cleanup: 'delete' as const }));

async function setUp(sources: number) {
  const log = new MemoryLog();
  await log.ensureTopics(TOPICS);
  const veil = new Veil(log, 'state');
  const engine = () =>
    new Engine({ log: veil.log, topology: counts(sources), group: 'g', batch: { pollMs: 5 }, backoffMs: [5, 5] });
  const put = (n: number) =>
    log.append(
      Array.from({ length: n }, () => {
        return { topic: 'a', partition: 0, timestamp: 5000, key: Buffer.from('k'), value: Buffer.from('1') };
      }),
    );
  const end = async (topic: string) => (await log.offsets(topic, 0)).end;
  const settled = async (running: Engine) => {
    const wanted = await end('a');
    await expect.poll(() => running.status()[0]?.inputs[0]?.offset).toBe(wanted);
  };
  const outputs = async () =>
    (await log.read('out', 0, 0, { maxRecords: 1000 })).records.map(({ value }) => Number(String(value)));
  return { veil, engine, put, end, settled, outputs };
}

it.each([1, 2])('waits for the state that an open transaction hides, with %i sources', async (sources) => {
  // The transaction begins before the first state, or behind some of it.
  for (const early of [true, false]) {
    const { veil, engine, put, end, settled, outputs } = await setUp(sources);
    const first = engine();
    await first.start();
    await put(10);
    await settled(first);
    const from = early ? 0 : await end('state');
    await put(10);
    await settled(first);
    await first.stop();
    veil.from = from;
    const second = engine();
    await second.start();
    await put(1);
    await expect.poll(() => second.status()[0]?.phase).toBe('waiting');
    expect(await outputs()).toHaveLength(20);
    veil.from = Number.POSITIVE_INFINITY;
    await settled(second);
    await second.stop();
    expect(await outputs()).toEqual(Array.from({ length: 21 }, (_, i) => i + 1));
  }
});

it('ends a task that waits for hidden state when it is told to', async () => {
  const { veil, engine, put, settled } = await setUp(2);
  const first = engine();
  await first.start();
  await put(10);
  await settled(first);
  await first.stop();
  veil.from = 0;
  const second = engine();
  await second.start();
  await expect.poll(() => second.status()[0]?.phase).toBe('waiting');
  await second.stop();
  expect(second.status()).toEqual([]);
});

it('refuses state that is not that of the committed offsets, until it is', async () => {
  const { veil, engine, put, end, settled, outputs } = await setUp(2);
  const first = engine();
  await first.start();
  await put(10);
  await settled(first);
  const from = await end('state');
  await put(10);
  await settled(first);
  await first.stop();
  veil.from = from;
  veil.lies = true;
  const second = engine();
  await second.start();
  await put(1);
  await expect.poll(() => second.status()[0]?.errorCode).toBe('STATE_BEHIND');
  expect(second.status()[0]?.error).toMatch(/as of offset 10 of a, its group has committed 20/);
  veil.from = Number.POSITIVE_INFINITY;
  await settled(second);
  await second.stop();
  expect(await outputs()).toEqual(Array.from({ length: 21 }, (_, i) => i + 1));
});

it('is done with what is behind a keyBy only when the last of it can be read', async () => {
  const log = new MemoryLog();
  await log.ensureTopics(TOPICS);
  const veil = new Veil(log, 'g-by-room-repartition');
  const builder = new TopologyBuilder('keyed');
  builder
    .source('a', { topic: 'a', codec })
    .keyBy('by-room', () => 'room')
    .sink('out', { topic: 'out', encode: ({ key }) => ({ key, value: Buffer.from('1') }) });
  const records = Array.from({ length: 20 }, () => {
    return { topic: 'a', partition: 0, timestamp: 5000, key: Buffer.from('k'), value: Buffer.from('1') };
  });
  await log.append(records);
  const until = new Map([['a/0', 20]]);
  const engine = new Engine({ log: veil.log, topology: builder.build(), group: 'g', until, batch: { pollMs: 5 } });
  veil.from = 10;
  await engine.start();
  let done = false;
  const finished = engine.finished().then(() => {
    done = true;
  });
  const out = async () => (await log.offsets('out', 0)).end;
  await expect.poll(out).toBe(10);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(done).toBe(false);
  veil.from = Number.POSITIVE_INFINITY;
  await finished;
  expect(await out()).toBe(20);
  await engine.stop();
});
