import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import type { EventLog } from '../log/event-log.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { parseConfiguration } from './configuration/load.ts';
import { ensureOwnTopics } from './own-topics.ts';
import { specsOf } from './pipeline-settings.ts';

const DAY = 86_400_000;
let path: string;
let log: EventLog;
let notes: string[];

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'fleetcast-topics-'));
  log = await openEmbeddedLog({ path, maintainEveryMs: 0 });
  notes = [];
});

afterEach(async () => {
  await log.close();
  rmSync(path, { recursive: true, force: true });
});

const configuration = (topics: string) => parseConfiguration(`topics: {partitions: 1, ${topics}}\n`, 'f');
const ensure = (topics: string, retention: 'keep' | 'lengthen' | 'apply') =>
  ensureOwnTopics(log, configuration(topics), { retention, onNote: (note) => notes.push(note) });
const keptFor = async (topic: string) => (await log.topic(topic))?.retentionMs;

it('keeps readings longer where the configuration says so, and deletes nothing before it is told to', async () => {
  await ensure('readingsRetention: 7d', 'lengthen');
  await log.append([{ topic: 'readings', partition: 0, timestamp: Date.now() - 5 * DAY, key: null, value: null }]);
  await ensure('readingsRetention: 30d', 'lengthen');
  expect(notes).toEqual(['topic readings now keeps 30 d; it was 7 d']);
  expect(await keptFor('readings')).toBe(30 * DAY);
  // A command with another configuration changes nothing.
  await ensure('readingsRetention: 1d', 'keep');
  await expect(ensure('readingsRetention: 1d', 'lengthen')).rejects.toMatchObject({
    code: 'LOG_TOPIC_MISMATCH',
    message: expect.stringMatching(/readings keeps 30 d, .* says 1 d.*--shorten-retention/),
  });
  await log.maintain();
  expect((await log.offsets('readings', 0)).earliest).toBe(0);
  await ensure('readingsRetention: 1d', 'apply');
  await log.maintain();
  expect((await log.offsets('readings', 0)).earliest).toBe(1);
  await log.close();
  log = await openEmbeddedLog({ path, maintainEveryMs: 0 });
  expect(await keptFor('readings')).toBe(DAY);
});

it('starts with a topic of dead letters as an earlier version has made it, and says what to do', async () => {
  await log.ensureTopics(specsOf(configuration('')).map(({ retentionBytes: _, ...spec }) => spec));
  await ensure('', 'lengthen');
  expect(notes).toEqual([expect.stringMatching(/^topic dead-letters keeps 30 d, .* at most 4096 MiB.*--shorten/)]);
  expect(await log.topic('dead-letters')).not.toHaveProperty('retentionBytes');
  await ensure('', 'apply');
  expect(await log.topic('dead-letters')).toMatchObject({ retentionBytes: 4 * 1024 ** 3 });
});

it('refuses what no log can change, and leaves other logs to their tools', async () => {
  await ensure('', 'lengthen');
  const two = parseConfiguration('topics: {partitions: 2, readingsRetention: 1d}\n', 'f');
  await expect(ensureOwnTopics(log, two, { retention: 'apply' })).rejects.toMatchObject({ code: 'LOG_TOPIC_MISMATCH' });
  expect(await keptFor('readings')).toBe(7 * DAY);
  const memory = new MemoryLog();
  await ensureOwnTopics(memory, configuration('readingsRetention: 7d'), { retention: 'apply' });
  await expect(
    ensureOwnTopics(memory, configuration('readingsRetention: 8d'), { retention: 'apply' }),
  ).rejects.toMatchObject({ code: 'LOG_TOPIC_MISMATCH' });
});
