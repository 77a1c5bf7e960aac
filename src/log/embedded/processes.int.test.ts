import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Child } from '../../../test/log/child.ts';
import { readAll, texts } from '../event-log.contract.ts';
import type { EventLog } from '../event-log.ts';
import { openEmbeddedLog } from './embedded-log.ts';

describe('embedded log with several processes', { timeout: 300_000 }, () => {
  let path: string;
  let log: EventLog;
  let children: Child[];

  beforeEach(async () => {
    path = mkdtempSync(join(tmpdir(), 'fleetcast-log-'));
    log = await openEmbeddedLog({ path });
    children = [];
    await log.ensureTopics(['in', 'out'].map((name) => ({ name, partitions: 2, cleanup: 'delete' as const })));
  });
  afterEach(async () => {
    for (const child of children) await child.kill();
    await log.close();
    rmSync(path, { recursive: true });
  });

  const start = (...args: string[]) => {
    const child = new Child(args[0]!, `embedded:${path}`, ...args.slice(1));
    children.push(child);
    return child;
  };

  const fill = async (count: number): Promise<string[]> => {
    const values = Array.from({ length: count }, (_, i) => `v${i}`);
    for (const partition of [0, 1]) {
      await log.append(
        values.map((v) => ({ topic: 'in', partition, timestamp: 1, key: Buffer.from('k'), value: Buffer.from(v) })),
      );
    }
    return values;
  };

  test('a copier killed again and again in the middle of its commits copies each record exactly once', async () => {
    const values = await fill(6000);
    let kills = 0;
    for (;;) {
      const child = start('copy', 'copier');
      // Commits follow each other without a pause, so that a kill mostly hits one.
      await Promise.race([child.said(/^committed/, 5 + ((kills * 7) % 23)), atEnd(log, values.length)]);
      await new Promise((resolve) => setTimeout(resolve, (kills * 3) % 11));
      if (kills >= 6) {
        await atEnd(log, values.length);
        await child.kill();
        break;
      }
      await child.kill();
      kills++;
      for (const partition of [0, 1]) {
        const copied = texts(await readAll(log, 'out', partition));
        const committed = (await log.committed('copiers')).get(`in/${partition}`) ?? 0;
        expect(copied).toEqual(values.slice(0, committed));
      }
    }
    for (const partition of [0, 1]) expect(texts(await readAll(log, 'out', partition))).toEqual(values);
  });

  test('acknowledged appends survive a kill, in order', async () => {
    for (let round = 0; round < 3; round++) {
      const member = `a${round}`;
      const child = start('append', member, '1000000');
      await child.said(/^acked/, 200);
      await child.kill();
      const mine = texts(await readAll(log, 'in', 0)).filter((text) => text.startsWith(`${member}/`));
      const acked = child.lines.filter((line) => line.startsWith('acked')).length;
      expect(mine.length).toBeGreaterThanOrEqual(acked);
      expect(mine).toEqual(mine.map((_, n) => `${member}/${n}`));
    }
  });

  test('two processes and this one append to one partition at a time: nothing is lost, each keeps its order', async () => {
    const a = start('append', 'a', '2000');
    const b = start('append', 'b', '2000');
    const own: Promise<unknown>[] = [];
    for (let n = 0; n < 300; n++) {
      own.push(log.append([{ topic: 'in', partition: 0, timestamp: 1, key: null, value: Buffer.from(`c/${n}`) }]));
      if (n % 20 === 0) await own.at(-1);
    }
    await Promise.all([a.said(/^done/), b.said(/^done/), ...own]);
    const all = texts(await readAll(log, 'in', 0));
    expect(all).toHaveLength(4300);
    for (const [name, count] of [
      ['a', 2000],
      ['b', 2000],
      ['c', 300],
    ] as const) {
      const mine = all.filter((text) => text.startsWith(`${name}/`));
      expect(mine).toEqual(Array.from({ length: count }, (_, n) => `${name}/${n}`));
    }
  });

  test('two processes share the partitions; when one is killed the other takes over', async () => {
    const a = start('copy', 'a');
    await a.said(/^assigned/, 1);
    const b = start('copy', 'b');
    await b.said(/^assigned/);
    const values = await fill(500);
    await atEnd(log, 500);
    await a.kill();
    const more = await fill(500);
    await atEnd(log, 1000);
    for (const partition of [0, 1]) {
      expect(texts(await readAll(log, 'out', partition))).toEqual([...values, ...more]);
    }
  });

  test('a process that was stopped past its session is fenced and comes back as a new member', async () => {
    const a = start('copy', 'a');
    await a.said(/^assigned/);
    const values = await fill(300);
    await atEnd(log, 300);
    a.process.kill('SIGSTOP');
    try {
      const b = start('copy', 'b');
      const more = await fill(300);
      await atEnd(log, 600);
      a.process.kill('SIGCONT');
      await b.said(/^assigned/);
      // It finds itself dropped, joins again and gets a share from the other.
      await a.said(/^assigned/, 2);
      const last = await fill(300);
      await atEnd(log, 900);
      for (const partition of [0, 1]) {
        expect(texts(await readAll(log, 'out', partition))).toEqual([...values, ...more, ...last]);
      }
    } finally {
      a.process.kill('SIGCONT');
    }
  });
});

/** Until the copiers have committed so many records of both partitions. */
async function atEnd(log: EventLog, count: number): Promise<void> {
  for (;;) {
    const committed = await log.committed('copiers');
    if (committed.get('in/0') === count && committed.get('in/1') === count) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
