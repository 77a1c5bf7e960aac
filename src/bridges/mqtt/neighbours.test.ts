import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../../../test/bridge-kit.ts';
import { MemoryLog } from '../../log/memory/memory-log.ts';
import { overlaps } from '../mapping/topic-filter.ts';
import { NEIGHBOUR_KEY, Neighbours, type NeighboursOptions } from './neighbours.ts';

const TOPIC = 'bridge-memory';
let log: MemoryLog;
let started: Neighbours[];

beforeEach(async () => {
  log = new MemoryLog();
  started = [];
  await log.ensureTopics([{ name: TOPIC, partitions: 1, cleanup: 'compact' }]);
});

afterEach(async () => {
  for (const each of started) await each.stop();
});

const base = { url: 'mqtt://broker:1883', filters: ['fleet/+', 'tele/#'], onOverlap: () => {} };

async function start(clientId: string, change: Partial<NeighboursOptions> = {}): Promise<Neighbours> {
  const made = new Neighbours({ log, topic: TOPIC, now: Date.now, ...base, clientId, ...change });
  await made.start();
  started.push(made);
  return made;
}

it('refuses a second bridge that takes the same messages into the same log, until the first has ended', async () => {
  const first = await start('one');
  await expect(start('two')).rejects.toMatchObject({
    code: 'BRIDGE_OVERLAP',
    message: expect.stringContaining('"one"'),
  });
  await expect(start('two', { filters: ['+/pump'] })).rejects.toMatchObject({ code: 'BRIDGE_OVERLAP' });
  await expect(start('two', { sharedGroup: 'g' })).rejects.toMatchObject({ code: 'BRIDGE_OVERLAP' });
  await first.stop();
  await start('two');
});

it('lets bridges share the work, take other topics or another broker, and follow one of the same name', async () => {
  await start('one', { sharedGroup: 'g' });
  await start('two', { sharedGroup: 'g' });
  await start('three', { filters: ['north/#', 'fleet'] });
  await start('four', { url: 'mqtt://other:1883' });
  await start('one', { sharedGroup: 'g' });
});

it('forgets a bridge whose process has ended, and one elsewhere that has not been heard for long', async () => {
  const say = (more: object) => {
    const value = Buffer.from(JSON.stringify({ ...base, clientId: 'gone', instance: 'x', at: Date.now(), ...more }));
    return log.append([
      { topic: TOPIC, partition: 0, timestamp: Date.now(), key: Buffer.from(`${NEIGHBOUR_KEY}gone`), value },
    ]);
  };
  await say({ host: 'elsewhere', pid: 1 });
  await expect(start('one')).rejects.toMatchObject({ code: 'BRIDGE_OVERLAP' });
  await say({ host: 'elsewhere', pid: 1, at: Date.now() - 60_000 });
  await (await start('one')).stop();
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  await say({ host: hostname(), pid });
  await (await start('one')).stop();
  // Its process had the number that ours has: a container that was started again.
  await say({ host: hostname(), pid: process.pid });
  await (await start('one')).stop();
  await say({ host: hostname(), pid: process.ppid });
  await expect(start('one')).rejects.toMatchObject({ code: 'BRIDGE_OVERLAP' });
});

it('lets one stay of two that start at once', async () => {
  const both = await Promise.allSettled([start('one'), start('two')]);
  expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
});

it.each([0, -3_600_000])('tells once of a bridge that has come in spite of it, its clock off by %i ms', async (off) => {
  const told: string[] = [];
  await start('one', { beatMs: 10, onOverlap: (message) => told.push(message) });
  const other = { ...base, clientId: 'two', instance: 'y', host: 'elsewhere', pid: 1, at: Date.now() + off };
  const value = Buffer.from(JSON.stringify(other));
  const key = Buffer.from(`${NEIGHBOUR_KEY}two`);
  await log.append([{ topic: TOPIC, partition: 0, timestamp: Date.now(), key, value }]);
  await until('it is told', () => told.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(told).toEqual([expect.stringContaining('"two" (process 1 on elsewhere)')]);
});

it('says nothing twice where the log does not answer', async () => {
  let said = 0;
  const append = log.append.bind(log);
  log.append = (records) => (said++ === 0 ? append(records) : new Promise(() => {}));
  await new Neighbours({ log, topic: TOPIC, now: Date.now, ...base, clientId: 'one', beatMs: 5 }).start();
  await until('a beat waits', () => said > 1);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(said).toBe(2);
});

it.each([
  ['a/b', 'a/b', true],
  ['a/+', 'a/b', true],
  ['a/#', 'a', true],
  ['+/b', 'a/+', true],
  ['#', 'a/b/c', true],
  ['a/+', 'a/b/c', false],
  ['a/b', 'a/c', false],
  ['#', '$SYS/#', false],
])('knows whether %s and %s may match one topic', (a, b, expected) => {
  expect([overlaps(a, b), overlaps(b, a)]).toEqual([expected, expected]);
});
