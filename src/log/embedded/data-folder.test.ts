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
import { texts } from '../event-log.contract.ts';
import { openEmbeddedLog } from './embedded-log.ts';

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

  test('whose making was interrupted is made to the end', async () => {
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'fleetcast-log.json'), '{"format":"fleetcast-log","version":1,"state":"creating"}');
    await fill();
    expect(JSON.parse(readFileSync(join(path, 'fleetcast-log.json'), 'utf8')).state).toBe('ready');
  });

  test('with damaged records says so when they are read, and gives the others', async () => {
    await fill();
    const file = join(path, 'data.mdb');
    const data = readFileSync(file);
    const at = data.indexOf(Buffer.alloc(300, '7 '));
    data.fill(0, at + 100, at + 200);
    writeFileSync(file, data);
    const log = await openEmbeddedLog({ path });
    await expect(log.read('t', 0, 7, { maxRecords: 1 })).rejects.toMatchObject({ code: 'DATA_FOLDER_DAMAGED' });
    const fine = await log.read('t', 0, 8, { maxRecords: 1 });
    expect(texts(fine.records)[0]!.slice(0, 4)).toBe('8 8 ');
    await log.close();
  });
});
