import { describe, expect, it } from 'vitest';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine, type EngineOptions } from './engine.ts';
import type { SourceCodec, Topology } from './topology.ts';
import { tumbling } from './windows/window-spec.ts';

const codec: SourceCodec<number> = {
  decode: ({ timestamp }) => ({ kind: 'record', value: 1, time: timestamp }),
};
const encode = ({ key, value }: { key: string; value: unknown }) => ({
  key,
  value: Buffer.from(JSON.stringify(value)),
});

const FORMS = {
  stateless: () => {
    const builder = new TopologyBuilder('t');
    builder.source('a', { topic: 'a', codec }).sink('out', { topic: 'out', encode });
    return builder.build();
  },
  stateful: () => {
    const builder = new TopologyBuilder('t');
    const counts = builder.source('a', { topic: 'a', codec }).window(tumbling(1e6)).count('count', { emit: 'update' });
    counts.sink('out', { topic: 'out', encode });
    return builder.build();
  },
  'stateful of two sources': () => {
    const builder = new TopologyBuilder('t');
    const both = builder.source('a', { topic: 'a', codec }).merge(builder.source('b', { topic: 'b', codec }));
    both.window(tumbling(1e6)).count('count', { emit: 'update' }).sink('out', { topic: 'out', encode });
    return builder.build();
  },
} satisfies Record<string, () => Topology>;

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
  return { log, put };
}

const settled = (engine: Engine, end: number) =>
  expect.poll(() => engine.status()[0]?.inputs[0]?.offset, { interval: 5 }).toBe(end);

describe.each(Object.keys(FORMS) as (keyof typeof FORMS)[])('retention takes input that was not read, %s', (form) => {
  const cut = async () => {
    const { log, put } = await newLog();
    const start = async (more: Partial<EngineOptions> = {}) => {
      const batch = { pollMs: 5 };
      const engine = new Engine({ log, topology: FORMS[form](), group: 'g', backoffMs: [5, 5], batch, ...more });
      await engine.start();
      return engine;
    };
    const first = await start();
    await put(10);
    await settled(first, 10);
    await first.stop();
    await put(10);
    await log.deleteRecords('a', 0, 15);
    const outputs = async () => (await log.offsets('out', 0)).end;
    return { start, put, outputs };
  };

  it('fails for good and says the way out', async () => {
    const { start, outputs } = await cut();
    const engine = await start();
    await expect.poll(() => engine.status()[0]?.phase).toBe('failed');
    expect(engine.status()[0]).toMatchObject({ errorCode: 'STATE_LOG_CUT', restarts: 0 });
    expect(engine.status()[0]?.error).toMatch(/a\/0 begins at offset 15.* up to 10 only: 5 offsets .*acceptCutLog/);
    expect(await outputs()).toBe(10);
    await engine.stop();
  });

  it('goes on with what is left where that is accepted, and counts the rest once', async () => {
    const { start, put, outputs } = await cut();
    const engine = await start({ acceptCutLog: true });
    await settled(engine, 20);
    expect(engine.counts()['a']).toEqual({ cut: 5 });
    expect(await outputs()).toBe(15);
    await engine.stop();
    const second = await start({ acceptCutLog: true });
    await put(1);
    await settled(second, 21);
    expect(second.counts()['a']).toBeUndefined();
    await second.stop();
    expect(await outputs()).toBe(16);
  });
});

it('gives what it writes without input the time of the input, also after a restart', async () => {
  const { log, put } = await newLog();
  const start = async (idleSweepMs: number) => {
    const batch = { pollMs: 5 };
    const engine = new Engine({ log, topology: FORMS.stateful(), group: 'g', idleSweepMs, batch });
    await engine.start();
    return engine;
  };
  const first = await start(1e9);
  await put(10);
  await settled(first, 10);
  await first.stop();
  const { end } = await log.offsets('state', 0);
  const second = await start(0);
  await expect.poll(async () => (await log.offsets('state', 0)).end).toBeGreaterThan(end);
  await second.stop();
  const { records } = await log.read('state', 0, 0, { maxRecords: 1000 });
  expect(records.map(({ timestamp }) => timestamp).filter((time) => time !== 5000)).toEqual([]);
});
