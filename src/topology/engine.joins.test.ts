import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CommitVerdict, faultyLog } from '../../test/faulty-log.ts';
import { rooms } from '../../test/topologies/rooms.ts';
import type { EventLog } from '../log/event-log.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { resetGroup } from './reset.ts';

const PARTITIONS = 2;
const DEVICES = ['a', 'b', 'c', 'd'];

type Step =
  | {
      readonly kind: 'reading';
      readonly device: string;
      readonly room: string;
      readonly value: number;
      readonly after: number;
    }
  | { readonly kind: 'tick'; readonly after: number };

async function logWith(steps: readonly Step[]): Promise<MemoryLog> {
  const log = new MemoryLog({ now: () => 1000 });
  const names = ['readings', 'corrected', 'pairs', 'counts', 'dead-letters'];
  await log.ensureTopics([
    ...names.map((name) => ({ name, partitions: PARTITIONS, cleanup: 'delete' as const })),
    { name: 'devices', partitions: PARTITIONS, cleanup: 'compact' },
  ]);
  const append = (topic: string, partition: number, key: string | null, timestamp: number, value: unknown) =>
    log.append([
      {
        topic,
        partition,
        timestamp,
        key: key === null ? null : Buffer.from(key),
        value: value === null ? null : Buffer.from(JSON.stringify(value)),
      },
    ]);
  const partition = (device: string) => device.charCodeAt(0) % PARTITIONS;
  for (const round of [1, 2]) {
    for (const device of DEVICES) await append('devices', partition(device), device, 1000, { offset: round * 100 });
  }
  let time = 1000;
  for (const step of steps) {
    time += step.after;
    if (step.kind === 'tick') {
      for (let p = 0; p < PARTITIONS; p++) await append('readings', p, null, time, { tick: time });
    } else {
      await append('readings', partition(step.device), step.device, time, { room: step.room, value: step.value });
    }
  }
  return log;
}

async function run(log: EventLog, options: Partial<EngineOptions> = {}): Promise<void> {
  const until = new Map<string, number>();
  for (const topic of ['readings', 'devices']) {
    for (let p = 0; p < PARTITIONS; p++) until.set(`${topic}/${p}`, (await log.offsets(topic, p)).end);
  }
  const engine = new Engine({
    log,
    topology: rooms(),
    group: 'g',
    until,
    backoffMs: [0, 0],
    batch: { pollMs: 5 },
    ...options,
  });
  await engine.start();
  await engine.finished();
  await engine.stop();
}

/** Everything on a topic, sorted: how inputs interleave is not laid down before the run, so the order may differ. */
async function outputs(log: EventLog, topic: string): Promise<string[]> {
  const all: string[] = [];
  for (let p = 0; p < PARTITIONS; p++) {
    const { records } = await log.read(topic, p, 0, { maxRecords: 1e6 });
    for (const { key, value } of records) all.push(`${p} ${String(key)} ${String(value)}`);
  }
  return all.sort();
}

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('reading' as const),
      device: fc.constantFrom(...DEVICES),
      room: fc.constantFrom('hall', 'attic'),
      value: fc.nat(9),
      after: fc.nat(20),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tick' as const), after: fc.nat(60) }) },
);

describe('Engine with joins, tables and repartition topics', () => {
  it('joins with rows and streams, and counts behind a repartition topic', async () => {
    const log = await logWith([
      { kind: 'reading', device: 'a', room: 'hall', value: 1, after: 0 },
      { kind: 'reading', device: 'b', room: 'hall', value: 2, after: 1 },
      { kind: 'tick', after: 60 },
      { kind: 'tick', after: 200 },
    ]);
    await run(log);
    expect(await outputs(log, 'corrected')).toEqual([
      '0 b {"room":"hall","value":202}',
      '1 a {"room":"hall","value":201}',
    ]);
    expect((await outputs(log, 'pairs')).length).toBe(4);
    expect((await outputs(log, 'counts')).map((line) => line.slice(2))).toEqual([
      'hall {"start":1000,"end":1050,"revision":1,"value":403}',
    ]);
  });

  it('counts nothing twice after a reset: what the topology had written to its own topics goes as well', async () => {
    const log = await logWith([
      { kind: 'reading', device: 'a', room: 'hall', value: 1, after: 0 },
      { kind: 'reading', device: 'b', room: 'hall', value: 2, after: 1 },
      { kind: 'tick', after: 60 },
      { kind: 'tick', after: 200 },
    ]);
    await run(log);
    const counts = await outputs(log, 'counts');
    expect(counts).toHaveLength(1);
    const reset = { log, topology: rooms(), group: 'g', now: 1000 };
    const topic = 'g-by-room-repartition';
    const looked = await resetGroup({ ...reset, dryRun: true });
    // Two records, and of the two ticks of each of two partitions a copy in both.
    expect(looked.repartitions).toEqual([{ topic, records: 10 }]);
    expect((await log.offsets(topic, 0)).earliest).toBe(0);
    expect(await resetGroup(reset)).toEqual(looked);
    expect((await resetGroup(reset)).repartitions).toEqual([{ topic, records: 0 }]);
    await run(log);
    expect(await outputs(log, 'counts')).toEqual([...counts, ...counts]);
  });

  it('loses nothing and doubles nothing for any batches, failing commits and restarts', async () => {
    const verdict = fc.constantFrom<CommitVerdict>('works', 'works', 'fails', 'fails-after');
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 12 }),
        fc.array(verdict, { minLength: 1, maxLength: 12 }),
        fc.array(fc.nat(25), { maxLength: 2 }),
        async (steps, maxRecords, sweepLength, commits, stops) => {
          // The windows' last records are behind: what closes by then is the same whatever the partitions' pace.
          const all: Step[] = [...steps, { kind: 'tick', after: 300 }, { kind: 'tick', after: 300 }];
          const plain = await logWith(all);
          await run(plain);

          const log = await logWith(all);
          let i = 0;
          const troubled = faultyLog(log, () => (i < 60 ? commits[i++ % commits.length]! : 'works'));
          const options = { batch: { maxRecords, pollMs: 5 }, sweepLength };
          for (const stop of [...stops].sort((a, b) => a - b)) {
            const until = new Map<string, number>();
            for (let p = 0; p < PARTITIONS; p++) {
              until.set(`readings/${p}`, Math.min(stop, (await log.offsets('readings', p)).end));
              until.set(`devices/${p}`, (await log.offsets('devices', p)).end);
            }
            await run(troubled, { ...options, until });
            await log.maintain();
          }
          await run(troubled, options);
          for (const topic of ['corrected', 'pairs']) {
            expect(await outputs(log, topic)).toEqual(await outputs(plain, topic));
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
