import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openEmbeddedLog } from '../../log/embedded/embedded-log.ts';
import type { EventLog } from '../../log/event-log.ts';
import { EngineThreads } from './engine-threads.ts';

const built = existsSync(new URL('../../../dist/topology/threads/engine.worker.js', import.meta.url));
const module = new URL('../../../test/topologies/threads-module.mjs', import.meta.url);
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
    expect(await state.get('key-3')).toBe(50);
    expect((await state.range({ from: 'key-2', limit: 3 })).map(({ key }) => key)).toEqual(['key-2', 'key-3', 'key-4']);
    await expect(threads.state('count', 'other').get('key-3')).rejects.toThrow(/there is no store count\/other/);
    await threads.stop();
    expect(await outputs()).toEqual(wanted);
  });

  it.each(['exit', 'throw', 'memory'])('contains a crash of one thread (%s), and loses nothing', async (crash) => {
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

  it('shows a thread that hangs as stuck, and ends it when it is stopped', async () => {
    const threads = new EngineThreads({
      module,
      args: { path, crashAt: 'hang now', crash: 'hang' },
      threads: 1,
      stuckMs: 1_000,
      stopMs: 50,
    });
    await threads.start();
    await log.append([
      { topic: 'in', partition: 0, timestamp: 1_000, key: Buffer.from('key-0'), value: Buffer.from('hang now') },
    ]);
    while (!threads.status().some(({ stuck }) => stuck)) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(threads.status().find(({ stuck }) => stuck)!.error).toMatch(/^thread 0 has not been heard of for \d+ ms$/);
    await threads.stop();
  });

  it('starts a crashed thread again within bounds, and loses nothing', async () => {
    const bounded = new EngineThreads({
      module,
      args: { path, until, crashAt: 'value-41' },
      threads: 1,
      maxRestarts: 2,
      backoffMs: [10, 10],
    });
    await bounded.start();
    await expect(bounded.finished()).rejects.toThrow(/thread 0 crashed: exit code 7/);
    expect(bounded.restarts).toBe(2);
    await bounded.stop();

    const threads = new EngineThreads({ module, args: { path, until }, threads: 2 });
    await threads.start();
    await threads.finished();
    await threads.stop();
    expect(await outputs()).toEqual(wanted);
  });
});
