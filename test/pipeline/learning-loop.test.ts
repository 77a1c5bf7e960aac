import { afterEach, describe, expect, it } from 'vitest';
import { decode, encodeRecord } from '../../src/events/codec.ts';
import type { Forecast, ModelEvent, Score } from '../../src/events/records.ts';
import type { EventLog, OutRecord } from '../../src/log/event-log.ts';
import { MemoryLog } from '../../src/log/memory/memory-log.ts';
import { partitionFor } from '../../src/log/partitioner.ts';
import { Random } from '../../src/models/random.ts';
import { forecastingTopology } from '../../src/pipelines/forecasting.ts';
import { ModelRegistry } from '../../src/pipelines/model-registry.ts';
import { pipelineConfig } from '../../src/pipelines/pipeline-config.ts';
import { topicSpecs } from '../../src/pipelines/topics.ts';
import { activate } from '../../src/retraining/activate.ts';
import { Learner, type LearnerOptions } from '../../src/retraining/learner.ts';
import { Engine } from '../../src/topology/engine.ts';
import { HOUR, reading, ridgeArtefact, testModel } from '../readings.ts';

const T0 = Date.UTC(2026, 0, 1);
const shape = { lookback: 24, horizon: 6, season: 12 };
const config = pipelineConfig({ shape, flushEvery: 1000, idle: 6 * HOUR });
const { topics } = config;
const PARTITIONS = 2;

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.stop();
});

interface World {
  readonly log: EventLog;
  readonly registry: ModelRegistry;
  readonly engine: Engine;
  hour: number;
}

async function newWorld(): Promise<World> {
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: PARTITIONS }));
  const registry = new ModelRegistry({ log, topic: topics.models });
  const engine = new Engine({ log, topology: forecastingTopology(config, registry), group: 'live' });
  await engine.start();
  open.push(engine);
  return { log, registry, engine, hour: 0 };
}

/**
 * Plays hours of six pumps whose level follows a season of `season` hours, and waits until all is forecast and in the
 * history: event time and the learner keep step.
 */
async function play(world: World, hours: number, season: (hour: number) => number): Promise<void> {
  const records: OutRecord[] = [];
  for (const end = world.hour + hours; world.hour < end; world.hour++) {
    const random = new Random(world.hour);
    const time = T0 + world.hour * HOUR;
    for (let d = 0; d < 6; d++) {
      const device = `pump${d}`;
      const wave = season(world.hour);
      const value = 10 * d + 3 * Math.sin((world.hour / wave) * 2 * Math.PI + d) + 0.2 * random.normal();
      const partition = partitionFor(device, PARTITIONS);
      records.push(out(partition, time, device, encodeRecord(reading(device, time, { level: value }))));
    }
    for (let partition = 0; partition < PARTITIONS; partition++) {
      records.push(out(partition, time + 2000, null, encodeRecord({ type: 'Tick', time: time + 2000 })));
    }
  }
  const ends = await world.log.append(records);
  const wanted = new Map<number, number>();
  records.forEach(({ partition }, i) => {
    wanted.set(partition, ends[i]!);
  });
  await until(async () =>
    world.engine.status().every(({ partition, inputs }) => inputs[0]!.offset > wanted.get(partition)!),
  );
}

function out(partition: number, timestamp: number, key: string | null, value: Uint8Array): OutRecord {
  return { topic: topics.readings, partition, timestamp, key: key === null ? null : Buffer.from(key), value };
}

async function startLearner({ log, registry }: World, change: Partial<LearnerOptions> = {}): Promise<Learner> {
  let now = T0;
  const learner = new Learner({
    log,
    topics,
    registry,
    windows: config,
    name: 'default',
    triggers: { firstAfter: 150, every: 0, driftAfter: 80 },
    trial: { least: 30, most: 90, margin: 0, significance: 0.05 },
    request: { family: 'ridge' },
    now: () => ++now,
    memberId: 'learner',
    pollMs: 10,
    retryMs: 10,
    ...change,
  });
  await learner.start();
  open.push(learner);
  return learner;
}

async function events(log: EventLog): Promise<ModelEvent[]> {
  const { records } = await log.read(topics.modelEvents, 0, 0, { maxRecords: 10_000 });
  return records.map(({ value }) => decode<ModelEvent>('ModelEvent', value!));
}

async function kinds(log: EventLog): Promise<string[]> {
  return (await events(log)).map(({ kind }) => kind);
}

async function all<T>(log: EventLog, topic: string, type: 'Forecast' | 'Score'): Promise<T[]> {
  const found: T[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { records } = await log.read(topic, partition, 0, { maxRecords: 1e6, maxBytes: 1e9 });
    found.push(...records.map(({ value }) => decode<T & object>(type, value!)));
  }
  return found;
}

async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Plays on, a day at a time, until the events are as wanted. */
async function playUntil(world: World, most: number, wave: (hour: number) => number, done: () => Promise<boolean>) {
  for (let played = 0; played < most && !(await done()); played += 12) {
    await play(world, 12, wave);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
}

/** Mean absolute error of what was served, by time. */
async function servedError(log: EventLog, from: number, to: number): Promise<number> {
  let sum = 0;
  let count = 0;
  for (const { time, actual, entries } of await all<Score>(log, topics.scores, 'Score')) {
    if (time < T0 + from * HOUR || time >= T0 + to * HOUR) continue;
    for (const { role, value } of entries) {
      if (role !== 'champion') continue;
      sum += Math.abs(actual - value);
      count++;
    }
  }
  return sum / count;
}

describe('the learning loop', () => {
  it('notices a season that changes, trains, tries and promotes, and a replay gives the same bytes', async () => {
    const world = await newWorld();
    await startLearner(world);
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
  }, 60_000);

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
    expect(forecasts.at(-1)!.model).toBe(`ridge:${champion}`);
  }, 60_000);

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
    expect((await all<Forecast>(world.log, topics.forecasts, 'Forecast')).at(-1)!.model).toBe(`ridge:${good}`);
  }, 60_000);
});
