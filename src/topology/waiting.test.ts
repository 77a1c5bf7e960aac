import { expect, it } from 'vitest';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine } from './engine.ts';
import { systemClock } from './engine-clock.ts';
import type { TaskEvent } from './task-options.ts';
import type { SourceCodec } from './topology.ts';

const codec: SourceCodec<string> = { decode: ({ value }) => ({ kind: 'broadcast', value: String(value) }) };

/** An engine that has read `texts`, each a broadcast that `prepare` makes ready, and what it has told. */
async function told(texts: readonly string[], prepare: (value: unknown) => Promise<unknown>) {
  const builder = new TopologyBuilder('waiting');
  builder
    .source('in', { topic: 'in', codec, prepare, awaits: (value) => `the model ${value}` })
    .sink('out', { topic: 'out', encode: () => undefined });
  const log = new MemoryLog();
  const spec = { partitions: 1, cleanup: 'delete' as const };
  await log.ensureTopics(['in', 'out', 'dead-letters'].map((name) => ({ name, ...spec })));
  for (const text of texts) {
    await log.append([{ topic: 'in', partition: 0, timestamp: 1, key: null, value: Buffer.from(text) }]);
  }
  const events: TaskEvent[] = [];
  // Five seconds of waiting pass in a fiftieth of one.
  const sleep: typeof systemClock.sleep = (ms, signal) => systemClock.sleep(ms / 250, signal);
  const clock = { now: () => Date.now(), sleep };
  const onEvent = (event: TaskEvent) => void events.push(event);
  const engine = new Engine({ log, topology: builder.build(), group: 'g', clock, onEvent });
  await engine.start();
  const waits = () =>
    events.filter(({ kind }) => kind === 'waiting' || kind === 'waited').map(({ message }) => message);
  return { engine, waits, done: () => engine.status()[0]?.inputs[0]?.offset === texts.length };
}

it('says nothing of waits that end at once', async () => {
  const { engine, waits, done } = await told(['a', 'b', 'c'], async (value) => value);
  await expect.poll(done).toBe(true);
  await engine.stop();
  expect(waits()).toEqual([]);
});

it('tells what a task has waited for long, and the end of it', async () => {
  let come: (value: unknown) => void = () => {};
  const model = new Promise((resolve) => {
    come = resolve;
  });
  const { engine, waits, done } = await told(['3f2a'], () => model);
  await expect.poll(waits).toEqual(['task g.in-0 has waited 5 s for the model 3f2a, and goes on when that is there']);
  come('here');
  await expect.poll(done).toBe(true);
  await engine.stop();
  expect(waits().slice(1)).toEqual(['task g.in-0 does not wait any more for the model 3f2a']);
});
