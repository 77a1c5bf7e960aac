import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Child } from '../../../test/log/child.ts';
import { texts } from '../event-log.contract.ts';
import { openEmbeddedLog } from './embedded-log.ts';
import { Tables } from './tables.ts';

const TOPIC = { name: 't', partitions: 1, cleanup: 'delete' } as const;

describe('data folder of the embedded log', () => {
  let base: string;
  let path: string;

  beforeEach(() => {
    base = mkdtempSync(join(tmpdir(), 'fleetcast-log-'));
    path = join(base, 'data', 'log');
  });
  afterEach(() => rmSync(base, { recursive: true }));

  const fill = async () => {
    const log = await openEmbeddedLog({ path });
    await log.ensureTopics([TOPIC]);
    for (let i = 0; i < 40; i++) {
      const value = Buffer.alloc(50_000, `${i} `);
      await log.append([{ topic: 't', partition: 0, timestamp: i, key: null, value }]);
    }
    await log.close();
  };

  /** Names, sizes and contents of every file. */
  const fingerprint = () =>
    readdirSync(path)
      .sort()
      .map(
        (name) =>
          `${name} ${createHash('sha256')
            .update(readFileSync(join(path, name)))
            .digest('hex')}`,
      );

  const refused = async (code: string) => {
    const before = fingerprint();
    await expect(openEmbeddedLog({ path })).rejects.toMatchObject({ code });
    expect(fingerprint()).toEqual(before);
  };

  test('is made where there is none, and found again', async () => {
    await fill();
    const log = await openEmbeddedLog({ path });
    expect(await log.offsets('t', 0)).toEqual({ earliest: 0, end: 40 });
    await log.close();
  });

  test('of a newer version is refused and left as it was', async () => {
    await fill();
    const marker = JSON.parse(readFileSync(join(path, 'fleetcast-log.json'), 'utf8'));
    writeFileSync(join(path, 'fleetcast-log.json'), JSON.stringify({ ...marker, version: marker.version + 1 }));
    await refused('DATA_FOLDER_NEWER');
  });

  test.each([
    ['a marker that is no JSON', () => writeFileSync(join(path, 'fleetcast-log.json'), '{"format":')],
    ['a marker of something else', () => writeFileSync(join(path, 'fleetcast-log.json'), '{"format":"x","version":1}')],
    ['no marker', () => rmSync(join(path, 'fleetcast-log.json'))],
    ['no database', () => rmSync(join(path, 'data.mdb'))],
    ['an empty database', () => truncateSync(join(path, 'data.mdb'), 0)],
    ['a database that was cut', () => truncateSync(join(path, 'data.mdb'), statSync(join(path, 'data.mdb')).size / 2)],
    ['a database that was overwritten', () => writeFileSync(join(path, 'data.mdb'), Buffer.alloc(500_000, 'no'))],
  ])('with %s is refused and left as it was', async (_, damage) => {
    await fill();
    damage();
    await refused('DATA_FOLDER_DAMAGED');
  });

  test('of somebody else is refused and left as it was', async () => {
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'thesis.txt'), 'mine');
    await refused('DATA_FOLDER_DAMAGED');
  });

  test('whose place is taken by a file is refused, and the file left as it was', async () => {
    path = join(base, 'letter.txt');
    writeFileSync(path, 'mine');
    await expect(openEmbeddedLog({ path })).rejects.toMatchObject({ code: 'DATA_FOLDER_DAMAGED' });
    expect(readFileSync(path, 'utf8')).toBe('mine');
  });

  test('with a value that took the place of a longer one in the same transaction opens', async () => {
    await fill();
    const tables = new Tables(path);
    tables.write(() => {
      tables.groups.put('g', 'x'.repeat(60_000));
      tables.groups.put('g', 'x'.repeat(9_000));
    });
    await tables.close();
    await (await openEmbeddedLog({ path })).close();
  });

  test('whose making was interrupted is made to the end', async () => {
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'fleetcast-log.json'), '{"format":"fleetcast-log","version":1,"state":"creating"}');
    await fill();
    expect(JSON.parse(readFileSync(join(path, 'fleetcast-log.json'), 'utf8')).state).toBe('ready');
  });

  test('with damaged records beyond what is verified says so when they are read, and gives the others', async () => {
    await fill();
    const file = join(path, 'data.mdb');
    const data = readFileSync(file);
    const at = data.indexOf(Buffer.alloc(300, '7 '));
    data.fill(0, at + 100, at + 200);
    writeFileSync(file, data);
    const heard: unknown[] = [];
    const log = await openEmbeddedLog({ path, verifyBytes: 0, onError: (error) => heard.push(error) });
    await expect(log.read('t', 0, 7, { maxRecords: 1 })).rejects.toMatchObject({ code: 'DATA_FOLDER_DAMAGED' });
    expect(heard).toEqual([expect.objectContaining({ code: 'DATA_FOLDER_DAMAGED' })]);
    const fine = await log.read('t', 0, 8, { maxRecords: 1 });
    expect(texts(fine.records)[0]!.slice(0, 4)).toBe('8 8 ');
    await log.close();
  });

  describe('with damage inside the database', () => {
    const file = () => join(path, 'data.mdb');
    const digest = () => createHash('sha256').update(readFileSync(file())).digest('hex');
    const PAGE = 4096;

    /** A log of about 10 MB with tables of every kind, freed pages, and both small and large chunks. */
    const fillAll = async () => {
      const log = await openEmbeddedLog({ path, now: () => 0, maintainEveryMs: 0 });
      await log.ensureTopics([TOPIC, { name: 'c', partitions: 2, cleanup: 'compact' }]);
      for (let i = 0; i < 240; i++) {
        const key = Buffer.from(`k${i % 7}`);
        await log.append([
          { topic: 't', partition: 0, timestamp: i, key, value: Buffer.alloc(40_000, `${i} `) },
          { topic: 'c', partition: i % 2, timestamp: i, key, value: Buffer.alloc(i * 5, `${i} `) },
        ]);
        if (i === 120) await log.maintain();
      }
      const member = await log.join({
        group: 'g',
        topics: ['t'],
        memberId: 'm',
        onAssigned: () => {},
        onRevoked: () => {},
      });
      await member.leave();
      await log.close();
    };

    const overwrite = (data: Buffer, page: number, count: number) => {
      const random = seededBytes(page + 1);
      const end = Math.min(data.length, (page + count) * PAGE);
      for (let at = page * PAGE; at < end; at++) data[at] = random();
    };

    test('is refused wherever it is, without a byte written', async () => {
      await fillAll();
      const whole = readFileSync(file());
      const pages = whole.length / PAGE;
      const places: [number, number][] = [
        [0, 1],
        [1, 1],
        [3, 20],
        [20, 30],
        [60, 30],
        [200, 30],
        [800, 30],
        [pages >> 1, 30],
        [pages - 40, 30],
      ];
      for (const [page, count] of places) {
        const data = Buffer.from(whole);
        overwrite(data, page, count);
        writeFileSync(file(), data);
        const [before, written] = [digest(), statSync(file()).mtimeMs];
        await expect(openEmbeddedLog({ path }), `${count} pages from ${page}`).rejects.toMatchObject({
          code: 'DATA_FOLDER_DAMAGED',
          message: expect.stringContaining(path),
        });
        expect([digest(), statSync(file()).mtimeMs]).toEqual([before, written]);
      }
      writeFileSync(file(), whole);
      const log = await openEmbeddedLog({ path });
      expect(await log.offsets('t', 0)).toEqual({ earliest: 0, end: 240 });
      await log.close();
    });

    test('a single page is either refused or was not in use: everything is read and written as before', async () => {
      await fillAll();
      const whole = readFileSync(file());
      let refusals = 0;
      const pages = [...Array.from({ length: 24 }, (_, i) => i), ...Array.from({ length: 24 }, (_, i) => 30 + i * 97)];
      for (const page of pages) {
        if (page * PAGE >= whole.length) continue;
        const data = Buffer.from(whole);
        overwrite(data, page, 1);
        writeFileSync(file(), data);
        const before = digest();
        const log = await openEmbeddedLog({ path }).catch((error: unknown) => error as Error & { code: string });
        if (log instanceof Error) {
          expect(log.code).toBe('DATA_FOLDER_DAMAGED');
          expect(digest()).toBe(before);
          refusals++;
          continue;
        }
        let count = 0;
        while (count < 240) count += (await log.read('t', 0, count)).records.length;
        await log.append([{ topic: 't', partition: 0, timestamp: 1, key: null, value: Buffer.alloc(100_000) }]);
        await log.maintain();
        await log.close();
      }
      expect(refusals).toBeGreaterThan(20);
    });
  });

  test('opens again and again while another process writes, and after it was killed', {
    timeout: 300_000,
  }, async () => {
    const topics = ['in', 'out'].map((name) => ({ name, partitions: 2, cleanup: 'delete' as const }));
    const first = await openEmbeddedLog({ path });
    await first.ensureTopics(topics);
    await first.close();
    for (let round = 0; round < 3; round++) {
      const child = new Child('append', `embedded:${path}`, `m${round}`, '1000000');
      try {
        await child.said(/^acked/, 20);
        for (let i = 0; i < 15; i++) {
          const log = await openEmbeddedLog({ path });
          expect((await log.read('in', 0, 0)).records.length).toBeGreaterThan(0);
          await log.close();
        }
      } finally {
        await child.kill();
      }
      const log = await openEmbeddedLog({ path });
      const { end } = await log.offsets('in', 0);
      expect(end).toBeGreaterThan(20);
      await log.close();
    }
  });
});

/** The same bytes for the same seed (xorshift). */
function seededBytes(seed: number): () => number {
  let state = (seed * 2654435761) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state & 0xff;
  };
}
