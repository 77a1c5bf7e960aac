import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readAll } from '../event-log.contract.ts';
import type { EventLog, LogRecord } from '../event-log.ts';
import { MemoryLog } from '../memory/memory-log.ts';
import { openEmbeddedLog } from './embedded-log.ts';

describe('cleaning of the embedded log', { timeout: 300_000 }, () => {
  let path: string;
  let now = 0;
  let log: EventLog;

  beforeEach(async () => {
    now = 1000;
    path = mkdtempSync(join(tmpdir(), 'fleetcast-log-'));
    log = await openEmbeddedLog({ path, now: () => now, tombstoneMs: 500, maintainEveryMs: 0 });
  });
  afterEach(async () => {
    await log.close();
    rmSync(path, { recursive: true });
  });

  const plain = (records: readonly LogRecord[]) =>
    records.map((r) => `${r.offset} ${r.timestamp} ${Buffer.from(r.key!)} ${r.value?.length} ${r.value?.[0]}`);

  test('compaction leaves what the memory log leaves, whatever came when', async () => {
    const append = fc.record({
      kind: fc.constant('append' as const),
      records: fc.array(
        fc.record({
          key: fc.integer({ min: 0, max: 9 }),
          bytes: fc.option(fc.integer({ min: 1, max: 40_000 }), { nil: null }),
        }),
        { minLength: 1, maxLength: 12 },
      ),
    });
    const pass = fc.record({ kind: fc.constant('maintain' as const), later: fc.integer({ min: 0, max: 600 }) });
    let n = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof({ weight: 3, arbitrary: append }, pass), { maxLength: 12 }), async (steps) => {
        const topic = `t${n++}`;
        const twin = new MemoryLog({ now: () => now, tombstoneMs: 500 });
        for (const each of [log, twin]) await each.ensureTopics([{ name: topic, partitions: 1, cleanup: 'compact' }]);
        let maintained = false;
        for (const step of steps) {
          maintained = step.kind === 'maintain';
          if (step.kind === 'append') {
            const records = step.records.map(({ key, bytes }, i) => ({
              topic,
              partition: 0,
              timestamp: now,
              key: Buffer.from(`key${key}`),
              value: bytes === null ? null : Buffer.alloc(bytes, i),
            }));
            for (const each of [log, twin]) await each.append(records);
          } else {
            now += step.later;
            for (const each of [log, twin]) await each.maintain();
          }
        }
        if (!maintained) for (const each of [log, twin]) await each.maintain();
        // Old tombstones of a partition without news stay until there is news.
        const values = async (each: EventLog) => (await readAll(each, topic, 0)).filter((r) => r.value !== null);
        expect(plain(await values(log))).toEqual(plain(await values(twin)));
        expect(await log.offsets(topic, 0)).toEqual(await twin.offsets(topic, 0));
      }),
      { numRuns: 25 },
    );
  });

  test('compaction turns many small appends into few chunks, and readers go on over them', async () => {
    await log.ensureTopics([{ name: 't', partitions: 1, cleanup: 'compact' }]);
    for (let i = 0; i < 60; i++) {
      const value = Buffer.alloc(2000, i);
      await log.append([{ topic: 't', partition: 0, timestamp: i, key: Buffer.from(`k${i % 20}`), value }]);
    }
    const standing = await log.read('t', 0, 0, { maxRecords: 3 });
    await log.maintain();
    const rest = await log.read('t', 0, standing.nextOffset);
    expect(rest.records.map((r) => r.offset)).toEqual(Array.from({ length: 20 }, (_, i) => 40 + i));
    expect(rest.nextOffset).toBe(60);
  });

  test('a tombstone goes when its time is over', async () => {
    await log.ensureTopics([{ name: 't', partitions: 1, cleanup: 'compact' }]);
    const put = (key: string, value: Buffer | null) => ({
      topic: 't',
      partition: 0,
      timestamp: now,
      key: Buffer.from(key),
      value,
    });
    await log.append([put('a', Buffer.from('x')), put('a', null), put('b', Buffer.from('y'))]);
    await log.maintain();
    expect(plain(await readAll(log, 't', 0))).toHaveLength(2);
    now += 501;
    await log.append([put('c', Buffer.from('z'))]);
    await log.maintain();
    expect((await readAll(log, 't', 0)).map((r) => Buffer.from(r.key!).toString())).toEqual(['b', 'c']);
  });

  test('retention by bytes keeps a partition near its limit, and the disk is used again', async () => {
    await log.ensureTopics([{ name: 't', partitions: 1, cleanup: 'delete', retentionBytes: 1_000_000 }]);
    for (let round = 0; round < 10; round++) {
      const records = Array.from({ length: 100 }, () => ({
        topic: 't',
        partition: 0,
        timestamp: now,
        key: null,
        value: Buffer.alloc(10_000, round),
      }));
      await log.append(records);
      await log.maintain();
      const { earliest, end } = await log.offsets('t', 0);
      const left = await readAll(log, 't', 0, {}, earliest);
      const bytes = left.reduce((sum, r) => sum + r.value!.length, 0);
      expect(bytes).toBeLessThanOrEqual(1_000_000);
      expect(bytes).toBeGreaterThan(900_000);
      expect(end).toBe((round + 1) * 100);
    }
  });

  test('is refused with LOG_FULL where the log or the disk is full, and goes on when there is room', async () => {
    const small = await openEmbeddedLog({ path: `${path}-small`, maxBytes: 300_000, now: () => now });
    const add = (bytes: number) => ({
      topic: 't',
      partition: 0,
      timestamp: now,
      key: null,
      value: Buffer.alloc(bytes),
    });
    try {
      await small.ensureTopics([{ name: 't', partitions: 1, cleanup: 'delete', retentionMs: 100 }]);
      await small.append([add(200_000)]);
      await expect(small.append([add(200_000)])).rejects.toMatchObject({ code: 'LOG_FULL', retryable: true });
      expect(await small.offsets('t', 0)).toEqual({ earliest: 0, end: 1 });
      await small.append([add(50_000)]);
      now += 101;
      await small.maintain();
      expect(await small.append([add(200_000)])).toEqual([2]);
      await expect(small.append([add(70_000_000)])).rejects.toMatchObject({ code: 'LOG_RECORD_TOO_LARGE' });
    } finally {
      await small.close();
      rmSync(`${path}-small`, { recursive: true });
    }
    const full = openEmbeddedLog({ path: `${path}-full`, reserveBytes: Number.MAX_SAFE_INTEGER });
    await expect(full).rejects.toMatchObject({ code: 'LOG_FULL' });
    rmSync(`${path}-full`, { recursive: true });
  });
});
