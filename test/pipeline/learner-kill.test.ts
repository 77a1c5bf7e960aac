import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import {
  activationsIn,
  continueAZombie,
  type Mortal,
  mortalLearners,
  TRAINING,
  tryPoorModels,
} from './learner-kills.ts';
import { kinds, newWorld, play, until } from './world.ts';

const folders: string[] = [];
const { learnersOn, killAll } = mortalLearners();

afterAll(() => {
  killAll();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-learner-'));
  folders.push(folder);
  return folder;
}

function stepsOf(what: string): string[] {
  return ['reading', 'training', 'evaluating'].includes(what) ? [`stage ${what}`] : [`before ${what}`, `after ${what}`];
}

async function dieAtEach({ dieAt }: Mortal, whats: readonly string[]): Promise<void> {
  for (const step of whats.flatMap(stepsOf)) await dieAt(step);
}

describe('a learner that is killed', () => {
  it('is followed by one that goes on, at every step of its work; nothing is done twice', async () => {
    const path = newFolder();
    const world = await newWorld(await openEmbeddedLog({ path }));
    const { log } = world;
    const learners = learnersOn({ path });
    const wave = (hour: number) => (hour < 300 ? 12 : 17);

    await play(world, 180, wave);
    await dieAtEach(learners, [...TRAINING, 'promoted']);
    expect(await kinds(log)).toEqual(['requested', 'trained', 'promoted']);

    await play(world, 320, wave);
    await dieAtEach(learners, [...TRAINING, 'shadowed']);
    await play(world, 100, wave);
    await dieAtEach(learners, ['promoted']);
    await play(world, 100, wave);
    await dieAtEach(learners, ['retired']);

    const story = ['requested', 'trained', 'promoted', 'requested', 'trained', 'shadowed', 'promoted'];
    expect(await kinds(log)).toEqual([...story, 'shadowed', 'retired']);
    const ids = (await world.registry.list()).map(({ id }) => id);
    expect(ids).toHaveLength(2);
    await activationsIn(world, [
      ['champion', ids[0]!],
      ['challenger', ids[1]!],
      ['champion', ids[1]!],
      ['challenger', ids[0]!],
      ['challenger', ''],
    ]);
  }, 240_000);

  it('rejects and rolls back once, wherever it dies', async () => {
    const path = newFolder();
    const world = await newWorld(await openEmbeddedLog({ path }));
    const learners = learnersOn({ path });
    await play(world, 180, () => 12);
    await learners.dieAt('after promoted');
    const [champion] = await world.registry.list();
    const before = { sofar: [['champion', champion!.id] as const], wave: () => 12 };
    await tryPoorModels(world, before, (what) => dieAtEach(learners, [what]));
  }, 120_000);

  it.skipIf(process.platform !== 'linux')(
    'is not heard when it comes back after another has taken over',
    async () => {
      const path = newFolder();
      const world = await newWorld(await openEmbeddedLog({ path }));
      await play(world, 180, () => 12);
      await continueAZombie(world, learnersOn({ path }));
    },
    60_000,
  );

  it('works alone, however many processes there are', async () => {
    const path = newFolder();
    const world = await newWorld(await openEmbeddedLog({ path }));
    const { log } = world;
    const { start } = learnersOn({ path });
    const running = [1, 2, 3].map(() => start('never'));
    await play(world, 180, () => 12);
    await until(async () => (await kinds(log)).includes('promoted'));
    for (const { child } of running) child.kill('SIGKILL');
    await Promise.all(running.map(({ ended }) => ended));
    expect(await kinds(log)).toEqual(['requested', 'trained', 'promoted']);
    const [one] = await world.registry.list();
    await activationsIn(world, [['champion', one!.id]]);
  }, 60_000);
});
