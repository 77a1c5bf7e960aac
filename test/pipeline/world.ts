import { afterEach } from 'vitest';
import { decode, encodeRecord } from '../../src/events/codec.ts';
import type { ModelEvent, Score } from '../../src/events/records.ts';
import type { EventLog, LogRecord, OutRecord } from '../../src/log/event-log.ts';
import { MemoryLog } from '../../src/log/memory/memory-log.ts';
import { partitionFor } from '../../src/log/partitioner.ts';
import { Random } from '../../src/models/random.ts';
import { forecastingTopology } from '../../src/pipelines/forecasting.ts';
import { ModelRegistry } from '../../src/pipelines/model-registry.ts';
import { pipelineConfig } from '../../src/pipelines/pipeline-config.ts';
import { type TopicSettings, topicSpecs } from '../../src/pipelines/topics.ts';
import { Learner, type LearnerOptions } from '../../src/retraining/learner.ts';
import { Engine } from '../../src/topology/engine.ts';
import { HOUR, reading } from '../readings.ts';

/** A small fleet on the memory log, with the pipeline running on it: for tests of what is made of its outputs. */
export const T0 = Date.UTC(2026, 0, 1);
export const shape = { lookback: 24, horizon: 6, season: 12 };
export const config = pipelineConfig({ shape, flushEvery: 1000, idle: 6 * HOUR });
export const { topics } = config;
export const PARTITIONS = 2;

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.stop();
});

export interface World {
  readonly log: EventLog;
  readonly registry: ModelRegistry;
  readonly engine: Engine;
  /** The one that was started last. */
  learner?: Learner;
  hour: number;
}

/** @param log it is closed at the end */
export async function newWorld(
  log: EventLog = new MemoryLog(),
  retention: Partial<TopicSettings> = {},
): Promise<World> {
  open.push({ stop: () => log.close() });
  await log.ensureTopics(topicSpecs(topics, { ...retention, partitions: PARTITIONS }));
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
export async function play(world: World, hours: number, season: (hour: number) => number): Promise<void> {
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

export async function startLearner(world: World, change: Partial<LearnerOptions> = {}): Promise<Learner> {
  const { log, registry } = world;
  let now = T0;
  const learner = new Learner({
    log,
    topics,
    registry,
    windows: config,
    name: 'default',
    triggers: { firstAfter: 150, every: 0, driftAfter: 80 },
    trial: { least: 30, most: 90, margin: 0, significance: 0.05, looks: 4 },
    request: { family: 'ridge' },
    now: () => ++now,
    memberId: 'learner',
    pollMs: 10,
    retryMs: 10,
    ...change,
  });
  await learner.start();
  open.push(learner);
  world.learner = learner;
  return learner;
}

export async function events(log: EventLog): Promise<ModelEvent[]> {
  return (await everything(log, topics.modelEvents, 0)).map(({ value }) => decode<ModelEvent>('ModelEvent', value!));
}

/** To the end as of now: one read need not give all that there is. */
async function everything(log: EventLog, topic: string, partition: number): Promise<LogRecord[]> {
  const { earliest, end } = await log.offsets(topic, partition);
  const found: LogRecord[] = [];
  for (let next = earliest; next < end; ) {
    const batch = await log.read(topic, partition, next, { maxRecords: 100_000, maxBytes: 1e9 });
    found.push(...batch.records);
    next = batch.nextOffset;
  }
  return found;
}

export async function kinds(log: EventLog): Promise<string[]> {
  return (await events(log)).map(({ kind }) => kind);
}

export async function all<T>(log: EventLog, topic: string, type: 'Forecast' | 'Score'): Promise<T[]> {
  const found: T[] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const records = await everything(log, topic, partition);
    found.push(...records.map(({ value }) => decode<T & object>(type, value!)));
  }
  return found;
}

export async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Waits until the learner has seen all that there is and rests. */
async function settled({ learner }: World): Promise<void> {
  const before = learner?.status().rounds ?? 0;
  await until(async () => {
    const { state, rounds } = learner?.status() ?? { state: 'stopped', rounds: 0 };
    return state === 'stopped' || (state === 'waiting' && rounds >= before + 2);
  });
}

/** Plays on, a day at a time, with the learner in step, until the events are as wanted. */
export async function playUntil(
  world: World,
  most: number,
  wave: (hour: number) => number,
  done: () => Promise<boolean>,
) {
  for (let played = 0; played < most && !(await done()); played += 12) {
    await play(world, 12, wave);
    await settled(world);
  }
}

/** A world whose learner has brought a model into use, some days ago; nothing runs in it any more. */
export async function livedIn(): Promise<World> {
  const world = await newWorld();
  const learner = await startLearner(world);
  await playUntil(
    world,
    300,
    () => 12,
    async () => (await kinds(world.log)).includes('promoted'),
  );
  await play(world, 60, () => 12);
  await learner.stop();
  await world.engine.stop();
  return world;
}

/** Mean absolute error of what was served, by time. */
export async function servedError(log: EventLog, from: number, to: number): Promise<number> {
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
