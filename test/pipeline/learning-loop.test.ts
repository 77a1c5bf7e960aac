import { describe, expect, it } from 'vitest';
import type { Forecast, Score } from '../../src/events/records.ts';
import { forecastingTopology } from '../../src/pipelines/forecasting.ts';
import { topicSpecs } from '../../src/pipelines/topics.ts';
import { activate } from '../../src/retraining/activate.ts';
import { Engine } from '../../src/topology/engine.ts';
import { ridgeArtefact, testModel } from '../readings.ts';
import {
  all,
  config,
  events,
  kinds,
  newWorld,
  PARTITIONS,
  play,
  playUntil,
  servedError,
  shape,
  startLearner,
  T0,
  topics,
  until,
} from './world.ts';

describe('the learning loop', () => {
  it('notices a season that changes, trains, tries and promotes, and a replay gives the same bytes', async () => {
    const world = await newWorld();
    const learner = await startLearner(world);
    const changesAt = 420;
    const wave = (hour: number) => (hour < changesAt ? 12 : 17);
    await playUntil(world, 300, wave, async () => (await kinds(world.log)).includes('promoted'));
    expect(await kinds(world.log)).toEqual(['requested', 'trained', 'promoted']);
    await play(world, changesAt - world.hour, wave);
    const calm = await servedError(world.log, 300, changesAt);
    await playUntil(
      world,
      1500,
      wave,
      async () => (await kinds(world.log)).filter((k) => k === 'promoted').length === 2,
    );
    const promotedAt = world.hour;
    // The error that rose was that of the model before.
    expect(learner.status().driftSince).toBeUndefined();
    expect((await kinds(world.log)).filter((kind) => kind === 'promoted')).toHaveLength(2);
    const story = await events(world.log);
    expect(story.some(({ kind, reason }) => kind === 'requested' && reason.includes('the error has risen since'))).toBe(
      true,
    );
    await play(world, 150, wave);
    const disturbed = await servedError(world.log, changesAt + 12, promotedAt);
    const after = await servedError(world.log, promotedAt + 12, world.hour);
    expect(disturbed).toBeGreaterThan(2 * calm);
    expect(after).toBeLessThan(1.5 * calm);

    // A second run over the same input.
    const outputs = [topics.forecasts, topics.scores, topics.alerts, topics.history, topics.deadLetters];
    const specs = topicSpecs(topics, { partitions: PARTITIONS }).filter(({ name }) => outputs.includes(name));
    await world.log.ensureTopics(specs.map((spec) => ({ ...spec, cleanup: 'delete', name: `second.${spec.name}` })));
    const ends = await Promise.all([0, 1].map(async (p) => (await world.log.offsets(topics.readings, p)).end));
    await until(async () =>
      world.engine.status().every(({ partition, inputs }) => inputs[0]!.offset === ends[partition]),
    );
    const second = new Engine({
      log: world.log,
      topology: forecastingTopology(config, world.registry),
      group: 'second',
      outputTopic: (topic) => `second.${topic}`,
      until: new Map(ends.map((end, p) => [`${topics.readings}/${p}`, end])),
    });
    await second.start();
    await second.finished();
    await second.stop();
    for (const topic of outputs) {
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const bytes = async (name: string) => {
          const { records } = await world.log.read(name, partition, 0, { maxRecords: 1e6, maxBytes: 1e9 });
          return records.map(({ value }) => Buffer.from(value!).toString('base64'));
        };
        expect(await bytes(`second.${topic}`)).toEqual(await bytes(topic));
      }
    }
    expect(new Set((await all<Forecast>(world.log, topics.forecasts, 'Forecast')).map(({ model }) => model)).size).toBe(
      4,
    );
  }, 300_000);

  it('rejects a poisoned challenger by its scores', async () => {
    const world = await newWorld();
    await startLearner(world);
    const wave = () => 12;
    await playUntil(world, 300, wave, async () => (await kinds(world.log)).includes('promoted'));
    const champion = (await events(world.log)).at(-1)!.modelId;
    const poisoned = testModel(ridgeArtefact(3, shape, { scaler: { kind: 'rolling', length: 84, series: new Map() } }));
    const { id, bytes } = poisoned.encoded;
    await world.log.append([{ topic: topics.models, partition: 0, timestamp: T0, key: Buffer.from(id), value: bytes }]);
    const desk = { log: world.log, topics, now: () => T0 + 1e6 };
    await activate({ ...desk, name: 'default', modelId: id, role: 'challenger', reason: 'by hand' });
    await playUntil(world, 300, wave, async () => (await kinds(world.log)).includes('rejected'));
    expect((await kinds(world.log)).slice(-2)).toEqual(['shadowed', 'rejected']);
    expect((await events(world.log)).at(-1)!.reason).toMatch(/^champion-better: MAE /);
    await play(world, 24, wave);
    const forecasts = await all<Forecast>(world.log, topics.forecasts, 'Forecast');
    expect(forecasts.some(({ model }) => model === `ridge:${id}`)).toBe(false);
    expect(await championOf(world)).toBe(`ridge:${champion}`);
  }, 300_000);

  it('rolls back a champion that does worse than the one before it', async () => {
    const world = await newWorld();
    await startLearner(world);
    const wave = () => 12;
    await playUntil(world, 300, wave, async () => (await kinds(world.log)).includes('promoted'));
    const good = (await events(world.log)).at(-1)!.modelId;
    const bad = testModel(
      ridgeArtefact(4, shape, { scaler: { kind: 'rolling', length: 84, series: new Map() } }),
    ).encoded;
    const desk = { log: world.log, topics, now: () => T0 + 1e6 };
    await world.log.append([
      { topic: topics.models, partition: 0, timestamp: T0, key: Buffer.from(bad.id), value: bad.bytes },
    ]);
    await activate({ ...desk, name: 'default', modelId: bad.id, role: 'champion', reason: 'by hand', shadow: good });
    await playUntil(world, 300, wave, async () => (await kinds(world.log)).includes('rolled_back'));
    expect((await events(world.log)).at(-1)).toMatchObject({ kind: 'rolled_back', modelId: good });
    await play(world, 12, wave);
    expect(await championOf(world)).toBe(`ridge:${good}`);
  }, 300_000);
});

/** The champion as the newest score names it: what goes out may be a naive forecast that is better on the series. */
async function championOf(world: Awaited<ReturnType<typeof newWorld>>): Promise<string | undefined> {
  const scores = await all<Score>(world.log, topics.scores, 'Score');
  return scores.at(-1)!.entries.find(({ role, step }) => role === 'champion' && step === 1)?.model;
}
