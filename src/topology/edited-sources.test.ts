import { expect, it } from 'vitest';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { jsonCodec } from '../state/json-codec.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine, type EngineOptions } from './engine.ts';
import type { SourceCodec, Topology } from './topology.ts';
import { tumbling } from './windows/window-spec.ts';

const KEYS = ['a', 'b', 'c'];
const numbers: SourceCodec<number> = {
  decode: ({ value, timestamp }) => ({ kind: 'record', value: Number(String(Buffer.from(value!))), time: timestamp }),
};
const encode = ({ key, value }: { key: string; value: unknown }) => ({
  key,
  value: Buffer.from(JSON.stringify(value)),
});

/** Sums of a minute, with `more` also pairs with a second source. Its name is before or behind that of the first. */
function sums(more?: string): Topology {
  const builder = new TopologyBuilder('sums');
  const main = builder.source('main', { topic: 'main', codec: numbers });
  main
    .window(tumbling(60_000, { graceMs: 0 }))
    .aggregate('sum', { initial: () => 0, add: (sum, value) => sum + value }, { ordered: jsonCodec<number>() })
    .sink('sums', { topic: 'sums', encode });
  if (more !== undefined) {
    const codec = jsonCodec<number>();
    main
      .join(
        'pair',
        builder.source(more, { topic: 'more', codec: numbers }),
        { withinMs: 0, left: codec, right: codec },
        (a, b) => [a, b],
      )
      .sink('pairs', { topic: 'pairs', encode });
  }
  return builder.build();
}

async function newLog(): Promise<MemoryLog> {
  const log = new MemoryLog();
  const names = ['main', 'more', 'sums', 'pairs', 'dead-letters'];
  await log.ensureTopics(names.map((name) => ({ name, partitions: 1, cleanup: 'delete' as const })));
  return log;
}

async function append(log: MemoryLog, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    for (const topic of ['main', 'more']) {
      const key = Buffer.from(KEYS[i % KEYS.length]!);
      await log.append([{ topic, partition: 0, timestamp: i * 7_000, key, value: Buffer.from(String(i)) }]);
    }
  }
}

async function run(log: MemoryLog, topology: Topology, options: Partial<EngineOptions> = {}): Promise<void> {
  const until = new Map<string, number>();
  for (const topic of ['main', 'more']) until.set(`${topic}/0`, (await log.offsets(topic, 0)).end);
  const batch = { maxRecords: 4, commitRecords: 4, pollMs: 5 };
  const engine = new Engine({ log, topology, group: 'g', until, batch, sweepLength: 40, ...options });
  await engine.start();
  await engine.finished();
  await engine.stop();
}

async function outputs(log: MemoryLog, topic: string): Promise<string[]> {
  const { records } = await log.read(topic, 0, 0, { maxRecords: 1e6 });
  return records.map(({ key, value }) => `${Buffer.from(key!)} ${Buffer.from(value!)}`);
}

const STEPS = [0, 50, 77, 100, 131, 180, 260];

it.each(['another', 'zone'])('keeps the state of the other nodes when the source %s is added', async (more) => {
  const log = await newLog();
  const reference = await newLog();
  for (const [i, end] of STEPS.slice(1).entries()) {
    await append(log, STEPS[i]!, end);
    await append(reference, STEPS[i]!, end);
    // Twice over the first and twice over the second form: a restart has to find what the edit has left.
    await run(log, sums(i < 2 ? undefined : more));
  }
  await run(reference, sums(more));
  expect(await outputs(log, 'sums')).toEqual(await outputs(reference, 'sums'));
  expect((await outputs(log, 'sums')).length).toBeGreaterThan(60);
  const pairs = await outputs(log, 'pairs');
  expect(new Set(pairs).size).toBe(pairs.length);
  expect(pairs.at(-1)).toMatch(/\[259,259\]/);
});

it('takes a source away where nothing needs its records, and refuses where a restore would', async () => {
  const log = await newLog();
  await append(log, 0, 100);
  await run(log, sums('zone'), { sweepLength: 100_000 });
  await append(log, 100, 120);
  const without = { discardState: ['pair'] };
  await expect(run(log, sums(), without)).rejects.toMatchObject({ code: 'STATE_ORPHANED' });
  // Without input the whole state is written.
  const engine = new Engine({ log, topology: sums('zone'), group: 'g', idleSweepMs: 0, batch: { pollMs: 1 } });
  await engine.start();
  const end = async () => (await log.offsets('state', 0)).end;
  for (let before = -1, now = await end(); now !== before; now = await end()) {
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  await engine.stop();
  await append(log, 120, 200);
  await run(log, sums(), without);
  await append(log, 200, 260);
  await run(log, sums(), without);
  const reference = await newLog();
  await append(reference, 0, 260);
  await run(reference, sums());
  expect(await outputs(log, 'sums')).toEqual(await outputs(reference, 'sums'));
});
