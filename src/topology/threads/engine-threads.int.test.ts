import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import type { EventLog } from '../../log/event-log.ts';
import { partitionFor } from '../../log/partitioner.ts';
import { EngineThreads } from './engine-threads.ts';

const built = existsSync(new URL('../../../dist/topology/threads/engine.worker.js', import.meta.url));
const module = new URL('../../../test/topologies/threads-module.mjs', import.meta.url);
const program = fileURLToPath(new URL('../../../test/topologies/threads-process.mjs', import.meta.url));
const PARTITIONS = 4;

describe.skipIf(!built)('EngineThreads', () => {
  let path: string;
  let log: EventLog;

  beforeEach(async () => {
    path = mkdtempSync(join(tmpdir(), 'fleetcast-threads-'));
    log = await openEmbeddedLog({ path });
    const spec = { partitions: PARTITIONS, cleanup: 'delete' as const };
    await log.ensureTopics(['in', 'out', 'dead-letters'].map((name) => ({ name, ...spec })));
    const records = Array.from({ length: 400 }, (_, i) => ({
      topic: 'in',
      partition: i % PARTITIONS,
      timestamp: i,
      key: Buffer.from(`key-${i % 8}`),
      value: Buffer.from(`value-${i}`),
    }));
    await log.append(records);
  });

  afterEach(async () => {
    await log.close();
    rmSync(path, { recursive: true, force: true });
  });

  async function outputs(): Promise<string[]> {
    const all: string[] = [];
    for (let p = 0; p < PARTITIONS; p++) {
      const { records } = await log.read('out', p, 0);
      all.push(...records.map(({ key, value }) => `${String(key)} ${String(value)}`));
    }
    return all.sort();
  }

  const wanted = Array.from({ length: 400 }, (_, i) => `key-${i % 8} ${Math.floor(i / 8) + 1}`).sort();
  const until = Array.from({ length: PARTITIONS }, (_, p) => [`in/${p}`, 100] as const);

  it('divides the partitions among threads, and shows their state and status', async () => {
    const threads = new EngineThreads({ module, args: { path }, threads: 2 });
    await threads.start();
    const lagging = () => {
      const tasks = threads.status();
      return (
        tasks.length < PARTITIONS || tasks.some(({ phase, inputs }) => phase !== 'running' || inputs[0]!.offset < 100)
      );
    };
    while (lagging()) await new Promise((resolve) => setTimeout(resolve, 20));
    const state = threads.state('count', 'counts');
    // A partition may be on its way from the thread that was there first to the other one.
    await expect.poll(() => state.get('key-3').catch(({ code }) => code)).toBe(50);
    expect((await state.range({ from: 'key-2', limit: 3 })).map(({ key }) => key)).toEqual(['key-2', 'key-3', 'key-4']);
    // Its records were put into other partitions than the partitioner's: the one of the lowest number that has it.
    expect(await state.find('key-2')).toEqual({
      partition: 2,
      likely: partitionFor('key-2', PARTITIONS) === 2,
      value: 50,
    });
    // A key that several threads have: the one of its partition is meant, whichever thread that is.
    const likely = partitionFor('twice', PARTITIONS);
    for (let p = 0; p < PARTITIONS; p++) {
      const more = Array.from({ length: p + 1 }, () => ({ value: Buffer.from('x'), key: Buffer.from('twice') }));
      await log.append(more.map((record) => ({ topic: 'in', partition: p, timestamp: 1_000, ...record })));
    }
    await expect
      .poll(async () => (await state.range({ from: 'twice' })).map(({ partition, value }) => [partition, value]))
      .toEqual(Array.from({ length: PARTITIONS }, (_, p) => [p, p + 1]));
    expect(await state.find('twice')).toEqual({ partition: likely, likely: true, value: likely + 1 });
    expect(await state.get('twice')).toBe(likely + 1);
    expect(await state.get('nobody')).toBeUndefined();
    await expect(threads.state('count', 'other').get('key-3')).rejects.toThrow(/there is no store count\/other/);
    await threads.stop();
    expect((await outputs()).filter((line) => !line.startsWith('twice'))).toEqual(wanted);
  });

  it('says what is elsewhere and not just absent, and that it is idle where others have all', async () => {
    const others = Array.from({ length: PARTITIONS }, (_, i) => {
      const member = { group: 'threads.in', topics: ['in'], memberId: `other-${i}` };
      return log.join({ ...member, onAssigned: () => {}, onRevoked: () => {} });
    });
    const members = await Promise.all(others);
    await expect.poll(() => members.map((member) => member.assignment().length)).toEqual([1, 1, 1, 1]);
    const threads = new EngineThreads({ module, args: { path }, threads: 2 });
    await threads.start();
    await expect.poll(() => threads.idle(), { timeout: 30_000 }).toBe(true);
    const state = threads.state('count', 'counts');
    await expect(state.get('key-1')).rejects.toMatchObject({ code: 'STATE_ELSEWHERE' });
    await Promise.all(members.slice(0, 3).map((member) => member.leave()));
    const held = () => threads.status().filter(({ phase }) => phase === 'running');
    await expect.poll(held, { timeout: 30_000 }).not.toEqual([]);
    expect(threads.idle()).toBe(false);
    const away = members[3]!.assignment()[0]!;
    const absent = Array.from({ length: 20 }, (_, i) => `absent-${i}`);
    const likely = (partition: number) => absent.find((key) => partitionFor(key, PARTITIONS) === partition)!;
    await expect(state.get(likely(away))).rejects.toMatchObject({ code: 'STATE_ELSEWHERE' });
    const { partition } = held()[0]!;
    expect(await state.get(likely(partition))).toBeUndefined();
    await threads.stop();
    await members[3]!.leave();
  });

  it.each([
    'exit',
    'quit',
    'throw',
    'memory',
  ])('contains a crash of one thread (%s), and loses nothing', async (crash) => {
    const events: string[] = [];
    const threads = new EngineThreads({
      module,
      args: { path, until, crashAt: 'value-41', crash, once: `${path}-crashed` },
      threads: 2,
      backoffMs: [10, 10],
      resourceLimits: { maxOldGenerationSizeMb: 64 },
      onEvent: ({ kind, message }) => events.push(`${kind} ${message}`),
    });
    await threads.start();
    await threads.finished();
    expect(threads.restarts).toBe(1);
    await threads.stop();
    expect(events.filter((event) => /^failed thread \d crashed: /.test(event))).toHaveLength(1);
    expect(await outputs()).toEqual(wanted);
  });

  /** One commit for each record, so that threads are nearly always in a write. */
  const batch = { maxRecords: 1, commitRecords: 1 };
  const ended = async (options: Record<string, unknown>, ...more: string[]) => {
    const child = spawn(process.execPath, [program, JSON.stringify(options), ...more]);
    let told = '';
    child.stderr.on('data', (chunk: Buffer) => {
      told += String(chunk);
    });
    const [code, signal] = await once(child, 'exit');
    return { code: code as number | null, signal: signal as string | null, told };
  };
  const finishes = async () => {
    const threads = new EngineThreads({ module, args: { path, until }, threads: 2 });
    await threads.start();
    await threads.finished();
    await threads.stop();
    expect(await outputs()).toEqual(wanted);
  };

  it('ends threads by force only where they are not in a write of the log, which would never end', async () => {
    for (let i = 0; i < 8; i++) {
      const threads = new EngineThreads({ module, args: { path, until, batch }, threads: 2, stopMs: 0 });
      await threads.start();
      await new Promise((resolve) => setTimeout(resolve, 5 * i));
      await threads.stop();
    }
    await finishes();
  });

  it('lets the process exit in the midst of writes', async () => {
    for (let i = 0; i < 6; i++) {
      const { code } = await ended({ args: { path, until, batch }, threads: 2 }, `${10 * i}`);
      expect(code).toBe(3);
    }
    await finishes();
  });

  it('ends the process where a thread runs out of memory within a write, and loses nothing', async () => {
    const { signal, told } = await ended({
      args: { path, until, crashAt: 'value-41', crash: 'write' },
      threads: 2,
      writeMs: 1_000,
      resourceLimits: { maxOldGenerationSizeMb: 64 },
    });
    expect(signal).toBe('SIGKILL');
    expect(told).toMatch(/^fleetcast: thread \d has been within a write of the log for 1000 ms/m);
    await finishes();
  });

  it('shows a thread that hangs as stuck, and ends it when it is stopped', async () => {
    const threads = new EngineThreads({
      module,
      args: { path, crashAt: 'hang now', crash: 'hang' },
      threads: 1,
      stuckMs: 1_000,
      stopMs: 50,
      stateTimeoutMs: 200,
    });
    await threads.start();
    await log.append([
      { topic: 'in', partition: 0, timestamp: 1_000, key: Buffer.from('key-0'), value: Buffer.from('hang now') },
    ]);
    while (!threads.status().some(({ stuck }) => stuck)) await new Promise((resolve) => setTimeout(resolve, 20));
    await expect(threads.state('count', 'counts').get('key-0')).rejects.toMatchObject({
      code: 'STATE_TIMEOUT',
      message: expect.stringMatching(/^thread 0 has not answered in time/),
    });
    expect(threads.status().find(({ stuck }) => stuck)!.error).toMatch(/^thread 0 has not been heard of for \d+ ms$/);
    await threads.stop();
  });

  const phases = (threads: EngineThreads) =>
    threads.status().map(({ task, phase, stuck }) => `${task} ${phase}${stuck ? ' stuck' : ''}`);
  const shows = (threads: EngineThreads, expected: readonly string[]) =>
    expect.poll(() => phases(threads).sort(), { timeout: 30_000 }).toEqual([...expected].sort());

  it('shows the tasks of a crashed thread while it is started again, and as stuck when that takes too long', async () => {
    const threads = new EngineThreads({
      module,
      args: { path, crashAt: 'crash now', once: `${path}-crashed` },
      threads: 1,
      stuckMs: 1_000,
      backoffMs: [4_000, 4_000],
    });
    await threads.start();
    await shows(
      threads,
      [0, 1, 2, 3].map((p) => `threads.in-${p} running`),
    );
    await log.append([
      { topic: 'in', partition: 2, timestamp: 1_000, key: Buffer.from('key-2'), value: Buffer.from('crash now') },
    ]);
    await shows(
      threads,
      [0, 1, 2, 3].map((p) => `threads.in-${p} backing-off`),
    );
    expect(threads.status()[0]).toMatchObject({ error: 'thread 0 crashed: exit code 7' });
    // Not "nothing": what the thread had cannot be told now.
    await expect(threads.state('count', 'counts').get('key-0')).rejects.toMatchObject({
      code: 'LOG_UNAVAILABLE',
      message: expect.stringMatching(/^thread 0 has ended, or starts again/),
    });
    await shows(
      threads,
      [0, 1, 2, 3].map((p) => `threads.in-${p} backing-off stuck`),
    );
    await shows(
      threads,
      [0, 1, 2, 3].map((p) => `threads.in-${p} running`),
    );
    await threads.stop();
  });

  it('shows a thread that was given up as failed, and its tasks where no other has them', async () => {
    const args = { path, crashAt: 'crash now' };
    const threads = new EngineThreads({ module, args, threads: 2, maxRestarts: 0 });
    await threads.start();
    await shows(
      threads,
      [0, 1, 2, 3].map((p) => `threads.in-${p} running`),
    );
    const crash = (partition: number) =>
      log.append([
        { topic: 'in', partition, timestamp: 1_000, key: Buffer.from('key'), value: Buffer.from('crash now') },
      ]);
    await crash(2);
    // The record stays: whoever takes the partition over crashes as well.
    await expect
      .poll(() => phases(threads).filter((row) => /^thread \d failed stuck$/.test(row)), { timeout: 30_000 })
      .toHaveLength(2);
    expect(
      phases(threads)
        .filter((row) => row.startsWith('threads.'))
        .sort(),
    ).toEqual([0, 1, 2, 3].map((p) => `threads.in-${p} failed stuck`));
    await expect(threads.finished()).rejects.toThrow(/thread \d crashed: exit code 7/);
    await threads.stop();
  });

  it.each<[string, Record<string, unknown>, string, RegExp]>([
    ['a wrong configuration', { fault: 'interval: 0', code: 'CONFIG_INVALID' }, 'CONFIG_INVALID', /^interval: 0$/],
    [
      'an error of the module',
      { fault: 'no broker in the settings' },
      'OPERATOR_FAILED',
      /^no broker in the settings$/,
    ],
    ['a topic that is not there', { sink: 'elsewhere' }, 'LOG_TOPIC_UNKNOWN', /^the topic elsewhere of out does not/],
  ])('ends at once with a clear error: %s', async (_, args, code, message) => {
    const threads = new EngineThreads({ module, args: { path, ...args }, threads: 2 });
    await expect(threads.start()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(threads.restarts).toBe(0);
  });

  it('ends at once where the module is of no use, or the state does not fit', async () => {
    const start = (url: URL) => new EngineThreads({ module: url, args: {}, threads: 1 }).start();
    await expect(start(new URL('./nowhere.mjs', import.meta.url))).rejects.toThrow(
      /^the module of the threads cannot be loaded: .*nowhere/,
    );
    await expect(start(new URL('data:text/javascript,export const x = 1'))).rejects.toThrow(
      /no function as its default/,
    );

    const first = new EngineThreads({ module, args: { path, until }, threads: 1 });
    await first.start();
    await first.finished();
    await first.stop();
    const edited = new EngineThreads({ module, args: { path, until, store: 'numbers' }, threads: 2 });
    await expect(edited.start()).rejects.toMatchObject({
      code: 'STATE_ORPHANED',
      message: expect.stringMatching(/count\/counts belongs to no node/),
    });
    expect(edited.restarts).toBe(0);
  });

  it('starts again what was away for a while', async () => {
    const threads = new EngineThreads({
      module,
      args: { path, fault: 'no broker', code: 'LOG_UNAVAILABLE' },
      threads: 1,
      maxRestarts: 2,
      backoffMs: [10, 10],
    });
    await expect(threads.start()).rejects.toThrow(/thread 0 crashed: no broker/);
    expect(threads.restarts).toBe(2);
    await threads.stop();
  });

  it('starts to count crashes anew after a calm life, and keeps what was counted before one', async () => {
    const threads = new EngineThreads({
      module,
      args: { path, until, crashAt: 'value-41' },
      threads: 1,
      maxRestarts: 1,
      calmMs: 0,
      backoffMs: [10, 10],
    });
    await threads.start();
    await expect.poll(() => threads.restarts, { timeout: 30_000 }).toBeGreaterThan(3);
    expect(threads.status().every(({ phase }) => phase !== 'failed')).toBe(true);
    await threads.stop();
  });

  it('goes on telling of the other tasks where one has failed for good, with the error and its stack', async () => {
    const errors: unknown[] = [];
    const threads = new EngineThreads({
      module,
      args: { path, crashAt: 'value-41', crash: 'fail' },
      threads: 1,
      stuckMs: 1_000,
      onEvent: ({ kind, error }) => {
        if (kind === 'failed') errors.push(error);
      },
    });
    await threads.start();
    await expect.poll(() => errors, { timeout: 30_000 }).toHaveLength(1);
    expect(errors[0]).toMatchObject({
      code: 'OPERATOR_FAILED',
      cause: { message: 'not for me', stack: expect.stringMatching(/threads-module\.mjs/) },
    });
    await log.append([
      { topic: 'in', partition: 0, timestamp: 1_000, key: Buffer.from('key-0'), value: Buffer.from('later') },
    ]);
    await expect
      .poll(() => threads.status().find(({ partition }) => partition === 0)?.inputs[0]?.offset, { timeout: 30_000 })
      .toBe(101);
    await threads.stop();
  });

  it('starts a crashed thread again within bounds, and loses nothing', async () => {
    const lost: string[] = [];
    const bounded = new EngineThreads({
      onLost: ({ message }) => lost.push(message),
      module,
      args: { path, until, crashAt: 'value-41' },
      threads: 1,
      maxRestarts: 2,
      backoffMs: [10, 10],
    });
    await bounded.start();
    await expect(bounded.finished()).rejects.toThrow(/thread 0 crashed: exit code 7/);
    expect(bounded.restarts).toBe(2);
    expect(lost).toEqual(['thread 0 crashed: exit code 7']);
    await bounded.stop();

    const threads = new EngineThreads({ module, args: { path, until }, threads: 2 });
    await threads.start();
    await threads.finished();
    await threads.stop();
    expect(await outputs()).toEqual(wanted);
  });
});
