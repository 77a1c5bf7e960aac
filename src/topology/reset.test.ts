import { expect, it } from 'vitest';
import type { EventLog } from '../log/event-log.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { stringCodec } from '../state/codecs.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine } from './engine.ts';
import { resetGroup } from './reset.ts';

/** Without any state: nothing but the note of the reset can tell that one was cut off. */
function topology() {
  const builder = new TopologyBuilder('rooms');
  builder
    .source<string>('in', {
      topic: 'in',
      codec: { decode: ({ value, timestamp }) => ({ kind: 'record', value: String(value), time: timestamp }) },
    })
    .keyBy('by-room', (text) => text.slice(0, 1), { codec: stringCodec })
    .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(value) }) });
  return builder.build();
}

async function filled(): Promise<MemoryLog> {
  const log = new MemoryLog();
  await log.ensureTopics(['in', 'out', 'dead-letters'].map((name) => ({ name, partitions: 2, cleanup: 'delete' })));
  await log.append(
    ['a1', 'b1', 'a2', 'c1'].map((text, i) => {
      return { topic: 'in', partition: i % 2, timestamp: i, key: Buffer.from(text), value: Buffer.from(text) };
    }),
  );
  return log;
}

async function run(log: EventLog): Promise<void> {
  const until = new Map<string, number>();
  for (const p of [0, 1]) until.set(`in/${p}`, (await log.offsets('in', p)).end);
  const engine = new Engine({ log, topology: topology(), group: 'g', until, batch: { pollMs: 5 } });
  try {
    await engine.start();
    await engine.finished();
  } finally {
    await engine.stop();
  }
}

async function outputs(log: EventLog): Promise<string[]> {
  const all: string[] = [];
  for (const p of [0, 1]) all.push(...(await log.read('out', p, 0)).records.map(({ value }) => String(value)));
  return all.sort();
}

const CHANGES: ReadonlySet<PropertyKey> = new Set(['append', 'deleteGroup', 'deleteRecords', 'ensureTopics']);

/** Dies at the change of this number, before it takes place or after it. */
function dyingAt(log: MemoryLog, number: number, after: boolean): EventLog {
  let changes = 0;
  const die = () => Promise.reject(new Error('killed'));
  return new Proxy(log, {
    get: (target, name) => {
      const value = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      const call = value.bind(target) as (...args: unknown[]) => Promise<unknown>;
      if (!CHANGES.has(name)) return call;
      return (...args: unknown[]) => {
        changes++;
        if (changes > number) return die();
        if (changes < number) return call(...args);
        return after ? call(...args).then(die) : die();
      };
    },
  }) as EventLog;
}

it('lets nothing run after a reset that was killed at any change, until another has finished it', async () => {
  const once = ['a1', 'a2', 'b1', 'c1'];
  let refused = 0;
  for (let number = 1; ; number++) {
    let finished = false;
    for (const after of [false, true]) {
      const log = await filled();
      await run(log);
      const reset = { topology: topology(), group: 'g', now: 1 };
      finished = await resetGroup({ ...reset, log: dyingAt(log, number, after) }).then(
        () => true,
        () => false,
      );
      const fate = await run(log).then(
        () => 'ran',
        (error) => error.code,
      );
      if (fate === 'RESET_UNFINISHED') {
        refused++;
        expect((await resetGroup({ ...reset, log, dryRun: true })).resumed).toBe(true);
        expect((await resetGroup({ ...reset, log })).resumed).toBe(true);
        await run(log);
      } else {
        expect(fate).toBe('ran');
      }
      // Not at all begun, or to its end: never in between.
      const twice = [...once, ...once].sort();
      expect([once, twice]).toContainEqual(await outputs(log));
      if (fate === 'RESET_UNFINISHED' || finished) expect(await outputs(log)).toEqual(twice);
      expect((await resetGroup({ ...reset, log, dryRun: true })).resumed).toBe(false);
    }
    if (finished) break;
  }
  expect(refused).toBeGreaterThan(10);
});

it('leaves no note where an engine of the group runs', async () => {
  const log = await filled();
  const engine = new Engine({ log, topology: topology(), group: 'g' });
  await engine.start();
  await expect(resetGroup({ log, topology: topology(), group: 'g', now: 1 })).rejects.toMatchObject({
    code: 'LOG_GROUP_BUSY',
  });
  await engine.stop();
  await run(log);
  expect(await outputs(log)).toEqual(['a1', 'a2', 'b1', 'c1']);
});
