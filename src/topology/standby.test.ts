import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sums } from '../../test/topologies/sums.ts';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import type { EventLog, OutRecord } from '../log/event-log.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { Engine } from './engine.ts';

const PARTITIONS = 2;
const RECORDS = 200;

/** A log that two processes see: a handle for each, and what ends it. */
interface Place {
  readonly logs: readonly [EventLog, EventLog];
  readonly end: () => Promise<void>;
}

const places: Readonly<Record<string, () => Promise<Place>>> = {
  memory: async () => {
    const log = new MemoryLog();
    return { logs: [log, log], end: () => log.close() };
  },
  embedded: async () => {
    const path = mkdtempSync(join(tmpdir(), 'fleetcast-standby-'));
    const logs = [await openEmbeddedLog({ path }), await openEmbeddedLog({ path })] as const;
    const end = async (): Promise<void> => {
      for (const log of logs) await log.close();
      rmSync(path, { recursive: true, force: true });
    };
    return { logs, end };
  },
};

function input(from: number, to: number): OutRecord[] {
  return Array.from({ length: to - from }, (_, n): OutRecord => {
    const i = from + n;
    const item = i % 20 === 19 ? { tick: 1000 + i } : { v: i % 7, t: 1000 + i };
    const key = 'v' in item ? Buffer.from(`key-${i % 12}`) : null;
    return {
      topic: 'in',
      partition: i % PARTITIONS,
      timestamp: 1000 + i,
      key,
      value: Buffer.from(JSON.stringify(item)),
    };
  });
}

async function written(log: EventLog, topic: string): Promise<string[][]> {
  return Promise.all(
    Array.from({ length: PARTITIONS }, async (_, p) => {
      const { records } = await log.read(topic, p, 0, { maxRecords: 1e6 });
      return records.map(({ timestamp, key, value }) => `${timestamp} ${key} ${value}`);
    }),
  );
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe.each(Object.keys(places))('standby on the %s log', (kind) => {
  it('takes over where the copy ends, with the same bytes', async () => {
    const { logs, end } = await places[kind]!();
    const [log, other] = logs;
    const spec = { partitions: PARTITIONS, cleanup: 'delete' as const };
    await log.ensureTopics(
      ['in', 'out', 'dead-letters', 'plain-out', 'plain-dead-letters'].map((name) => ({ name, ...spec })),
    );
    const stateReads: number[] = [];
    const watched = new Proxy(other, {
      get: (target, name) => {
        const member = target[name as keyof EventLog];
        if (name !== 'read') return typeof member === 'function' ? member.bind(target) : member;
        return (...args: Parameters<EventLog['read']>) => {
          if (args[0] === 'state') stateReads.push(args[2]);
          return target.read(...args);
        };
      },
    });
    const common = { topology: sums(), group: 'g', sweepLength: 10, batch: { maxRecords: 5, commitRecords: 5 } };
    const first = new Engine({ ...common, log, memberId: 'first', standby: 'all' });
    await first.start();
    await log.append(input(0, RECORDS / 2));
    const second = new Engine({ ...common, log: watched, memberId: 'second', standby: 'all' });
    await second.start();
    await until(() => first.status().length === 1 && second.status().length === 1);
    await until(async () => {
      const committed = await log.committed('g.in');
      return [0, 1].every((p) => committed.get(`in/${p}`) === RECORDS / 2 / PARTITIONS);
    });
    const ownedByFirst = first.status()[0]!.partition;
    await until(() =>
      second.standbys().some(({ lag, keys, currentAgeMs }) => lag === 0 && keys > 0 && currentAgeMs! >= 0),
    );
    expect(second.standbys()).toMatchObject([
      { task: `g.in-${ownedByFirst}`, partition: ownedByFirst, error: undefined },
    ]);

    const { end: stateEnd } = await log.offsets('state', ownedByFirst);
    expect(stateEnd).toBeGreaterThan(10);
    stateReads.length = 0;
    await first.stop();
    await until(() => second.status().filter(({ phase }) => phase === 'running').length === 2);
    // It has read the end of the state topic only, not the state.
    expect(Math.min(...stateReads)).toBeGreaterThan(stateEnd - 10);
    expect(second.standbys()).toEqual([]);
    await log.append(input(RECORDS / 2, RECORDS));
    await until(async () => {
      const committed = await log.committed('g.in');
      return [0, 1].every((p) => committed.get(`in/${p}`) === RECORDS / PARTITIONS);
    });
    await second.stop();

    const plain = new Engine({
      log,
      topology: sums(),
      group: 'plain',
      stateTopic: 'plain-state',
      outputTopic: (topic) => `plain-${topic}`,
      until: new Map([0, 1].map((p) => [`in/${p}`, RECORDS / PARTITIONS])),
    });
    await plain.start();
    await plain.finished();
    await plain.stop();
    expect(await written(log, 'out')).toEqual(await written(log, 'plain-out'));
    await end();
  });
});
