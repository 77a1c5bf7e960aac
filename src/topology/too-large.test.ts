import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { decodeRecord } from '../events/codec.ts';
import type { DeadLetter } from '../events/records.ts';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import { TopologyBuilder } from './builder.ts';
import { Engine } from './engine.ts';
import type { ErrorPolicy, SourceCodec } from './topology.ts';

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
