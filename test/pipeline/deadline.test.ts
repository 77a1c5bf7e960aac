import { expect, it } from 'vitest';
import { all, events, kinds, newWorld, play, startLearner, T0, topics, until } from './world.ts';

/** Far more steps than a test can wait for. */
const endless = { request: { settings: { width: 8, epochs: 100_000, maxSteps: 1e9, seed: 1 } } };
const wave = () => 12;

it('gives a training up that goes on beyond its deadline, and the stream goes on', async () => {
  const world = await newWorld();
  await startLearner(world, { ...endless, deadlineMs: 1500 });
  await play(world, 200, wave);
  await until(async () => (await kinds(world.log)).includes('failed'));
  const [, failed] = await events(world.log);
  expect(failed).toMatchObject({ kind: 'failed', details: expect.stringContaining('had not ended by its deadline') });
  const before = (await all(world.log, topics.forecasts, 'Forecast')).length;
  await play(world, 24, wave);
  expect((await all(world.log, topics.forecasts, 'Forecast')).length).toBeGreaterThan(before);
});

it('gives a training up that a dead learner has left behind for longer than the deadline', async () => {
  const world = await newWorld();
  const first = await startLearner(world, endless);
  await play(world, 200, wave);
  // The request is on the log before the training begins.
  await until(async () => first.status().state === 'training');
  await first.stop();
  expect(await kinds(world.log)).toEqual(['requested']);
  await startLearner(world, { ...endless, deadlineMs: 60_000, now: () => T0 + 120_000, memberId: 'second' });
  await until(async () => (await kinds(world.log)).includes('failed'));
  expect((await events(world.log))[1]).toMatchObject({
    kind: 'failed',
    details: expect.stringContaining('had not ended by its deadline'),
  });
});
