import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { decodeRecord } from '../events/codec.ts';
import type { DeadLetter } from '../events/records.ts';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import { jsonCodec } from '../state/json-codec.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine } from './engine.ts';
import type { ErrorPolicy, SourceCodec } from './topology.ts';
import { tumbling } from './windows/window-spec.ts';

/** Text that says how large the output is to be. */
const size: SourceCodec<number> = {
  decode: ({ timestamp, value }) => ({ kind: 'record', value: JSON.parse(String(value)) as number, time: timestamp }),
};

it('dead-letters what the log would not take, its own letters cut to what it does, and goes on', async () => {
  const path = mkdtempSync(join(tmpdir(), 'fleetcast-large-'));
  const log = await openEmbeddedLog({ path, maxRecordBytes: 1000 });
  await log.ensureTopics(
    ['in', 'out', 'dead-letters'].map((name) => ({ name, partitions: 1, cleanup: 'delete' as const })),
  );
  const run = async (group: string, onError: ErrorPolicy) => {
    const builder = new TopologyBuilder('sizes');
    builder
      .source('in', { topic: 'in', codec: size })
      .sink('out', { topic: 'out', onError, encode: ({ key, value }) => ({ key, value: Buffer.alloc(value) }) });
    const engine = new Engine({ log, topology: builder.build(), group, until: new Map([['in/0', 3]]) });
    await engine.start();
    await engine.finished().finally(() => engine.stop());
  };
  for (const text of ['5000', 'x'.repeat(990), '10']) {
    await log.append([{ topic: 'in', partition: 0, timestamp: 1, key: Buffer.from('k'), value: Buffer.from(text) }]);
  }
  await run('letters', 'dead-letter');
  const read = async (topic: string) => (await log.read(topic, 0, 0)).records.map(({ value }) => value!);
  expect((await read('out')).map(({ length }) => length)).toEqual([10]);
  const letters = (await read('dead-letters')).map((value) => decodeRecord(value) as DeadLetter);
  expect(letters.map(({ reason, cutFrom, payload }) => [reason, cutFrom, payload.length])).toEqual([
    ['encode-failed', 0, 4],
    ['undecodable', 990, 500],
  ]);
  expect(letters[0]!.message).toContain('the output has 5001 bytes, of which the log takes 1000');
  await expect(run('fails', 'fail')).rejects.toThrow('out failed at offset 0 (key k) of in/0');
  await log.close();
  rmSync(path, { recursive: true });
});

it('stops the task of a key whose state the log would not take, names both, and goes on with a larger limit', async () => {
  const path = mkdtempSync(join(tmpdir(), 'fleetcast-large-'));
  const text: SourceCodec<string> = {
    decode: ({ timestamp, value }) => ({ kind: 'record', value: String(value), time: timestamp }),
  };
  const run = async (maxRecordBytes: number) => {
    const log = await openEmbeddedLog({ path, maxRecordBytes });
    await log.ensureTopics(
      ['in', 'out', 'dead-letters'].map((name) => ({ name, partitions: 2, cleanup: 'delete' as const })),
    );
    if ((await log.offsets('in', 0)).end === 0) {
      const wordy = Array.from({ length: 8 }, (_, i) => ({ key: 'talker', partition: 0, value: `${i}`.repeat(200) }));
      const records = [{ key: 'quiet', partition: 1, value: 'hm' }, ...wordy];
      await log.append(
        records.map((record, i) => {
          const [key, value] = [Buffer.from(record.key), Buffer.from(record.value)];
          return { ...record, topic: 'in', timestamp: i, key, value };
        }),
      );
    }
    const until = new Map([0, 1].map((p) => [`in/${p}`, p === 0 ? 8 : 1]));
    const builder = new TopologyBuilder('words');
    builder
      .source('in', { topic: 'in', codec: text })
      .window(tumbling(60_000))
      .reduce('last', (a, b) => a + b, { codec: jsonCodec<string>(), emit: 'update' })
      .sink('out', {
        topic: 'out',
        encode: ({ key, value }) => ({ key, value: Buffer.from(`${value.value.length}`) }),
      });
    const batch = { maxRecords: 1, commitRecords: 1 };
    const engine = new Engine({ log, topology: builder.build(), group: 'g', until, batch, sweepLength: 1 });
    await engine.start();
    const failure = await engine.finished().then(
      () => undefined,
      (error: unknown) => error,
    );
    await expect.poll(() => engine.status()[1]!.phase).toBe('done');
    await engine.stop();
    const { records } = await log.read('out', 0, 0);
    await log.close();
    return { failure, outputs: records.map(({ value }) => Number(String(value))) };
  };
  const first = await run(1000);
  expect(first.failure).toMatchObject({ code: 'STATE_TOO_LARGE', details: { node: 'last', key: 'talker' } });
  expect((first.failure as Error).message).toMatch(
    /^task g\.in-0: the state of the key talker has \d+ bytes, of which the log takes 1000; \d+ of them are those of the node last \(last\/windows\)$/,
  );
  expect(first.outputs.length).toBeLessThan(8);
  const second = await run(10_000);
  expect(second.failure).toBeUndefined();
  expect(second.outputs).toEqual(Array.from({ length: 8 }, (_, i) => 200 * (i + 1)));
  rmSync(path, { recursive: true });
});
