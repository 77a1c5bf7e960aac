import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { deadLettersOf, readingsOf } from '../../test/bridge-kit.ts';
import { DEFAULT_MAPPING } from '../bridges/mapping/config.ts';
import { compileMapping } from '../bridges/mapping/mapping.ts';
import { RecordMaker } from '../bridges/mqtt/record-maker.ts';
import { openEmbeddedLog } from '../log/embedded/embedded-log.ts';
import { parseConfiguration } from './configuration/load.ts';
import { ensureOwnTopics } from './own-topics.ts';

const MAX = 24 * 1024 * 1024;
// Retention goes by the clock; the beginning of an hour, for what is counted by the hour.
const NOW = Math.floor(Date.now() / 3_600_000) * 3_600_000;
const RECORDS = { readings: { name: 'readings', partitions: 1 }, deadLetters: { name: 'dead-letters', partitions: 1 } };
const configuration = parseConfiguration('log: {embedded: {maxSize: 24MiB}}\ntopics: {partitions: 1}\n', 'f');

const message = (topic: string, text: string) => ({
  topic,
  payload: Buffer.from(text),
  retained: false,
  duplicate: false,
});

it('keeps room on the embedded log for those who send no rubbish', async () => {
  const path = mkdtempSync(join(tmpdir(), 'fleetcast-letters-'));
  const log = await openEmbeddedLog({ path, maxBytes: MAX });
  try {
    await ensureOwnTopics(log, configuration, { retention: 'keep' });
    const maker = new RecordMaker(compileMapping(DEFAULT_MAPPING), RECORDS, 900_000);
    const rubbish = `{${'x'.repeat(250_000)}`;
    for (let i = 0; i < 150; i++) {
      await log.append(maker.make(message('fleet/broken', rubbish), NOW + i));
      if (i % 10 === 9) await log.maintain();
    }
    for (let i = 0; i < 100; i++) await log.append(maker.make(message('fleet/honest', '{"t":1}'), NOW + i));
    expect(await readingsOf(log)).toHaveLength(100);
    const { length } = await deadLettersOf(log);
    expect(length).toBeGreaterThan(3);
    expect(length * 250_000).toBeLessThan(MAX / 16 + 11 * 250_000);
  } finally {
    await log.close();
    rmSync(path, { recursive: true, force: true });
  }
});

it('keeps less and less of the rubbish of one topic in an hour, and counts all of it', () => {
  const maker = new RecordMaker(compileMapping(DEFAULT_MAPPING), RECORDS, 900_000, 1_000_000);
  const rubbish = `{${'x'.repeat(100_000)}`;
  let bytes = 0;
  let cut = 0;
  let letters = 0;
  for (let i = 0; i < 1000; i++) {
    for (const { value } of maker.make(message('fleet/broken', rubbish), NOW + i)) {
      letters++;
      bytes += value!.length;
      if (value!.length < 10_000) cut++;
    }
  }
  expect([letters - cut, cut]).toEqual([4, expect.any(Number)]);
  expect(cut).toBeGreaterThan(100);
  expect(bytes).toBeLessThan(1_000_000);
  expect(maker.deadLetters.get('not-json')).toBe(letters);
  expect(maker.dropped.get('not-json')).toBe(1000 - letters);
  expect(maker.make(message('fleet/other', rubbish), NOW)[0]?.value?.length).toBeGreaterThan(100_000);
  expect(maker.make(message('fleet/broken', rubbish), NOW + 3_600_000)[0]?.value?.length).toBeGreaterThan(100_000);
});
