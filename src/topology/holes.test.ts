import { expect, it } from 'vitest';
import type { EventLog } from '../log/event-log.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine } from './engine.ts';
import type { SourceCodec } from './topology.ts';
import { tumbling } from './windows/window-spec.ts';

const codec: SourceCodec<string> = {
  decode: ({ value, timestamp }) => {
    const text = String(value);
    return text === 'wait' ? { kind: 'broadcast', value: text } : { kind: 'record', value: text, time: timestamp };
  },
};

/** An engine on `in`, where records without a key are holes: as those of an aborted transaction, read but never seen. */
async function engineOn(texts: readonly (string | null)[], idleSweepMs: number) {
  const memory = new MemoryLog();
  const names = ['in', 'out', 'dead-letters'];
  await memory.ensureTopics(names.map((name) => ({ name, partitions: 1, cleanup: 'delete' as const })));
  const append = (more: readonly (string | null)[]) =>
    memory.append(
      more.map((text) => {
        const key = text === null ? null : Buffer.from('key');
        return { topic: 'in', partition: 0, timestamp: 1_000, key, value: Buffer.from(text ?? 'hole') };
      }),
    );
  await append(texts);
  const read: EventLog['read'] = async (topic, ...more) => {
    const batch = await memory.read(topic, ...more);
    return topic === 'in' ? { ...batch, records: batch.records.filter(({ key }) => key !== null) } : batch;
  };
  const log = new Proxy(memory, {
    get: (target, name) => {
      const value = name === 'read' ? read : Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const builder = new TopologyBuilder('holes');
  const never = () => new Promise<never>(() => {});
  builder
    .source('in', { topic: 'in', codec, prepare: never })
    .window(tumbling(60_000))
    .count('count', { emit: 'update' })
    .sink('out', { topic: 'out', encode: ({ key }) => ({ key, value: null }) });
  const topology = builder.build();
  const engine = new Engine({ log, topology, group: 'g', idleSweepMs, batch: { pollMs: 5 } });
  await engine.start();
  const outputs = async () => (await log.offsets('out', 0)).end;
  const committed = async () => (await log.committed('g.in')).get('in/0');
  return { engine, append, outputs, committed };
}

it('commits offsets behind the last record that have none, when nothing comes and when it stops', async () => {
  const idle = await engineOn(['a', 'b'], 0);
  await expect.poll(idle.committed, { interval: 5 }).toBe(2);
  await idle.append([null, null]);
  await expect.poll(idle.committed, { interval: 5 }).toBe(4);
  await idle.engine.stop();
  const stopped = await engineOn(['a', 'b'], 1e9);
  await expect.poll(stopped.committed, { interval: 5 }).toBe(2);
  await stopped.append([null, null]);
  // The reader passes them.
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await stopped.committed()).toBe(2);
  await stopped.engine.stop();
  expect(await stopped.committed()).toBe(4);
});

it('commits no record that was polled and not taken when it stopped', async () => {
  const { engine, outputs, committed } = await engineOn(['a', null, 'wait', 'b', null], 1e9);
  await expect.poll(outputs, { interval: 5 }).toBe(1);
  await expect.poll(() => engine.status()[0]?.phase, { interval: 5 }).toBe('waiting');
  await engine.stop();
  expect(await committed()).toBe(2);
  expect(await outputs()).toBe(1);
});
