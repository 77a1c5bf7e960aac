import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Child } from '../../../test/log/child.ts';
import { openEmbeddedLog } from './embedded-log.ts';
import { gateOf } from './gate.ts';
import { Tables } from './tables.ts';

const MAPS = '/proc/self/maps';

describe.skipIf(!existsSync(MAPS))('gate of a data folder (sees by /proc which files a process has mapped)', () => {
  let path: string;
  let tables: Tables;
  let child: Child | undefined;

  beforeEach(async () => {
    path = mkdtempSync(join(tmpdir(), 'fleetcast-gate-'));
    const log = await openEmbeddedLog({ path });
    await log.ensureTopics([{ name: 'in', partitions: 1, cleanup: 'delete' }]);
    await log.close();
    tables = new Tables(path);
  });
  afterEach(async () => {
    await child?.kill();
    await tables.close();
    rmSync(path, { recursive: true });
  });

  const hasMapped = (file: string) => readFileSync(`/proc/${child!.process.pid}/maps`, 'utf8').includes(file);
  /** Blocks this thread, as a transaction would. */
  const block = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  const openElsewhere = () => {
    child = new Child('append', `embedded:${path}`, 'a', '1');
  };
  /** Until the other process is at the gate; and long enough for it to be through, if it could. */
  const waitAtGate = () => {
    for (let i = 0; i < 2000 && !hasMapped('gate.mdb'); i++) block(10);
    expect(hasMapped('gate.mdb')).toBe(true);
    block(300);
  };

  test('no process opens the database while another writes', async () => {
    tables.write(() => {
      openElsewhere();
      waitAtGate();
      expect(hasMapped('data.mdb')).toBe(false);
    });
    await child!.said(/^done/);
  });

  test('no process writes while another is inside', async () => {
    child = new Child('append', `embedded:${path}`, 'a', '1000000');
    await child.said(/^acked/, 20);
    const changes = () => tables.read(() => tables.head().changes);
    gateOf(path).pass(() => {
      const before = changes();
      block(200);
      expect(changes()).toBe(before);
    });
    const after = changes();
    await child.said(/^acked/, child.lines.length + 20);
    expect(changes()).toBeGreaterThan(after);
  });

  test('lets the next one in when the one inside is killed', async () => {
    openElsewhere();
    await child!.said(/^done/);
    for (let i = 0; i < 5; i++) {
      child = new Child('append', `embedded:${path}`, `k${i}`, '1000000');
      await child.said(/^acked/, 20);
      await child.kill();
      tables.write(() => {});
    }
  });
});
