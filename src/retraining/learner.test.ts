import { afterEach, describe, expect, it } from 'vitest';
import { HOUR, reading, ridgeArtefact, testModel } from '../../test/readings.ts';
import { FleetcastError } from '../errors.ts';
import { decode, encodeRecord, schemaOf } from '../events/codec.ts';
import type { Forecast, ModelEvent, Score } from '../events/records.ts';
import type { EventLog, OutRecord, TaskWriter } from '../log/event-log.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { partitionFor } from '../log/partitioner.ts';
import { Random } from '../models/random.ts';
import type { ServedModel } from '../operators/served-model.ts';
import { forecastingTopology } from '../pipelines/forecasting.ts';
import { ModelRegistry } from '../pipelines/model-registry.ts';
import { pipelineConfig } from '../pipelines/pipeline-config.ts';
import { topicSpecs } from '../pipelines/topics.ts';
import { Engine } from '../topology/engine.ts';
import { activate } from './activate.ts';
import { Learner, type LearnerEvent, type LearnerOptions } from './learner.ts';
import { promote, retire, shadow } from './lifecycle.ts';
import { activationRecords, eventRecord, publish } from './publisher.ts';

const T0 = Date.UTC(2026, 0, 1);
const shape = { lookback: 24, horizon: 6, season: 12 };
const config = pipelineConfig({ shape, flushEvery: 500, idle: 6 * HOUR });
const { topics } = config;

const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.stop();
});

async function newLog(): Promise<MemoryLog> {
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: 2 }));
  return log;
}

/** Hours `from` to `to` of four devices with a daily cycle that is easy to learn. */
async function play(log: EventLog, from: number, to: number): Promise<void> {
  const random = new Random(from);
  const records = [];
  for (let hour = from; hour < to; hour++) {
    for (let d = 0; d < 4; d++) {
      const device = `device-${d}`;
      const value = 10 * d + 3 * Math.sin(((hour + d) / 12) * 2 * Math.PI) + 0.3 * random.normal();
      records.push({
        topic: topics.readings,
        partition: partitionFor(Buffer.from(device), 2),
        timestamp: T0 + hour * HOUR,
        key: Buffer.from(device),
        value: encodeRecord(reading(device, T0 + hour * HOUR, { level: value })),
      });
    }
    for (let partition = 0; partition < 2; partition++) {
      const time = T0 + hour * HOUR + 1000;
      records.push({
        topic: topics.readings,
        partition,
        timestamp: time,
        key: null,
        value: encodeRecord({ type: 'Tick', time }),
      });
    }
  }
  await log.append(records);
}

async function startEngine(log: EventLog, registry: ModelRegistry): Promise<Engine> {
  const engine = new Engine({ log, topology: forecastingTopology(config, registry), group: 'g' });
  await engine.start();
  open.push(engine);
  return engine;
}

function learnerOptions(log: EventLog, registry: ModelRegistry, change: Partial<LearnerOptions> = {}): LearnerOptions {
  let now = T0;
  return {
    log,
    topics,
    registry,
    windows: config,
    name: 'default',
    triggers: { firstAfter: 200, every: 0 },
    request: { family: 'ridge' },
    now: () => ++now,
    memberId: 'a',
    pollMs: 20,
    retryMs: 20,
    ...change,
  };
}

async function append(log: EventLog, ...models: readonly { id: string; bytes: Uint8Array }[]): Promise<void> {
  const at = { topic: topics.models, partition: 0, timestamp: 0 };
  await log.append(models.map(({ id, bytes }) => ({ ...at, key: Buffer.from(id), value: bytes })));
}

async function events(log: EventLog): Promise<ModelEvent[]> {
  const { records } = await log.read(topics.modelEvents, 0, 0, { maxRecords: 1000 });
  return records.map(({ value }) => decode<ModelEvent>('ModelEvent', value!));
}

async function forecasts(log: EventLog): Promise<Forecast[]> {
  const all: Forecast[] = [];
  for (const partition of [0, 1]) {
    const { records } = await log.read(topics.forecasts, partition, 0, { maxRecords: 100_000, maxBytes: 1e9 });
    all.push(...records.map(({ value }) => decode<Forecast>('Forecast', value!)));
  }
  return all;
}

/** Scores in which a model was in shadow. */
async function scoredWith(log: EventLog, id: string): Promise<number> {
  let count = 0;
  for (const partition of [0, 1]) {
    const { records } = await log.read(topics.scores, partition, 0, { maxRecords: 100_000, maxBytes: 1e9 });
    const scores = records.map(({ value }) => decode<Score>('Score', value!));
    count += scores.filter(({ entries }) => entries.some(({ model }) => model === `ridge:${id}`)).length;
  }
  return count;
}

async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 25));
}

describe('learner', () => {
  it('trains the first model when there is enough history, and puts it into use', async () => {
    const log = await newLog();
    const registry = new ModelRegistry({ log, topic: topics.models });
    await startEngine(log, registry);
    const learner = new Learner(learnerOptions(log, registry));
    await learner.start();
    open.push(learner);
    await play(log, 0, 190);
    await until(async () => learner.status().buckets > 150);
    expect(await events(log)).toEqual([]);
    await play(log, 190, 260);
    await until(async () => (await events(log)).length === 3);
    const kinds = (await events(log)).map(({ kind }) => kind);
    expect(kinds).toEqual(['requested', 'trained', 'promoted']);
    const [model] = await registry.list();
    expect(model!.artefact.metrics['test.mae']).toBeLessThan(model!.artefact.metrics['test.mae.seasonal-naive']!);
    expect(model!.artefact.training.ranges).toHaveLength(2);
    await play(log, 260, 300);
    await until(async () => (await forecasts(log)).filter(({ model: by }) => by === `ridge:${model!.id}`).length > 100);
    // The activation is in every partition, and nothing before it was forecast with the model.
    for (const partition of [0, 1]) {
      const { records } = await log.read(topics.readings, partition, 0, { maxRecords: 10_000 });
      const swap = records.filter(({ value }) => schemaOf(value!) === 'Activation');
      expect(swap).toHaveLength(1);
      const made = await log.read(topics.forecasts, partition, 0, { maxRecords: 100_000 });
      for (const { value } of made.records) {
        const { inputOffset, model: by } = decode<Forecast>('Forecast', value!);
        expect(by === `ridge:${model!.id}`).toBe(inputOffset > swap[0]!.offset);
      }
    }
  });

  it('goes on from the last event after it died', async () => {
    const log = await newLog();
    const registry = new ModelRegistry({ log, topic: topics.models });
    await startEngine(log, registry);
    await play(log, 0, 260);
    for (const dieAfter of ['requested', 'trained']) {
      const dying = new Learner(
        learnerOptions(log, registry, {
          memberId: dieAfter,
          log: failingAfter(log, dieAfter),
        }),
      );
      await dying.start();
      await until(async () => (await events(log)).at(-1)?.kind === dieAfter);
      await dying.stop();
    }
    const learner = new Learner(learnerOptions(log, registry));
    await learner.start();
    open.push(learner);
    await until(async () => (await events(log)).at(-1)?.kind === 'promoted');
    expect((await events(log)).map(({ kind }) => kind)).toEqual(['requested', 'trained', 'promoted']);
    expect(await registry.list()).toHaveLength(1);
  });

  it('lets one of several work, and another take over', async () => {
    const log = await newLog();
    const registry = new ModelRegistry({ log, topic: topics.models });
    await startEngine(log, registry);
    const first = new Learner(learnerOptions(log, registry, { memberId: 'first' }));
    const second = new Learner(learnerOptions(log, registry, { memberId: 'second' }));
    await first.start();
    await second.start();
    open.push(second);
    await until(async () => [first, second].filter((one) => one.status().state === 'waiting').length === 1);
    await play(log, 0, 260);
    await until(async () => (await events(log)).length === 3);
    await first.stop();
    await until(async () => second.status().state === 'waiting');
    expect((await events(log)).map(({ kind }) => kind)).toEqual(['requested', 'trained', 'promoted']);
  });

  it.each([
    { by: 'retires it', end: 'retired', champion: false },
    { by: 'promotes another', end: 'shadowed', champion: true },
  ])('heeds what is decided by hand while it is being compared: somebody $by', async ({ end, champion }) => {
    const log = await newLog();
    const other = testModel(ridgeArtefact(9, shape)).encoded;
    const topic = topics.models;
    const byHand = { log, topics, registry: new ModelRegistry({ log, topic }), now: () => T0, name: 'default', shape };
    const registry = loading(log, async (id) => {
      if ((await events(log)).length > 2) return;
      const key = Buffer.from(other.id);
      if (champion) await log.append([{ topic, partition: 0, timestamp: 0, key, value: other.bytes }]);
      await (champion ? promote(byHand, other.id) : retire(byHand, id));
    });
    await startEngine(log, byHand.registry);
    await play(log, 0, 260);
    const learner = new Learner(learnerOptions(log, registry));
    await learner.start();
    open.push(learner);
    await until(async () => (await events(log)).at(-1)?.kind === end);
    const { rounds } = learner.status();
    await until(async () => learner.status().rounds > rounds + 2);
    const all = (await events(log)).map(({ kind }) => kind);
    expect(all).toEqual(['requested', 'trained', ...(champion ? ['promoted'] : []), end]);
  });

  it('rejects a model that cannot be served, and goes on', async () => {
    const log = await newLog();
    const registry = loading(log, () => {
      throw new FleetcastError('MODEL_DISAGREES', 'computes something else');
    });
    await startEngine(log, new ModelRegistry({ log, topic: topics.models }));
    await play(log, 0, 260);
    const learner = new Learner(learnerOptions(log, registry));
    await learner.start();
    open.push(learner);
    await until(async () => (await events(log)).at(-1)?.kind === 'rejected');
    expect((await events(log)).at(-1)!.reason).toBe('MODEL_DISAGREES: computes something else');
    const { rounds } = learner.status();
    await until(async () => learner.status().rounds > rounds);
  });

  it('does not promote what somebody has retired while it was being judged', async () => {
    const log = await newLog();
    const data = new Float32Array(24 * 6);
    for (let h = 0; h < 6; h++)
      data.fill(0.5, (12 + h) * 6 + h, (12 + h) * 6 + h + 1).fill(0.5, h * 6 + h, h * 6 + h + 1);
    const weights = [{ name: 'ridge/kernel', shape: [24, 6], data }];
    const [poor, good] = [{}, { weights }].map((change) => testModel(ridgeArtefact(8, shape, change)).encoded);
    await append(log, poor!, good!);
    const registry = new ModelRegistry({ log, topic: topics.models });
    const desk = { log, topics, registry, now: () => T0, name: 'default', shape };
    await promote(desk, poor!.id);
    await shadow(desk, good!.id);
    await startEngine(log, registry);
    await play(log, 0, 400);
    await until(async () => (await scoredWith(log, good!.id)) > 1000);
    const slow = loading(log, async () => {
      if ((await events(log)).at(-1)!.kind === 'shadowed') await retire(desk, good!.id);
    });
    const triggers = { firstAfter: 1e6, every: 0 };
    const learner = new Learner(learnerOptions(log, slow, { triggers }));
    await learner.start();
    open.push(learner);
    await until(async () => learner.status().rounds > 2);
    expect((await events(log)).map(({ kind }) => kind)).toEqual(['promoted', 'shadowed', 'retired']);
  });

  it('ends a trial in which nothing is ever scored, and says so', async () => {
    const log = await newLog();
    const [old, other] = [8, 9].map((seed) => testModel(ridgeArtefact(seed, shape)).encoded);
    await append(log, old!, other!);
    const registry = new ModelRegistry({ log, topic: topics.models });
    const desk = { log, topics, registry, now: () => T0, name: 'default', shape };
    await startEngine(log, registry);
    await play(log, 0, 60);
    await until(async () => (await log.offsets(topics.scores, 0)).end > 50);
    await promote(desk, old!.id);
    // The event alone: the pipeline was never told, and makes no forecast with it.
    const scores = [0, 0];
    const event = { name: 'default', kind: 'shadowed', modelId: other!.id, time: T0, reason: '' } as const;
    await publish(desk, [eventRecord(topics, event, { scores })]);
    await play(log, 60, 400);
    const told: LearnerEvent[] = [];
    const triggers = { firstAfter: 1e6, every: 0 };
    const learner = new Learner(learnerOptions(log, registry, { triggers, onEvent: (each) => told.push(each) }));
    await learner.start();
    open.push(learner);
    await until(async () => (await events(log)).length > 2);
    const last = (await events(log)).at(-1)!;
    expect([last.kind, last.modelId]).toEqual(['rejected', other!.id]);
    expect(last.reason).toMatch(/^never scored: 0 of \d+ buckets/);
    const message = `the trial of ${other!.id} has ended: ${last.reason}`;
    expect(told).toContainEqual({ kind: 'warning', message });
  });

  it('ends a trial whose champion is gone, and trains a new model', async () => {
    const log = await newLog();
    const registry = new ModelRegistry({ log, topic: topics.models });
    const [old, other] = [8, 9].map((seed) => testModel(ridgeArtefact(seed, shape)).encoded);
    await append(log, old!, other!);
    const desk = { log, topics, now: () => T0 };
    await activate({ ...desk, name: 'default', modelId: old!.id, role: 'champion', reason: '' });
    await activate({ ...desk, name: 'default', modelId: other!.id, role: 'challenger', reason: '' });
    // As older versions wrote it: nothing took the other out of the shadow.
    const gone = { name: 'default', modelId: '', role: 'champion', time: T0, reason: '' } as const;
    const event = { name: 'default', kind: 'retired', modelId: old!.id, time: T0, reason: '' } as const;
    await publish(desk, [...(await activationRecords(desk, gone)), eventRecord(topics, event, {})]);
    await startEngine(log, registry);
    await play(log, 0, 260);
    const learner = new Learner(learnerOptions(log, registry));
    await learner.start();
    open.push(learner);
    await until(async () => (await events(log)).length === 7);
    const kinds = (await events(log)).map(({ kind }) => kind);
    expect(kinds).toEqual(['promoted', 'shadowed', 'retired', 'rejected', 'requested', 'trained', 'promoted']);
    expect((await events(log))[3]!.reason).toBe('no model is in use that it could be compared with');
  });

  it('replaces a champion that cannot be served any more', async () => {
    const log = await newLog();
    const old = testModel(ridgeArtefact(8, shape)).encoded;
    const registry = loading(log, (id) => {
      if (id === old.id) throw new FleetcastError('MODEL_DISAGREES', 'computes something else');
    });
    await append(log, old);
    await activate({ log, topics, now: () => T0, name: 'default', modelId: old.id, role: 'champion', reason: '' });
    await startEngine(log, new ModelRegistry({ log, topic: topics.models }));
    await play(log, 0, 260);
    const told: LearnerEvent[] = [];
    const learner = new Learner(learnerOptions(log, registry, { onEvent: (event) => told.push(event) }));
    await learner.start();
    open.push(learner);
    await until(async () => (await events(log)).length === 4);
    expect((await events(log)).map(({ kind }) => kind)).toEqual(['promoted', 'requested', 'trained', 'promoted']);
    const why = 'MODEL_DISAGREES: computes something else';
    const message = `the model in use, ${old.id}, cannot be served any more: ${why}`;
    expect(told.filter(({ kind }) => kind !== 'model-event')).toEqual([{ kind: 'warning', message }]);
  });

  it('counts a champion whose artefact is gone as none, and says so', async () => {
    const log = await newLog();
    const old = testModel(ridgeArtefact(8, shape)).encoded;
    await append(log, old);
    await activate({ log, topics, now: () => T0, name: 'default', modelId: old.id, role: 'champion', reason: '' });
    await startEngine(log, new ModelRegistry({ log, topic: topics.models }));
    await play(log, 0, 260);
    await until(async () => (await log.offsets(topics.scores, 0)).end > 100);
    await log.append([{ topic: topics.models, partition: 0, timestamp: T0, key: Buffer.from(old.id), value: null }]);
    const told: (string | undefined)[] = [];
    const registry = new ModelRegistry({ log, topic: topics.models });
    const learner: Learner = new Learner(
      learnerOptions(log, registry, {
        artefactMs: 50,
        onEvent: (event) => {
          if (event.kind === 'warning') told.push(event.message, learner.status().championRefused);
        },
      }),
    );
    await learner.start();
    open.push(learner);
    await until(async () => (await events(log)).length === 4);
    expect((await events(log)).map(({ kind }) => kind)).toEqual(['promoted', 'requested', 'trained', 'promoted']);
    const why = `MODEL_UNKNOWN: the artefact of the model ${old.id} is not on the topic ${topics.models}`;
    expect(told).toEqual([`the model in use, ${old.id}, cannot be served any more: ${why}`, why]);
    await until(async () => learner.status().championRefused === undefined);
  });

  it('takes an artefact that was put back, and says nothing of a model when it is not its turn', async () => {
    const log = await newLog();
    const old = testModel(ridgeArtefact(8, shape)).encoded;
    await activate({ log, topics, now: () => T0, name: 'default', modelId: old.id, role: 'champion', reason: '' });
    const options = { artefactMs: 50, triggers: { firstAfter: 1e6, every: 0 } };
    const start = async (): Promise<Learner> => {
      const registry = new ModelRegistry({ log, topic: topics.models });
      const learner = new Learner(learnerOptions(log, registry, options));
      await learner.start();
      open.push(learner);
      await until(async () => learner.status().championRefused !== undefined);
      return learner;
    };
    const first = await start();
    await first.stop();
    expect(first.status().championRefused).toBeUndefined();
    const second = await start();
    await append(log, old);
    await until(async () => second.status().championRefused === undefined);
    expect([second.status().champion, second.status().state]).toEqual([old.id, 'waiting']);
  });

  it('ends a training whose artefact is too large for the log', async () => {
    const log = await newLog();
    const registry = new ModelRegistry({ log, topic: topics.models });
    await startEngine(log, registry);
    await play(log, 0, 260);
    const learner = new Learner(learnerOptions(refusing(log, true), registry));
    await learner.start();
    open.push(learner);
    await until(async () => (await events(log)).length === 2);
    const failed = (await events(log)).at(-1)!;
    expect([failed.kind, failed.reason]).toEqual(['failed', 'LOG_RECORD_TOO_LARGE']);
    expect((JSON.parse(failed.details) as { cpuMs: number }).cpuMs).toBeGreaterThan(0);
  });

  it('trains on without checkpoints that are too large for the log, and says so once', async () => {
    const log = await newLog();
    const registry = new ModelRegistry({ log, topic: topics.models });
    await startEngine(log, registry);
    await play(log, 0, 260);
    const told: LearnerEvent[] = [];
    const learner = new Learner(
      learnerOptions(refusing(log, false), registry, {
        request: { family: 'segment-lstm', settings: { width: 4, epochs: 4 } },
        checkpointMs: 0,
        onEvent: (event) => told.push(event),
      }),
    );
    await learner.start();
    open.push(learner);
    await until(async () => (await events(log)).some(({ kind }) => kind === 'trained'));
    const others = told.filter(({ kind }) => kind !== 'model-event');
    const message = expect.stringMatching(/checkpoint of \d+ bytes is too large for/) as string;
    expect(others).toEqual([{ kind: 'warning', message }]);
  });
});

/** A registry that does something before it has a model. */
function loading(log: EventLog, before: (id: string) => void | Promise<void>): ModelRegistry {
  return new (class extends ModelRegistry {
    override async load(id: string, signal?: AbortSignal, patienceMs?: number): Promise<ServedModel> {
      await before(id);
      return super.load(id, signal, patienceMs);
    }
  })({ log, topic: topics.models });
}

type Commit = TaskWriter['commit'];

/** A log whose group commits go through what `around` makes of them, anew for each writer. */
function withCommits(log: EventLog, around: (commit: Commit) => Commit): EventLog {
  return new Proxy(log, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (name !== 'join') return typeof value === 'function' ? value.bind(target) : value;
      return async (options: Parameters<EventLog['join']>[0]) => {
        const member = await target.join(options);
        const openWriter = member.openWriter.bind(member);
        member.openWriter = async (partition) => {
          const writer = await openWriter(partition);
          writer.commit = around(writer.commit.bind(writer));
          return writer;
        };
        return member;
      };
    },
  });
}

/** A log whose group commits end after the commit that writes an event of the given kind: the learner died there. */
function failingAfter(log: EventLog, kind: string): EventLog {
  let dead = false;
  return withCommits(log, (commit) => async (records, offsets) => {
    if (dead) throw new Error('dead');
    const done = await commit(records, offsets);
    dead = records.some(
      ({ topic, value }) => topic === topics.modelEvents && decode<ModelEvent>('ModelEvent', value!).kind === kind,
    );
    return done;
  });
}

/** A log that refuses artefacts, or checkpoints; a writer that was refused is dead, as on Kafka. */
function refusing(log: EventLog, artefacts: boolean): EventLog {
  return withCommits(log, (commit) => {
    let dead: FleetcastError | undefined;
    return async (records, offsets) => {
      const isLarge = ({ topic, key, value }: OutRecord) =>
        topic === topics.models && value !== null && artefacts !== String(key).startsWith('checkpoint/');
      if (records.some(isLarge)) dead ??= new FleetcastError('LOG_RECORD_TOO_LARGE', 'too large');
      if (dead !== undefined) throw dead;
      return commit(records, offsets);
    };
  });
}
