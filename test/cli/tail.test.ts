import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { DEFAULT_MAPPING } from '../../src/bridges/mapping/config.ts';
import { compileMapping } from '../../src/bridges/mapping/mapping.ts';
import { RecordMaker } from '../../src/bridges/mqtt/record-maker.ts';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import { cli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleetcast-tail-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('finds dead letters by the device and by the MQTT topic, also of messages that cannot be read', async () => {
  const path = join(folder, 'log');
  const log = await openEmbeddedLog({ path });
  const topic = { partitions: 1, cleanup: 'delete' } as const;
  await log.ensureTopics([
    { name: 'readings', ...topic },
    { name: 'dead-letters', ...topic },
  ]);
  const topics = { readings: { name: 'readings', ...topic }, deadLetters: { name: 'dead-letters', ...topic } };
  const maker = new RecordMaker(compileMapping(DEFAULT_MAPPING), topics, 1000);
  for (const device of ['pump 1', 'pump 2']) {
    const message = { topic: `fleet/${device}`, payload: Buffer.from('{'), retained: false, duplicate: false };
    await log.append(maker.make(message, Date.now()));
  }
  await log.close();
  const config = join(folder, 'f.yaml');
  writeFileSync(config, `log: {embedded: {path: ${path}}}\n`);
  const found = async (key: string) => {
    const { out } = await cli(['tail', 'dead-letters', '--config', config, '--from-start', '--key', key]);
    return out.map((line) => (JSON.parse(line) as { value: { device: string } }).value.device);
  };
  expect(await found('pump 1')).toEqual(['pump 1']);
  expect(await found('fleet/pump 2')).toEqual(['pump 2']);
  expect(await found('fleet')).toEqual([]);
});
