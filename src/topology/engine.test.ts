import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { faultyLog } from '../../test/faulty-log.ts';
import { sums } from '../../test/topologies/sums.ts';
import { decode } from '../events/codec.ts';
import type { StateSnapshot } from '../events/records.ts';
import type { EventLog, LogRecord } from '../log/event-log.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { Engine, type EngineOptions, subtopologyGroup } from './engine.ts';
import { resetGroup } from './reset.ts';
import type { TaskEvent } from './task-options.ts';
import type { Topology, TopologyNode } from './topology.ts';

/** One input record as the sums topology reads it. */
type Step = { key: string; v: number } | { tick: true } | { say: number };

const PARTITIONS = 2;

async function logWith(steps: readonly (Step & { after: number })[]): Promise<MemoryLog> {
  const log = new MemoryLog();
  const spec = { partitions: PARTITIONS, cleanup: 'delete' } as const;
  await log.ensureTopics(
    ['in', 'out', 'dead-letters', 'again-out', 'again-dead-letters'].map((name) => ({ name, ...spec })),
  );
  let time = 1000;
  for (const step of steps) {
    time += step.after;
    const append = (partition: number, key: string | null, value: unknown) =>
      log.append([
        {
          topic: 'in',
          partition,
          timestamp: time,
          key: key === null ? null : Buffer.from(key),
          value: Buffer.from(JSON.stringify(value)),
        },
      ]);
    if ('key' in step) await append(step.key.charCodeAt(0) % PARTITIONS, step.key, { v: step.v, t: time });
    else {
      for (let p = 0; p < PARTITIONS; p++) {
        await append(p, null, 'tick' in step ? { tick: time } : { say: step.say });
      }
    }
  }
  return log;
}

async function ends(log: EventLog, topic: string): Promise<Map<string, number>> {
  const ends = new Map<string, number>();
  for (let p = 0; p < PARTITIONS; p++) ends.set(`${topic}/${p}`, (await log.offsets(topic, p)).end);
  return ends;
}

async function all(log: EventLog, topic: string): Promise<LogRecord[][]> {
  const partitions: LogRecord[][] = [];
  for (let p = 0; p < PARTITIONS; p++) {
    partitions.push([
      ...(await log.read(topic, p, (await log.offsets(topic, p)).earliest, { maxRecords: 1e6 })).records,
    ]);
  }
  return partitions;
}

async function run(log: EventLog, topology: Topology, options: Partial<EngineOptions> = {}): Promise<Engine> {
  const engine = new Engine({ log, topology, group: 'g', until: await ends(log, 'in'), backoffMs: [0, 0], ...options });
  try {
    await engine.start();
    await engine.finished();
  } finally {
    await engine.stop();
  }
  return engine;
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd'),
      v: fc.integer({ min: -1, max: 9 }),
      after: fc.nat(6),
    }),
  },
  { weight: 2, arbitrary: fc.record({ tick: fc.constant(true as const), after: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ say: fc.nat(5), after: fc.constant(0) }) },
);

describe('Engine', () => {
  it('runs a topology on all partitions, commits, and shows state and status', async () => {
    const log = await logWith([
      { key: 'a', v: 2, after: 0 },
      { key: 'b', v: 7, after: 0 },
      { key: 'a', v: 5, after: 0 },
    ]);
    const engine = new Engine({ log, topology: sums(), group: 'g' });
    await engine.start();
    while (engine.status().some(({ lag, phase }) => lag > 0 || phase !== 'running'))
      await new Promise((r) => setTimeout(r, 5));
    while (engine.status().reduce((sum, { records }) => sum + records, 0) < 3)
      await new Promise((r) => setTimeout(r, 5));
    const state = engine.state('sum', 'sums');
    expect(await state.range()).toMatchObject([
      { key: 'a', value: { sum: 7 } },
      { key: 'b', value: { sum: 7 } },
    ]);
    expect(engine.status().map(({ task }) => task)).toEqual(['g.in-0', 'g.in-1']);
    await engine.stop();
    expect(engine.status()).toEqual([]);
    expect(await log.committed(subtopologyGroup('g', 'in'))).toEqual(
      new Map([
        ['in/0', 1],
        ['in/1', 2],
      ]),
    );
  });

  it('gives the same bytes for any batches, failing commits, restarts and lengths of the sweep', async () => {
    const disturbance = fc.record({
      maxRecords: fc.integer({ min: 1, max: 7 }),
      sweepLength: fc.integer({ min: 1, max: 15 }),
      commits: fc.array(fc.constantFrom('works' as const, 'works' as const, 'fails' as const, 'fails-after' as const), {
        minLength: 1,
        maxLength: 15,
      }),
      stops: fc.array(fc.nat(60), { maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        disturbance,
        async (steps, { maxRecords, sweepLength, commits, stops }) => {
          const log = await logWith(steps);
          await run(log, sums('dead-letter'), { group: 'plain' });
          const plain = [await all(log, 'out'), await all(log, 'dead-letters')];

          let i = 0;
          const troubled = faultyLog(log, () => (i < 60 ? commits[i++ % commits.length]! : 'works'));
          const options = {
            batch: { maxRecords },
            sweepLength,
            stateTopic: 'other-state',
            outputTopic: (topic: string) => `again-${topic}`,
          };
          const bounds = await ends(log, 'in');
          for (const stop of [...stops].sort((a, b) => a - b)) {
            const until = new Map([...bounds].map(([p, end]) => [p, Math.min(end, stop)]));
            await run(troubled, sums('dead-letter'), { ...options, until });
            await log.maintain();
          }
          await run(troubled, sums('dead-letter'), options);
          expect(await all(log, 'again-out')).toEqual(plain[0]);
          expect(await all(log, 'again-dead-letters')).toEqual(plain[1]);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('stops a task whose operator throws, with a clear error; the others go on', async () => {
    const log = await logWith([
      { key: 'a', v: -1, after: 0 },
      { key: 'b', v: 3, after: 0 },
    ]);
    const engine = new Engine({ log, topology: sums(), group: 'g' });
    await engine.start();
    await expect(engine.finished()).rejects.toThrow(/sum failed at offset 0 \(key a\) of in\/1: negative/);
    while ((await log.committed('g.in')).get('in/0') !== 1) await new Promise((r) => setTimeout(r, 5));
    const [good, bad] = engine.status();
    expect(good).toMatchObject({ phase: 'running', stuck: false });
    expect(bad).toMatchObject({ phase: 'failed', stuck: true, errorCode: 'OPERATOR_FAILED' });
    await engine.stop();
  });

  it('keeps what a task has counted when the task goes to another engine', async () => {
    const log = await logWith([
      { key: 'a', v: -1, after: 0 },
      { key: 'b', v: -1, after: 0 },
      { key: 'd', v: -1, after: 0 },
    ]);
    const common = { log, topology: sums('dead-letter'), group: 'g' };
    const engine = new Engine({ ...common, memberId: 'first' });
    const failed = () => engine.counts()['sum']?.['operator-failed'];
    await engine.start();
    await expect.poll(failed).toBe(3);
    const second = new Engine({ ...common, memberId: 'second' });
    await second.start();
    await expect.poll(() => engine.status().length).toBe(1);
    expect(failed()).toBe(3);
    await engine.stop();
    expect(failed()).toBe(3);
    await second.stop();
  });

  it('retries a poison record within bounds, then does what the policy says', async () => {
    const log = await logWith([
      { key: 'a', v: -1, after: 0 },
      { key: 'a', v: 3, after: 0 },
    ]);
    const told: string[] = [];
    const onEvent = ({ kind, message }: TaskEvent) => void (kind === 'backing-off' && told.push(message));
    await run(log, sums({ attempts: 3, backoffMs: 2, exhausted: 'dead-letter' }), { onEvent });
    expect((await all(log, 'dead-letters'))[1]).toHaveLength(1);
    expect(told.map((message) => message.replace(/.*starts again/, ''))).toEqual([' in 2 ms', ' in 4 ms', ' in 8 ms']);
    await expect(
      run(log, sums({ attempts: 1, backoffMs: 0, exhausted: 'fail' }), { group: 'failing', stateTopic: 'other' }),
    ).rejects.toThrow(/sum failed at offset 0/);
  });

  it('refuses topics that do not fit, and state that belongs to no node', async () => {
    const log = await logWith([{ key: 'a', v: 1, after: 0 }]);
    await expect(run(log, sums(), { deadLetterTopic: 'nowhere' })).rejects.toThrow(
      /the topic nowhere of the dead letters/,
    );
    await expect(run(log, sums(), { stateTopic: 'out' })).rejects.toThrow(/not compacted/);
    await run(log, sums());
    await log.append([
      { topic: 'in', partition: 1, timestamp: 1, key: Buffer.from('a'), value: Buffer.from('{"v":1,"t":1}') },
    ]);
    const renamed = sums();
    const nodes = new Map(
      [...renamed.nodes].map(([name, node]) => [
        name === 'sum' ? 'total' : name,
        node.name === 'sum' ? { ...node, name: 'total' } : node,
      ]),
    );
    const rename = (name: string) => (name === 'sum' ? 'total' : name);
    const edited = {
      ...renamed,
      nodes,
      edges: renamed.edges.map((e) => ({ ...e, from: rename(e.from), to: rename(e.to) })),
    };
    // Before anything runs, with every store that does not fit.
    const engine = new Engine({ log, topology: edited, group: 'g' });
    await expect(engine.start()).rejects.toThrow(
      'does not fit the stored state of g: sum/#timers belongs to no node; sum/factor belongs to no node; sum/sums belongs',
    );
    expect(engine.status()).toEqual([]);
    // What a start cannot know, a restore finds.
    await log.append([
      { topic: 'state-stores', partition: 0, timestamp: 1, key: Buffer.from('g.in'), value: Buffer.from('{}') },
    ]);
    await expect(run(log, edited)).rejects.toThrow(/stored state of sum\/\S+ belongs to no node/);
    await run(log, edited, { discardState: ['sum'] });
  });

  it('refuses a topology whose tasks have another name: their state and progress would be lost unseen', async () => {
    const log = await logWith([{ key: 'a', v: 1, after: 0 }]);
    await run(log, sums());
    const renamed = (): Topology => {
      const { nodes, edges, ...rest } = sums();
      const source = { ...nodes.get('in')!, name: 'input' } as TopologyNode;
      const others = [...nodes].filter(([name]) => name !== 'in');
      return {
        ...rest,
        nodes: new Map([['input', source], ...others]),
        edges: edges.map((edge) => ({ ...edge, from: edge.from === 'in' ? 'input' : edge.from })),
      };
    };
    await expect(run(log, renamed())).rejects.toThrow(
      /^the topology does not fit the stored state of g: sum\/#timers, sum\/factor, sum\/sums, third\/counts of the tasks that read the source in /,
    );
    // The former topology still fits.
    await run(log, sums());
    expect((await all(log, 'out')).flat()).toHaveLength(2);
    const discarding = new Engine({ log, topology: renamed(), group: 'g', discardState: ['sum', 'third'] });
    await discarding.start();
    await discarding.stop();
    await run(log, renamed());
    await expect(run(log, sums())).rejects.toThrow(/of the tasks that read the source input/);

    // A reset with either topology clears what both have left.
    const report = await resetGroup({ log, topology: sums(), group: 'g', now: 1 });
    expect(report.tasks.map(({ task }) => task)).toEqual(expect.arrayContaining(['g.in-1', 'g.input-1']));
    await run(log, sums());
  });

  it('says so when the log has lost what the state needs', async () => {
    const log = await logWith([]);
    await log.ensureTopics([{ name: 'short', partitions: PARTITIONS, cleanup: 'delete', retentionBytes: 1 }]);
    const source = sums().nodes.get('in')!;
    const topology = sums();
    const short = {
      ...topology,
      nodes: new Map(topology.nodes).set('in', { ...source, topic: 'short' } as TopologyNode),
    };
    const append = () =>
      log.append([
        { topic: 'short', partition: 0, timestamp: 1, key: Buffer.from('a'), value: Buffer.from('{"v":1,"t":1}') },
      ]);
    await append();
    await append();
    await run(log, short, { until: await ends(log, 'short') });
    await log.maintain();
    await append();
    await expect(run(log, short, { until: await ends(log, 'short') })).rejects.toThrow(
      /short\/0 begins at offset 2, the state needs the records from 0 on/,
    );
  });

  it('refuses state whose group was forgotten, and begins anew after a reset', async () => {
    const log = await logWith([
      { key: 'a', v: 1, after: 0 },
      { key: 'b', v: 2, after: 0 },
      { key: 'a', v: 3, after: 0 },
      { key: 'b', v: 4, after: 0 },
    ]);
    await run(log, sums(), { sweepLength: 1, batch: { maxRecords: 1, commitRecords: 1 } });
    const first = await all(log, 'out');
    await log.deleteGroup(subtopologyGroup('g', 'in'));
    await expect(run(log, sums())).rejects.toThrow(/its group has no committed offset/);
    const reset = { log, topology: sums(), group: 'g', now: 1 };
    const before = await resetGroup({ ...reset, dryRun: true });
    expect(before).toMatchObject({
      tasks: [
        { task: 'g.in-0', keys: 1 },
        { task: 'g.in-1', keys: 1 },
      ],
      stores: { 'sum/#timers': 2, 'sum/sums': 2, 'third/counts': 2 },
    });
    await expect(run(log, sums())).rejects.toThrow(/its group has no committed offset/);
    expect(await resetGroup(reset)).toEqual(before);
    expect(await resetGroup(reset)).toEqual({
      resumed: false,
      offsets: [],
      tasks: [],
      stores: {},
      repartitions: [],
      records: 0,
    });
    await run(log, sums(), { outputTopic: (topic) => `again-${topic}` });
    expect(await all(log, 'again-out')).toEqual(first);
  });

  it('finishes its sweep when nothing comes in, so that a restore has nothing to replay', async () => {
    const log = await logWith([
      { key: 'a', v: 1, after: 0 },
      { key: 'a', v: 1, after: 0 },
    ]);
    const engine = new Engine({ log, topology: sums(), group: 'g', idleSweepMs: 0 });
    await engine.start();
    const headers = async () => {
      const records = (await all(log, 'state'))[1]!.filter(({ key }) => String(key) === 'g.in-1/');
      return records.map(({ value }) => decode<StateSnapshot>('StateSnapshot', value!));
    };
    while (!(await headers()).some(({ stores }) => /"complete":\{"offset":1/.test(String(stores['#sweep'])))) {
      await new Promise((r) => setTimeout(r, 20));
    }
    await engine.stop();
  });
});
