import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEmbeddedLog } from './embedded-log.ts';

const NOBODY = 65_534;

/** The superuser may write anywhere: somebody else opens the folder then. */
async function withoutRights<T>(work: () => Promise<T>): Promise<T> {
  const root = process.getuid?.() === 0;
  if (root) process.seteuid!(NOBODY);
  try {
    return await work();
  } finally {
    if (root) process.seteuid!(0);
  }
}

test('a folder that cannot be written says so, and is no log that comes back by itself', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-read-only-'));
  const path = join(folder, 'data');
  const log = await openEmbeddedLog({ path, maintainEveryMs: 0 });
  await log.ensureTopics([{ name: 't', partitions: 1, cleanup: 'delete' }]);
  await log.close();
  for (const each of [folder, path]) chmodSync(each, 0o755);
  for (const each of ['data.mdb', 'lock.mdb', 'bell']) chmodSync(join(path, each), 0o444);
  chmodSync(path, 0o555);
  try {
    await expect(withoutRights(() => openEmbeddedLog({ path, maintainEveryMs: 0 }))).rejects.toMatchObject({
      code: 'DATA_FOLDER_READ_ONLY',
      retryable: false,
      message: expect.stringContaining(path) as string,
    });
  } finally {
    chmodSync(path, 0o755);
    rmSync(folder, { recursive: true });
  }
});

test('a folder that may not be made is no damaged one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-read-only-'));
  chmodSync(folder, 0o555);
  try {
    const path = join(folder, 'data');
    await expect(withoutRights(() => openEmbeddedLog({ path, maintainEveryMs: 0 }))).rejects.toMatchObject({
      code: 'DATA_FOLDER_READ_ONLY',
      message: expect.stringContaining(path) as string,
    });
  } finally {
    chmodSync(folder, 0o755);
    rmSync(folder, { recursive: true });
  }
});
