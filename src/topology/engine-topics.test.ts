import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import type { EventLog, TopicSpec } from '../log/event-log.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine } from './engine.ts';
import type { SourceCodec } from './topology.ts';

const codec: SourceCodec<number> = {
  decode: ({ timestamp }) => ({ kind: 'record', value: 1, time: timestamp }),
};
const WEEK = 7 * 86_400_000;
const OWN: TopicSpec = { name: 'g-by-repartition', partitions: 1, cleanup: 'delete' };

/** Starts on topics as an earlier version made them. @returns what was told about retention, start by start. */
async function startTwice(log: EventLog): Promise<string[][]> {
  const names = ['a', 'out', 'dead-letters'];
  await log.ensureTopics(names.map((name) => ({ ...OWN, name, retentionMs: WEEK })));
  await log.ensureTopics([{ ...OWN, retentionMs: WEEK, retentionBytes: 1e9 }]);
  const builder = new TopologyBuilder('t');
  const keyed = builder.source('a', { topic: 'a', codec }).keyBy('by', () => 'all');
  keyed.sink('out', { topic: 'out', encode: ({ key }) => ({ key, value: null }) });
  const told: string[][] = [];
  for (let start = 0; start < 2; start++) {
    const messages: string[] = [];
    const engine = new Engine({
      log,
      topology: builder.build(),
      group: 'g',
      onEvent: ({ kind, message }) => {
        if (kind === 'retention') messages.push(message);
      },
    });
    await engine.start();
    await engine.stop();
    told.push(messages);
  }
  return told;
}

it('takes the retention from topics behind a keyBy that earlier versions made, and from no others', async () => {
  const path = mkdtempSync(join(tmpdir(), 'fleetcast-topics-'));
  const log = await openEmbeddedLog({ path });
  expect(await startTwice(log)).toEqual([
    [
      'topic g-by-repartition has no retention any more: retention.ms was 604800000, retention.bytes was 1000000000, ' +
        'and its records have the times of the input, so they could go before they are read',
    ],
    [],
  ]);
  expect(await log.topic('g-by-repartition')).toEqual(OWN);
  expect((await log.topic('a'))?.retentionMs).toBe(WEEK);
  await log.close();
  rmSync(path, { recursive: true });
});

it('says at each start what to set where the log cannot be told', async () => {
  const message =
    'topic g-by-repartition: retention.ms is 604800000, retention.bytes is 1000000000, and its records have the times ' +
    'of the input, so they could go before they are read: set retention.ms to -1, retention.bytes to -1';
  expect(await startTwice(new MemoryLog())).toEqual([[message], [message]]);
});
