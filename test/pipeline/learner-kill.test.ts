import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { decode, schemaOf } from '../../src/events/codec.ts';
import type { ModelEvent } from '../../src/events/records.ts';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { Random } from '../../src/models/random.ts';
import { ModelRegistry } from '../../src/pipelines/model-registry.ts';
import { pipelineConfig } from '../../src/pipelines/pipeline-config.ts';
import { topicSpecs } from '../../src/pipelines/topics.ts';
import { importHistory } from '../../src/retraining/history-import.ts';
import { HOUR } from '../readings.ts';

const T0 = Date.UTC(2026, 0, 1);
const settings = { shape: { lookback: 24, horizon: 6, season: 12 } };
const config = pipelineConfig(settings);
const { topics } = config;
const PARTITIONS = 3;
const children: ChildProcess[] = [];
const folders: string[] = [];

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Runs a learner until it says a line that begins so; kills it there. */
function runUntil(folder: string, member: string, line: string): Promise<void> {
  const script = fileURLToPath(new URL('./learner-process.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, folder, member, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (text.split('\n').some((said) => said.startsWith(line))) child.kill('SIGKILL');
  });
  return new Promise((resolve) => child.on('close', () => resolve()));
}

async function events(log: EventLog): Promise<ModelEvent[]> {
  const { records } = await log.read(topics.modelEvents, 0, 0, { maxRecords: 1000 });
  return records.map(({ value }) => decode<ModelEvent>('ModelEvent', value!));
}

describe('a learner that is killed', () => {
  it('is followed by one that goes on, at every step of its work; nothing is done twice', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fleetcast-learner-'));
    folders.push(folder);
    const log = await openEmbeddedLog({ path: folder });
    await log.ensureTopics(topicSpecs(topics, { partitions: PARTITIONS }));
    const random = new Random(1);
    await importHistory(
      { log, topics, now: () => T0, interval: HOUR, segment: config.segment },
      Array.from({ length: 400 * 3 }, (_, i) => {
        const hour = Math.floor(i / 3);
        const value = Math.sin((hour / 12) * 2 * Math.PI + i) + 0.1 * random.normal();
        return { device: `pump${i % 3}`, quantity: 'level', time: T0 + hour * HOUR, value };
      }),
    );
    const steps = [
      'ready',
      'event requested',
      'stage reading',
      'stage training',
      'stage evaluating',
      'event trained',
      'event promoted',
    ];
    for (const [n, step] of steps.entries()) await runUntil(folder, `learner-${n}`, step);
    const kinds = (await events(log)).map(({ kind }) => kind);
    expect(kinds).toEqual(['requested', 'trained', 'promoted']);
    expect(await new ModelRegistry({ log, topic: topics.models }).list()).toHaveLength(1);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const { records } = await log.read(topics.readings, partition, 0, { maxRecords: 100 });
      expect(records.map(({ value }) => schemaOf(value!))).toEqual(['Activation']);
    }
    await log.close();
  }, 120_000);
});
