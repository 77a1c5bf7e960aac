import { describe, expect, it } from 'vitest';
import type { EventLog, GroupMember, GroupOptions } from '../log/event-log.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { partitionFor } from '../log/partitioner.ts';
import { numberCodec, stringCodec } from '../state/codecs.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { tumbling } from './windows/window-spec.ts';

const PARTITIONS = 3;
const likely = partitionFor('a', PARTITIONS);
const others = [0, 1, 2].filter((p) => p !== likely) as [number, number];

async function engineWith(
  records: readonly (readonly [partition: number, key: string, value: string])[],
  options: Partial<EngineOptions> = {},
) {
  const log = new MemoryLog();
  const names = ['in', 'out', 'dead-letters'];
  await log.ensureTopics(names.map((name) => ({ name, partitions: PARTITIONS, cleanup: 'delete' })));
  const append = (partition: number, key: string, value: string) =>
    log.append([{ topic: 'in', partition, timestamp: 1_000, key: Buffer.from(key), value: Buffer.from(value) }]);
  for (const record of records) await append(...record);
  const builder = new TopologyBuilder('state');
  const source = builder.source<string>('in', {
    topic: 'in',
    codec: { decode: ({ value, timestamp }) => ({ kind: 'record', value: String(value), time: timestamp }) },
  });
  const sum = source.map('number', (text) => {
    if (Number.isNaN(Number(text))) throw new Error(`${text} is no number`);
    return Number(text);
  });
  sum
    .window(tumbling(60_000))
    .reduce('sum', (a, b) => a + b, { codec: numberCodec })
    .sink('out', { topic: 'out', encode: ({ key }) => ({ key, value: null }) });
  source
    .keyBy('by-text', (text) => `text ${text}`, { codec: stringCodec, partitions: 2 })
    .window(tumbling(60_000))
    .count('texts')
    .sink('texts-out', { topic: 'out', encode: ({ key }) => ({ key, value: null }) });
  const engine = new Engine({ log, topology: builder.build(), group: 'g', batch: { pollMs: 5 }, ...options });
  await engine.start();
  const sumOf = async (key: string) => {
    const held = (await engine.state('sum', 'windows').get(key)) as
      | { windows: [{ state: { of: number } }] }
      | undefined;
    return held?.windows[0].state.of;
  };
  return { engine, append, sumOf };
}

describe('the state of an engine', () => {
  it('is found by key wherever the record was put', async () => {
    const { engine, sumOf } = await engineWith([
      [likely, 'a', '1'],
      [others[0], 'b', '2'],
      [others[1], 'c', '3'],
      [others[0], 'a', '10'],
    ]);
    // Where several partitions have the key, the one of the partitioner is meant.
    await expect.poll(() => sumOf('a')).toBe(1);
    await expect.poll(() => sumOf('b')).toBe(2);
    await expect.poll(() => sumOf('c')).toBe(3);
    expect(await sumOf('nobody')).toBeUndefined();
    const state = engine.state('sum', 'windows');
    const range = await state.range();
    const twice = [likely, others[0]].sort((a, b) => a - b).map((p) => `a ${p}`);
    expect(range.map(({ key, partition }) => `${key} ${partition}`)).toEqual([
      ...twice,
      `b ${others[0]}`,
      `c ${others[1]}`,
    ]);
    expect(await state.find('c')).toMatchObject({ partition: others[1] });
    await engine.stop();
  });

  it('is found behind a keyBy, whatever the number of partitions there', async () => {
    const { engine } = await engineWith([
      [0, 'a', '1'],
      [1, 'b', '1'],
      [2, 'c', '5'],
    ]);
    const count = async (key: string) => {
      const held = (await engine.state('texts', 'windows').get(key)) as { windows: [{ state: number }] } | undefined;
      return held?.windows[0].state;
    };
    await expect.poll(() => count('text 1')).toBe(2);
    await expect.poll(() => count('text 5')).toBe(1);
    await engine.stop();
  });

  it('says that it cannot tell where the partition that may have the key has failed or starts again', async () => {
    const { engine, append, sumOf } = await engineWith([
      [likely, 'a', '1'],
      [others[0], 'b', '2'],
    ]);
    await expect.poll(() => sumOf('b')).toBe(2);
    await append(likely, 'a', 'poison');
    await expect.poll(() => engine.status().some(({ phase }) => phase === 'failed')).toBe(true);
    expect(await sumOf('b')).toBe(2);
    await expect(sumOf('a')).rejects.toThrow(/task g.in-\d is failed: its state cannot be read/);
    await engine.stop();
  });
});

it('waits no longer than it may for a task that has no state yet, and names it', async () => {
  const log = new MemoryLog();
  await log.ensureTopics(['in', 'dead-letters'].map((name) => ({ name, partitions: 2, cleanup: 'delete' })));
  const builder = new TopologyBuilder('slow');
  builder
    .source<string>('in', {
      topic: 'in',
      codec: { decode: ({ timestamp }) => ({ kind: 'record', value: '', time: timestamp }) },
    })
    .window(tumbling(60_000))
    .count('n')
    .sink('out', { topic: 'dead-letters', encode: () => undefined });
  const keys = [0, 1].map((partition) => ['a', 'b', 'c', 'd'].filter((key) => partitionFor(key, 2) === partition));
  for (const [partition, [key]] of keys.entries()) {
    await log.append([{ topic: 'in', partition, timestamp: 1_000, key: Buffer.from(key!), value: null }]);
  }
  let release: () => void = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const join = async (options: GroupOptions): Promise<GroupMember> => {
    const member = await log.join(options);
    const openWriter = async (partition: number) => {
      if (partition === 1) await released;
      return member.openWriter(partition);
    };
    return { memberId: '', assignment: () => [], settled: () => true, leave: () => member.leave(), openWriter };
  };
  const slow = new Proxy(log, {
    get: (target, name) => {
      const value = name === 'join' ? join : Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const options = { group: 'g', batch: { pollMs: 5 }, stateTimeoutMs: 50 };
  const engine = new Engine({ log: slow, topology: builder.build(), ...options });
  await engine.start();
  const state = engine.state('n', 'windows');
  await expect.poll(() => state.get(keys[0]![0]!).catch(() => undefined)).toBeDefined();
  const late = {
    code: 'STATE_TIMEOUT',
    retryable: true,
    message: 'task g.in-1, which is starting, has not answered in time when it was asked for its state',
  };
  await expect(state.get(keys[1]![0]!)).rejects.toMatchObject(late);
  // Absent where it should be; it may have been put into the other partition.
  await expect(state.get(`${keys[0]![1] ?? 'e'}`)).rejects.toMatchObject(late);
  await expect(state.range()).rejects.toMatchObject(late);
  release();
  await expect.poll(() => state.get(keys[1]![0]!).catch(() => undefined)).toBeDefined();
  expect(await state.get('absent')).toBeUndefined();
  await engine.stop();
});

it('answers a reader whose task fails meanwhile, and does not leave it waiting', async () => {
  const log = new MemoryLog();
  const names = ['in', 'dead-letters'];
  await log.ensureTopics(names.map((name) => ({ name, partitions: 1, cleanup: 'delete' })));
  let away = false;
  const builder = new TopologyBuilder('away');
  builder
    .source<string>('in', {
      topic: 'in',
      codec: { decode: ({ timestamp }) => ({ kind: 'record', value: '', time: timestamp }) },
    })
    .window(tumbling(60_000))
    .count('n')
    .sink('out', { topic: 'dead-letters', encode: () => undefined });
  const engine = new Engine({
    log: new Proxy(log, {
      get: (target, name) => {
        if (name === 'read' && away) return () => Promise.reject(new Error('away'));
        const value = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    }),
    topology: builder.build(),
    group: 'g',
    batch: { pollMs: 5 },
    backoffMs: [60_000, 60_000],
  });
  await engine.start();
  const state = engine.state('n', 'windows');
  await expect.poll(() => state.get('a').catch(({ code }) => code)).toBeUndefined();
  away = true;
  await expect.poll(() => engine.status()[0]!.phase).toBe('backing-off');
  await expect(state.get('a')).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE', retryable: true });
  await expect(state.range()).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
  await engine.stop();
});

it('shows nobody a state that is half restored, when it is stopped meanwhile', async () => {
  const log = new MemoryLog();
  await log.ensureTopics(['in', 'dead-letters'].map((name) => ({ name, partitions: 1, cleanup: 'delete' })));
  await log.append([{ topic: 'in', partition: 0, timestamp: 1_000, key: Buffer.from('a'), value: null }]);
  const builder = new TopologyBuilder('half');
  builder
    .source<string>('in', {
      topic: 'in',
      codec: { decode: ({ timestamp }) => ({ kind: 'record', value: '', time: timestamp }) },
    })
    .window(tumbling(60_000))
    .count('n')
    .sink('out', { topic: 'dead-letters', encode: () => undefined });
  const options = { topology: builder.build(), group: 'g', batch: { pollMs: 5 } };
  const first = new Engine({ ...options, log });
  expect(first.idle()).toBe(false);
  await first.start();
  await expect.poll(() => first.state('n', 'windows').get('a')).toBeDefined();
  await first.stop();
  // The input cannot be read again, so that the restore comes to no end.
  const read: EventLog['read'] = async (topic, partition, offset, more) => {
    if (topic !== 'in') return log.read(topic, partition, offset, more);
    await new Promise((resolve) => more?.signal?.addEventListener('abort', resolve));
    return { records: [], nextOffset: offset, endOffset: 1 };
  };
  const stuck = new Proxy(log, {
    get: (target, name) => {
      const value = name === 'read' ? read : Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const phases: string[] = [];
  const engine = new Engine({ ...options, log: stuck, onEvent: ({ kind }) => phases.push(kind) });
  await engine.start();
  await expect.poll(() => engine.status()[0]?.phase).toBe('replaying');
  const answer = engine
    .state('n', 'windows')
    .get('a')
    .catch(({ code }) => code);
  await engine.stop();
  expect(await answer).toBe('STATE_ELSEWHERE');
  expect(phases).toEqual(['started', 'stopped']);
});

describe('a group with more processes than one', () => {
  const keyOf = (partition: number) =>
    ['a', 'b', 'c', 'd', 'e', 'f', 'g'].find((key) => partitionFor(key, PARTITIONS) === partition)!;

  async function engines(count: number) {
    const log = new MemoryLog();
    await log.ensureTopics(
      ['in', 'dead-letters'].map((name) => ({ name, partitions: PARTITIONS, cleanup: 'delete' as const })),
    );
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const key = Buffer.from(keyOf(partition));
      await log.append([{ topic: 'in', partition, timestamp: 1_000, key, value: null }]);
    }
    const made: Engine[] = [];
    for (let i = 0; i < count; i++) {
      const builder = new TopologyBuilder('shared');
      builder
        .source<string>('in', {
          topic: 'in',
          codec: { decode: ({ timestamp }) => ({ kind: 'record', value: '', time: timestamp }) },
        })
        .window(tumbling(60_000))
        .count('n')
        .sink('out', { topic: 'dead-letters', encode: () => undefined });
      const topology = builder.build();
      const engine = new Engine({ log, topology, group: 'g', memberId: `m${i}`, batch: { pollMs: 5 } });
      await engine.start();
      made.push(engine);
    }
    const shares = () => made.map((engine) => engine.status().map(({ partition }) => partition));
    await expect.poll(() => shares().flat().length).toBe(PARTITIONS);
    await expect.poll(() => made.flatMap((engine) => engine.waiting())).toEqual([]);
    return { made, shares };
  }

  it('says of a key whose partition another has that it is elsewhere, not that there is nothing', async () => {
    const { made, shares } = await engines(2);
    await expect.poll(() => shares().map(({ length }) => length)).toEqual([2, 1]);
    const [here, there] = made.map((engine) => engine.state('n', 'windows'));
    const away = shares()[1]![0]!;
    await expect.poll(() => there!.get(keyOf(away)).catch(() => undefined)).toBeDefined();
    await expect(here!.get(keyOf(away))).rejects.toMatchObject({
      code: 'STATE_ELSEWHERE',
      retryable: true,
      message: `partition ${away} of g.in, where the key ${keyOf(away)} would be, is not with this process: ask the one that has it, or once more, if it is just moving`,
    });
    // While it moves, and when it has come.
    const leaving = made[1]!.stop();
    await expect
      .poll(async () => here!.get(keyOf(away)).catch(({ code }) => expect(code).toBe('STATE_ELSEWHERE')))
      .toBeDefined();
    await leaving;
    await expect(there!.get(keyOf(away))).rejects.toMatchObject({ code: 'STATE_ELSEWHERE' });
    await made[0]!.stop();
  });

  it('tells a process without a partition that it is idle, until one comes', async () => {
    const { made, shares } = await engines(PARTITIONS + 1);
    await expect.poll(() => made.map((engine) => engine.idle())).toEqual([false, false, false, true]);
    await made[0]!.stop();
    await expect.poll(() => shares()[3]).toHaveLength(1);
    expect(made[3]!.idle()).toBe(false);
    await Promise.all(made.map((engine) => engine.stop()));
  });
});
