import { afterEach, describe, expect, it } from 'vitest';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { TopologyBuilder } from '../topology/builder.ts';
import { Engine, type EngineOptions } from '../topology/engine.ts';
import type { SourceCodec, SourceItem } from '../topology/topology.ts';
import { healthOf } from './health.ts';
import { taskPart } from './task-part.ts';

/** Texts as values; `wait` is a broadcast. */
const codec: SourceCodec<string> = {
  decode: ({ value, timestamp }): SourceItem<string> => {
    const text = String(value);
    return text === 'wait' ? { kind: 'broadcast', value: text } : { kind: 'record', value: text, time: timestamp };
  },
};

describe('a partition that does not go on', () => {
  let engine: Engine;
  let log: MemoryLog;

  afterEach(() => engine.stop());

  async function start(texts: readonly (readonly string[])[], options: Partial<EngineOptions> = {}): Promise<void> {
    const builder = new TopologyBuilder('stuck');
    builder
      // What a broadcast needs from outside never comes.
      .source('in', { topic: 'in', codec, prepare: () => new Promise(() => {}) })
      .map('check', (text) => {
        if (text === 'poison') throw new Error('not for me');
        return text;
      })
      .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(value) }) });
    log = new MemoryLog();
    const spec = { partitions: texts.length, cleanup: 'delete' as const };
    await log.ensureTopics(['in', 'out', 'dead-letters'].map((name) => ({ name, ...spec })));
    const timestamp = Date.now() - 5_000;
    for (const [partition, list] of texts.entries()) {
      for (const text of list) {
        await log.append([{ topic: 'in', partition, timestamp, key: Buffer.from('k'), value: Buffer.from(text) }]);
      }
    }
    engine = new Engine({ log, topology: builder.build(), group: 'g', stuckMs: 50, ...options });
    await engine.start();
  }

  const health = () => healthOf({ tasks: engine.status(), bridge: undefined, logTrouble: undefined, now: Date.now() });

  async function untilStuck(): Promise<void> {
    while (health().status !== 'stuck') await new Promise((resolve) => setTimeout(resolve, 10));
  }

  it('shows while an operator waits for what never comes, with its lag and the age of its commit', async () => {
    await start([
      ['a', 'b', 'wait', 'c'],
      ['d', 'e'],
    ]);
    await untilStuck();
    expect(health().problems).toEqual(['g.in-0 is stuck']);
    const [first, second] = engine
      .status()
      .sort((a, b) => a.partition - b.partition)
      .map(taskPart);
    expect(first).toMatchObject({ state: 'waiting', offset: 2, lag: 2, stuck: true });
    expect(first!.lagMs).toBeGreaterThanOrEqual(5_000);
    expect(first!.commitAge).toBeGreaterThanOrEqual(50);
    // The other partition has gone on.
    expect(second).toMatchObject({ state: 'running', offset: 2, lag: 0, lagMs: 0, stuck: false });
  });

  it('shows when a poison record has stopped it, and names the record', async () => {
    await start([['a', 'poison', 'c'], ['d']], { batch: { maxRecords: 1, commitRecords: 1 } });
    await untilStuck();
    expect(health().problems).toEqual([
      expect.stringMatching(/^g\.in-0 has failed: check failed at offset 1 \(key k\) of in\/0: not for me/),
    ]);
    const failed = engine.status().find(({ partition }) => partition === 0)!;
    expect(taskPart(failed)).toMatchObject({ state: 'failed', offset: 1, lag: 2, stuck: true });
    while (engine.status().find(({ partition }) => partition === 1)?.inputs[0]?.offset !== 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
});
