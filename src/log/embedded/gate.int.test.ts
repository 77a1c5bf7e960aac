import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Child } from '../../../test/log/child.ts';
import { openEmbeddedLog } from './embedded-log.ts';
import { Gate } from './gate.ts';
import { Tables } from './tables.ts';

const MAPS = '/proc/self/maps';

describe.skipIf(!existsSync(MAPS))('gate of a data folder (sees by /proc which files a process has mapped)', () => {
  let path: string;
  let tables: Tables;
  let child: Child | undefined;
  let gate: Gate;

  beforeEach(async () => {
    path = mkdtempSync(join(tmpdir(), 'fleetcast-gate-'));
    const log = await openEmbeddedLog({ path });
    await log.ensureTopics([{ name: 'in', partitions: 1, cleanup: 'delete' }]);
    await log.close();
    tables = new Tables(path);
    gate = new Gate(path);
  });
  afterEach(async () => {
    await child?.kill();
    await tables.close();
    gate.close();
    rmSync(path, { recursive: true });
  });

  const hasMapped = (file: string) => readFileSync(`/proc/${child!.process.pid}/maps`, 'utf8').includes(file);
  const isAtGate = () => {
    const folder = `/proc/${child!.process.pid}/fd`;
    return readdirSync(folder).some((fd) => {
      try {
        return readlinkSync(join(folder, fd)) === join(path, 'gate');
      } catch {
        return false;
      }
    });
  };
  /** Blocks this thread, as a transaction would. */
  const block = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  const openElsewhere = () => {
    child = new Child('append', `embedded:${path}`, 'a', '1');
  };
  /** Until the other process is at the gate; and long enough for it to be through, if it could. */
  const waitAtGate = () => {
    for (let i = 0; i < 2000 && !isAtGate(); i++) block(10);
    expect(isAtGate()).toBe(true);
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
    child = new Child('append', `embedded:${path}`, 'a', '10000000');
    await child.said(/^acked/, 20);
    const changes = () => tables.read(() => tables.head().changes);
    gate.pass(() => {
      const before = changes();
      block(200);
      expect(changes()).toBe(before);
    });
    const after = changes();
    for (let i = 0; i < 2000 && changes() === after; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(changes()).toBeGreaterThan(after);
  });

  test('a process that ends without closing its log closes it within the gate', async () => {
    child = new Child('leave', `embedded:${path}`, 'a');
    await child.said(/^ready/);
    gate.pass(() => {
      child!.process.kill('SIGTERM');
      block(500);
      expect(hasMapped('data.mdb')).toBe(true);
    });
    await child.ended;
    expect(child.process.exitCode).toBe(0);
  });

  test('what another process writes while the folder is opened is not cut off', async () => {
    tables.write(() => {
      // Leaves pages at the end that are in use by nothing and not written.
      tables.groups.put('g', 'x'.repeat(60_000));
      tables.groups.removeSync('g');
    });
    const file = join(path, 'data.mdb');
    const before = statSync(file).size;
    tables.write(() => {
      openElsewhere();
      waitAtGate();
      expect(statSync(file).size).toBe(before);
    });
    await child!.said(/^done/);
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
