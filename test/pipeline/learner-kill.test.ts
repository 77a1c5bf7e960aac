import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { decode, schemaOf } from '../../src/events/codec.ts';
import type { Activation } from '../../src/events/records.ts';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { readModelLine } from '../../src/retraining/model-line.ts';
import { HOUR } from '../readings.ts';
import { events, kinds, newWorld, PARTITIONS, play, shape, topics, until, type World } from './world.ts';

const configuration = JSON.stringify({ shape, flushEvery: 1000, idle: 6 * HOUR });
const options = JSON.stringify({
  triggers: { firstAfter: 150, every: 0, driftAfter: 80 },
  trial: { least: 30, most: 90, margin: 0, significance: 0.05, looks: 4 },
  request: { settings: { width: 8, maxSteps: 60, seed: 1 } },
  checkpointMs: 0,
});
const children: ChildProcess[] = [];
const folders: string[] = [];

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function startLearner(folder: string, step: string): { child: ChildProcess; ended: Promise<string | null> } {
  const script = fileURLToPath(new URL('./learner-process.mjs', import.meta.url));
  const member = `learner-${children.length}`;
  const child = spawn(process.execPath, [script, folder, member, step, configuration, options], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  children.push(child);
  return { child, ended: new Promise((resolve) => child.on('close', (_code, signal) => resolve(signal))) };
}

/** Runs a learner until it kills itself at a step. */
async function dieAt(folder: string, step: string): Promise<void> {
  const { child, ended } = startLearner(folder, step);
  const late = setTimeout(() => child.kill('SIGTERM'), 40_000);
  expect([step, await ended]).toEqual([step, 'SIGKILL']);
  clearTimeout(late);
}

async function activations(log: EventLog, partition: number): Promise<string[]> {
  const { records } = await log.read(topics.readings, partition, 0, { maxRecords: 1e6, maxBytes: 1e9 });
  return records
    .filter(({ value }) => schemaOf(value!) === 'Activation')
    .map(({ value }) => decode<Activation>('Activation', value!))
    .map(({ role, modelId }) => `${role} ${modelId.slice(0, 8)}`);
}

const TRAINING = ['flush', 'requested', 'reading', 'training', 'checkpoint', 'evaluating', 'trained'];

function stepsOf(what: string): string[] {
  return ['reading', 'training', 'evaluating'].includes(what) ? [`stage ${what}`] : [`before ${what}`, `after ${what}`];
}

describe('a learner that is killed', () => {
  it('is followed by one that goes on, at every step of its work; nothing is done twice', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fleetcast-learner-'));
    folders.push(folder);
    const log = await openEmbeddedLog({ path: folder });
    const world: World = await newWorld(log);
    const wave = (hour: number) => (hour < 300 ? 12 : 17);

    await play(world, 180, wave);
    for (const step of [...TRAINING, 'promoted'].flatMap(stepsOf)) await dieAt(folder, step);
    expect(await kinds(log)).toEqual(['requested', 'trained', 'promoted']);

    await play(world, 320, wave);
    for (const step of [...TRAINING, 'shadowed'].flatMap(stepsOf)) await dieAt(folder, step);
    await play(world, 100, wave);
    for (const step of stepsOf('promoted')) await dieAt(folder, step);
    await play(world, 100, wave);
    for (const step of stepsOf('retired')) await dieAt(folder, step);

    const story = ['requested', 'trained', 'promoted', 'requested', 'trained', 'shadowed', 'promoted'];
    expect(await kinds(log)).toEqual([...story, 'shadowed', 'retired']);
    const line = await readModelLine(log, topics.modelEvents, 'default');
    expect([line.challenger, line.open, line.undecided]).toEqual(['', undefined, undefined]);
    const [first, second] = (await events(log)).filter(({ kind }) => kind === 'trained').map(({ modelId }) => modelId);
    expect(line.champion).toBe(second);
    expect((await world.registry.list()).map(({ id }) => id)).toEqual([first, second]);
    const [a, b] = [first!.slice(0, 8), second!.slice(0, 8)];
    for (let partition = 0; partition < PARTITIONS; partition++) {
      expect(await activations(log, partition)).toEqual([
        `champion ${a}`,
        `challenger ${b}`,
        `champion ${b}`,
        `challenger ${a}`,
        'challenger ',
      ]);
    }
  }, 300_000);

  it('works alone, however many processes there are', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'fleetcast-learner-'));
    folders.push(folder);
    const log = await openEmbeddedLog({ path: folder });
    const world = await newWorld(log);
    const running = [1, 2, 3].map(() => startLearner(folder, 'never'));
    await play(world, 180, () => 12);
    await until(async () => (await kinds(log)).includes('promoted'));
    for (const { child } of running) child.kill('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
    expect(await kinds(log)).toEqual(['requested', 'trained', 'promoted']);
    for (let partition = 0; partition < PARTITIONS; partition++) {
      expect(await activations(log, partition)).toHaveLength(1);
    }
  }, 300_000);
});
