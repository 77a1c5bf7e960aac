import { describe, expect, test } from 'vitest';
import { eventLogContract, readAll, texts } from '../event-log.contract.ts';
import { MemoryLog } from './memory-log.ts';

eventLogContract('memory', async () => {
  const log = new MemoryLog();
  return { open: async () => log, dispose: () => log.close() };
});

describe('MemoryLog', () => {
  const put = (key: string, value: string | null, timestamp: number) => ({
    topic: 't',
    partition: 0,
    timestamp,
    key: Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
  });

  test('drops a tombstone when its time is over, by the clock it was given', async () => {
    let now = 1000;
    const log = new MemoryLog({ now: () => now, tombstoneMs: 500 });
    await log.ensureTopics([{ name: 't', partitions: 1, cleanup: 'compact' }]);
    await log.append([put('a', 'x', 900), put('a', null, 1000), put('b', 'y', 1000)]);
    await log.maintain();
    expect(texts(await readAll(log, 't', 0))).toEqual(['(null)', 'y']);
    now = 1501;
    await log.maintain();
    expect(texts(await readAll(log, 't', 0))).toEqual(['y']);
  });

  test('a member that comes again under its name takes over from the run before', async () => {
    const log = new MemoryLog();
    await log.ensureTopics([{ name: 't', partitions: 2, cleanup: 'delete' }]);
    const lost: number[] = [];
    const join = () =>
      log.join({
        group: 'g',
        topics: ['t'],
        memberId: 'm',
        onAssigned: () => {},
        onRevoked: () => {},
        onLost: (p) => void lost.push(...p),
      });
    const first = await join();
    await expect.poll(() => first.assignment()).toEqual([0, 1]);
    const writer = await first.openWriter(0);
    const second = await join();
    await expect.poll(() => second.assignment()).toEqual([0, 1]);
    expect(lost).toEqual([0, 1]);
    expect(first.assignment()).toEqual([]);
    await expect(writer.commit([], new Map())).rejects.toMatchObject({ code: 'LOG_FENCED' });
  });

  test('a read that waits ends with LOG_CLOSED when the log is closed', async () => {
    const log = new MemoryLog();
    await log.ensureTopics([{ name: 't', partitions: 1, cleanup: 'delete' }]);
    const waiting = log.read('t', 0, 0, { waitMs: 600_000 });
    await log.close();
    await expect(waiting).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  });
});
