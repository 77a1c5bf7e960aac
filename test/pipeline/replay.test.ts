import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRecord } from '../../src/events/codec.ts';
import type { FleetRecord } from '../../src/events/records.ts';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import type { EventLog, OutRecord } from '../../src/log/event-log.ts';
import { partitionFor } from '../../src/log/partitioner.ts';
import { Random } from '../../src/models/random.ts';
import { pipelineConfig } from '../../src/pipelines/pipeline-config.ts';
import { topicSpecs } from '../../src/pipelines/topics.ts';
import { activation, HOUR, reading, ridgeArtefact, testModel } from '../readings.ts';

const T0 = Date.UTC(2026, 0, 1);
const shape = { lookback: 24, horizon: 6, season: 12 };
const settings = { shape, idle: 6 * HOUR, correctFor: 6 * HOUR, flushEvery: 5 * HOUR };
const config = pipelineConfig(settings);
const { topics } = config;
const PARTITIONS = 2;
const models = [1, 2].map((seed) => testModel(ridgeArtefact(seed, shape)));
const groups = ['undisturbed', 'killed', 'second'];

let folder: string;
let log: EventLog;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fleetcast-replay-'));
  log = await openEmbeddedLog({ path: folder });
  const specs = topicSpecs(topics, { partitions: PARTITIONS });
  const outputs = specs.filter(({ name }) => ![topics.readings, topics.models, topics.state].includes(name));
  await log.ensureTopics([
    ...specs,
    ...groups.flatMap((group) =>
      outputs.map((spec) => ({ ...spec, cleanup: 'delete' as const, name: `${group}.${spec.name}` })),
    ),
  ]);
  await log.append(
    models.map(({ encoded: { id, bytes } }) => {
      return { topic: topics.models, partition: 0, timestamp: T0, key: Buffer.from(id), value: bytes };
    }),
  );
  await log.append(input());
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await log?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Six devices, out of order, with duplicates and gaps; two models, each put into use somewhere in the middle. */
function input(): OutRecord[] {
  const random = new Random(7);
  const records: OutRecord[] = [];
  const add = (partition: number, timestamp: number, key: string | null, value: FleetRecord) =>
    records.push({
      topic: topics.readings,
      partition,
      timestamp,
      key: key === null ? null : Buffer.from(key),
      value: encodeRecord(value),
    });
  for (let step = 0; step < 400; step++) {
    const ingest = T0 + step * HOUR;
    for (let d = 0; d < 6; d++) {
      if (random.uniform() < 0.05) continue;
      const device = `pump${d}`;
      const time = ingest - (random.uniform() < 0.05 ? 3 * HOUR : 0) + d;
      const value = 20 + d + 4 * Math.sin((step / 12) * 2 * Math.PI) + random.normal();
      const partition = partitionFor(device, PARTITIONS);
      add(partition, ingest, device, reading(device, time, { a: value, b: -value }));
      if (random.uniform() < 0.05) add(partition, ingest, device, reading(device, time, { a: value, b: -value }));
    }
    for (let partition = 0; partition < PARTITIONS; partition++) {
      add(partition, ingest + 1, null, { type: 'Tick', time: ingest + 1 });
      if (step === 150) add(partition, ingest, null, activation(models[0]!.encoded.id));
      if (step === 200) add(partition, ingest, null, activation(models[1]!.encoded.id, 'challenger'));
      if (step === 250 + partition) add(partition, ingest, null, activation(models[1]!.encoded.id));
    }
  }
  return records;
}

/** Runs the process, which kills itself when it has committed `killAt` times. @returns whether it came to its end */
function run(group: string, killAt = Number.POSITIVE_INFINITY): Promise<boolean> {
  const script = fileURLToPath(new URL('./replay-process.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, folder, group, JSON.stringify(settings), `${killAt}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return new Promise((resolve) => child.on('close', () => resolve(text.includes('done'))));
}

async function outputs(group: string): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const name of [topics.forecasts, topics.scores, topics.alerts, topics.history, topics.deadLetters]) {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const topic = `${group}.${name}`;
      const { end } = await log.offsets(topic, partition);
      const lines: string[] = [];
      for (let next = 0; next < end; ) {
        const batch = await log.read(topic, partition, next);
        for (const { timestamp, key, value } of batch.records) {
          lines.push(`${timestamp} ${Buffer.from(key ?? []).toString()} ${Buffer.from(value ?? []).toString('hex')}`);
        }
        next = batch.nextOffset;
      }
      found.set(`${name}/${partition}`, lines);
    }
  }
  return found;
}

describe('a replay of the log', () => {
  it('gives the same bytes after kill -9 in its middle, and in a second run', async () => {
    expect(await run('undisturbed')).toBe(true);
    const expected = await outputs('undisturbed');
    expect(expected.get(`${topics.forecasts}/0`)!.length).toBeGreaterThan(500);
    expect(expected.get(`${topics.forecasts}/1`)!.length).toBeGreaterThan(500);
    for (const commits of [3, 12, 7, 10]) expect(await run('killed', commits)).toBe(false);
    expect(await run('killed')).toBe(true);
    expect(await outputs('killed')).toEqual(expected);
    expect(await run('second')).toBe(true);
    expect(await outputs('second')).toEqual(expected);
  }, 300_000);
});
