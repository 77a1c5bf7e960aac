import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { decode, schemaOf } from '../../src/events/codec.ts';
import type { Activation, Score } from '../../src/events/records.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { activate } from '../../src/retraining/activate.ts';
import { readModelLine } from '../../src/retraining/model-line.ts';
import { newRequest, publishTrained, requestedEvent } from '../../src/retraining/train.ts';
import { HOUR, ridgeArtefact, testModel } from '../readings.ts';
import { all, events, kinds, PARTITIONS, play, shape, T0, topics, until, type World } from './world.ts';

/** Learners in processes of their own that kill themselves at a step of their work; see `learner-process.mjs`. */

const configuration = JSON.stringify({ shape, flushEvery: 1000, idle: 6 * HOUR });
const options = JSON.stringify({
  triggers: { firstAfter: 150, every: 0, driftAfter: 80 },
  trial: { least: 30, most: 90, margin: 0, significance: 0.05, looks: 4 },
  request: { settings: { width: 8, maxSteps: 60, seed: 1 } },
  checkpointMs: 0,
});

/** Steps of a training, in their order. */
export const TRAINING = ['flush', 'requested', 'reading', 'training', 'checkpoint', 'evaluating', 'trained'];

type Place = { readonly path: string } | { readonly brokers: readonly string[]; readonly prefix: string };

interface Started {
  readonly child: ChildProcess;
  /** The signal that ended it. */
  readonly ended: Promise<string | null>;
  /** What it has said so far. */
  text(): string;
}

export interface Mortal {
  start(step: string): Started;
  /**
   * Runs a learner until it kills itself at a step.
   * @param already whether the step has been done before, by one that died while it was: then the learner is ended.
   */
  dieAt(step: string, already?: () => Promise<boolean>): Promise<void>;
}

const PATIENCE_MS = 60_000;

export function mortalLearners() {
  const children: ChildProcess[] = [];
  const learnersOn = (place: Place): Mortal => {
    const start = (step: string): Started => {
      const script = fileURLToPath(new URL('./learner-process.mjs', import.meta.url));
      const args = [script, JSON.stringify(place), `learner-${children.length}`, step, configuration, options];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      children.push(child);
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      const ended = new Promise<string | null>((resolve) => child.on('close', (_code, signal) => resolve(signal)));
      return { child, ended, text: () => text };
    };
    const dieAt = async (step: string, already: () => Promise<boolean> = async () => false): Promise<void> => {
      const { child, ended } = start(step);
      let over = false;
      const end = ended.finally(() => {
        over = true;
      });
      const late = setTimeout(() => child.kill('SIGTERM'), PATIENCE_MS);
      await until(async () => over || (await already()));
      if (!over) child.kill('SIGKILL');
      expect([step, await end]).toEqual([step, 'SIGKILL']);
      clearTimeout(late);
    };
    return { start, dieAt };
  };
  return {
    learnersOn,
    killAll: () => {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}

export type ActivationText = readonly [role: Activation['role'], modelId: string];

/** Expects these activations and no others in every partition, and that the pipeline scores no model but the last champion. */
export async function activationsIn(world: World, expected: readonly ActivationText[]): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    expect(await activations(world.log, partition)).toEqual(expected.map(([role, id]) => `${role} ${id.slice(0, 8)}`));
  }
  const line = await readModelLine(world.log, topics.modelEvents, 'default');
  const champion = expected.findLast(([role]) => role === 'champion')![1];
  expect([line.champion, line.challenger, line.open, line.undecided]).toEqual([champion, '', undefined, undefined]);
  // What was forecast before the newest activation is scored up to a horizon later.
  await play(world, 3 * shape.horizon, () => 12);
  const scores = await all<Score>(world.log, topics.scores, 'Score');
  const newest = scores.filter(({ time }) => time >= T0 + (world.hour - shape.horizon) * HOUR);
  expect(newest.length).toBeGreaterThan(0);
  for (const { role, model } of newest.flatMap(({ entries }) => entries)) {
    if (role !== 'baseline') expect(`${role} ${model}`).toMatch(new RegExp(`^champion (\\w+:)?${champion}`));
  }
}

async function activations(log: EventLog, partition: number): Promise<string[]> {
  const found: string[] = [];
  const { earliest, end } = await log.offsets(topics.readings, partition);
  for (let next = earliest; next < end; ) {
    const batch = await log.read(topics.readings, partition, next, { maxRecords: 10_000, maxBytes: 1e9 });
    for (const { value } of batch.records) {
      if (schemaOf(value!) !== 'Activation') continue;
      const { role, modelId } = decode<Activation>('Activation', value!);
      found.push(`${role} ${modelId.slice(0, 8)}`);
    }
    next = batch.nextOffset;
  }
  return found;
}

/**
 * A learner is suspended when it has trained and is about to say so. Another takes over and does it; then the first goes
 * on where it was, and must not be heard.
 */
export async function continueAZombie(world: World, { start }: Mortal): Promise<void> {
  const { log } = world;
  const zombie = start('stop before trained');
  await until(async () => /\) T /.test(readFileSync(`/proc/${zombie.child.pid}/stat`, 'utf8')));
  expect(await kinds(log)).toEqual(['requested']);
  start('never');
  await until(async () => (await kinds(log)).includes('promoted'));
  zombie.child.kill('SIGCONT');
  await until(async () => zombie.text().trimEnd().endsWith('state standby'));
  expect(await kinds(log)).toEqual(['requested', 'trained', 'promoted']);
  const [one, ...others] = await world.registry.list();
  expect(others).toEqual([]);
  await activationsIn(world, [['champion', one!.id]]);
}

/**
 * Three poor models beside a good champion: one whose hold-out is bad, one in shadow, one that was made champion. The
 * learners have to reject two and roll back the third.
 * @param sofar the activations before them; the wave is the one that the champion knows
 * @param die runs learners that die around the commit of such an event, until it has been done
 */
export async function tryPoorModels(
  world: World,
  { sofar, wave }: { readonly sofar: readonly ActivationText[]; readonly wave: (hour: number) => number },
  die: (what: 'rejected' | 'rolled_back') => Promise<void>,
) {
  const { log } = world;
  const { champion } = await readModelLine(log, topics.modelEvents, 'default');
  const before = await kinds(log);
  const desk = { log, topics, now: () => T0 + 1e9 };
  const [first, second, third] = [5, 6, 7].map((seed) =>
    testModel(ridgeArtefact(seed, shape, { scaler: { kind: 'rolling', length: 84, series: new Map() } })),
  );

  const request = await newRequest(desk, { reason: 'poor', family: 'ridge' });
  await log.appendAtomically([requestedEvent(desk, request)]);
  const row = (name: string, mae: number) => ({ name, mse: mae, mae, maeByStep: [], labels: 1 });
  const evaluation = { windows: 1, rows: [row('model', 9), row('last-value', 2), row('seasonal-naive', 1)] };
  await publishTrained(desk, request, { ...first!, ...first!.encoded, evaluation, cpuMs: 0 });
  await die('rejected');

  for (const { id, bytes } of [second!.encoded, third!.encoded]) {
    await log.append([{ topic: topics.models, partition: 0, timestamp: T0, key: Buffer.from(id), value: bytes }]);
  }
  const byHand = { ...desk, name: 'default', reason: 'by hand' };
  const [b, c] = [second!.encoded.id, third!.encoded.id];
  await activate({ ...byHand, modelId: b, role: 'challenger' });
  await play(world, 110, wave);
  await die('rejected');

  await activate({ ...byHand, modelId: c, role: 'champion', shadow: champion });
  await play(world, 110, wave);
  await die('rolled_back');

  const story = ['requested', 'trained', 'rejected', 'shadowed', 'rejected', 'promoted', 'shadowed', 'rolled_back'];
  expect(await kinds(log)).toEqual([...before, ...story]);
  expect((await events(log)).slice(-story.length).map(({ modelId }) => modelId.slice(0, 8))).toEqual(
    ['', first!.encoded.id, first!.encoded.id, b, b, c, champion, champion].map((id) => id.slice(0, 8)),
  );
  await activationsIn(world, [
    ...sofar,
    ['challenger', b],
    ['challenger', ''],
    ['champion', c],
    ['challenger', champion],
    ['champion', champion],
    ['challenger', ''],
  ]);
}
