import { describe, expect, it } from 'vitest';
import { HOUR, ridgeArtefact, testModel } from '../../test/readings.ts';
import { decode, schemaOf } from '../events/codec.ts';
import type { Activation, ModelEvent } from '../events/records.ts';
import { MemoryLog } from '../log/memory/memory-log.ts';
import { ModelRegistry } from '../pipelines/model-registry.ts';
import { topicNames, topicSpecs } from '../pipelines/topics.ts';
import { activate } from './activate.ts';
import { type LifecycleOptions, modelLine, promote, requestTraining, retire, rollBack, shadow } from './lifecycle.ts';
import { lifeIn, ModelLine, readModelLines } from './model-line.ts';

const topics = topicNames();
const shape = { lookback: 6, horizon: 3, season: 3 };
const models = [1, 2, 3].map((seed) => testModel(ridgeArtefact(seed, shape)));
const [a, b, c] = models.map(({ model }) => model.id) as [string, string, string];

async function start(): Promise<LifecycleOptions> {
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: 3 }));
  await log.append(
    models.map(({ encoded }) => {
      return { topic: topics.models, partition: 0, timestamp: 0, key: Buffer.from(encoded.id), value: encoded.bytes };
    }),
  );
  let now = 0;
  const registry = new ModelRegistry({ log, topic: topics.models });
  return { log, topics, registry, now: () => ++now, name: 'default', shape, interval: HOUR };
}

async function activations({ log }: LifecycleOptions, partition = 0): Promise<[string, string][]> {
  const { records } = await log.read(topics.readings, partition, 0, { maxRecords: 100 });
  expect(records.every(({ value }) => schemaOf(value!) === 'Activation')).toBe(true);
  return records.map(({ value }) => {
    const { role, modelId } = decode<Activation>('Activation', value!);
    return [role, modelId];
  });
}

describe('life of models', () => {
  it('is told of every line: also of the models of next events', async () => {
    const options = await start();
    const events = { ...options, name: 'next-event' };
    await promote(options, a);
    await promote(events, b);
    await promote(events, c);
    await retire(events, c);
    await promote(events, b);
    const lines = await readModelLines(options.log, topics.modelEvents);
    expect([a, b, c].map((id) => lifeIn(lines, id)?.status)).toEqual(['champion', 'champion', 'retired']);
    expect(lifeIn(lines, 'none')).toBeUndefined();
    // Served by one line and retired from another: it serves.
    await promote(options, c);
    expect(lifeIn(await readModelLines(options.log, topics.modelEvents), c)?.status).toBe('champion');
  });

  it('promotes with the old champion in shadow, rolls back, retires', async () => {
    const options = await start();
    expect(await promote(options, a.slice(0, 10))).toBe(a);
    expect(await promote(options, a)).toBe(a);
    await promote(options, b);
    let line = await modelLine(options);
    expect([line.champion, line.challenger, line.previous]).toEqual([b, a, a]);
    await rollBack(options);
    line = await modelLine(options);
    expect([line.champion, line.challenger]).toEqual([a, '']);
    expect(line.models.get(b)!.status).toBe('replaced');
    await shadow(options, c);
    await retire(options, c);
    await retire(options, a);
    line = await modelLine(options);
    expect([line.champion, line.challenger]).toEqual(['', '']);
    expect([...line.models.values()].map(({ status }) => status)).toEqual(['retired', 'replaced', 'retired']);
    const expected = [
      ['champion', a],
      ['challenger', ''],
      ['champion', b],
      ['challenger', a],
      ['champion', a],
      ['challenger', ''],
      ['challenger', c],
      ['challenger', ''],
      ['champion', ''],
    ];
    for (const partition of [0, 1, 2]) expect(await activations(options, partition)).toEqual(expected);
  });

  it('asks for a training once', async () => {
    const options = await start();
    await requestTraining({ ...options, reason: 'curious' }, { family: 'ridge', series: ['a/b'], flushPatienceMs: 0 });
    const { open } = await modelLine(options);
    expect(open).toMatchObject({ reason: 'curious', series: ['a/b'], byHand: false, flushed: false });
    expect(open!.ranges).toHaveLength(3);
    await expect(requestTraining(options, {})).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('refuses what cannot be', async () => {
    const options = await start();
    await expect(promote(options, 'no-such')).rejects.toMatchObject({ code: 'MODEL_UNKNOWN' });
    await expect(promote(options, '')).rejects.toMatchObject({ code: 'MODEL_UNKNOWN' });
    await expect(rollBack(options)).rejects.toMatchObject({ code: 'MODEL_UNKNOWN' });
    await expect(shadow(options, a)).rejects.toMatchObject({ code: 'MODEL_UNKNOWN' });
    await expect(promote({ ...options, shape: { lookback: 7, horizon: 3 } }, a)).rejects.toMatchObject({
      code: 'MODEL_INVALID',
    });
    expect(await activations(options)).toEqual([]);
  });

  it.each([
    ['a roll-back', async (options: LifecycleOptions) => void (await rollBack(options)), 'a', 'rejected'],
    ['the retirement of the model in use', (options: LifecycleOptions) => retire(options, b), '', 'rejected'],
    ['a promotion', (options: LifecycleOptions) => promote(options, a), 'a', 'rejected'],
  ])('takes a third model out of the shadow with %s', async (_, change, champion, status) => {
    const options = await start();
    await promote(options, a);
    await promote(options, b);
    await retire(options, a);
    await shadow(options, c);
    await change(options);
    const line = await modelLine(options);
    const inShadow = line.champion === a && _ === 'a promotion' ? b : '';
    expect([line.champion, line.challenger]).toEqual([champion === 'a' ? a : '', inShadow]);
    expect(line.models.get(c)!.status).toBe(status);
    // The pipeline knows no other challenger than the line does.
    expect((await activations(options)).findLast(([role]) => role === 'challenger')).toEqual(['challenger', inShadow]);
    expect(line.models.get(c)!.events.at(-1)!.reason).toMatch(/^its trial ended, as the model in use changed: by hand/);
  });

  it('has no challenger after a promotion where no model was in use, or a roll-back, that says nothing of it', () => {
    const event = (kind: ModelEvent['kind'], modelId: string): ModelEvent => {
      return { type: 'ModelEvent', name: 'default', kind, modelId, time: 0, reason: '', details: '{}' };
    };
    const line = new ModelLine('default');
    for (const [kind, id] of [
      ['promoted', a],
      ['shadowed', c],
      ['retired', a],
      ['promoted', b],
    ] as const) {
      line.apply(event(kind, id));
    }
    expect([line.champion, line.challenger, line.models.get(c)!.status]).toEqual([b, '', 'rejected']);
    line.apply(event('shadowed', c));
    line.apply(event('rolled_back', a));
    expect([line.champion, line.challenger, line.models.get(c)!.status]).toEqual([a, '', 'rejected']);
  });

  it.each([
    ['lookback', { shape: { lookback: 7, horizon: 3 } }],
    ['horizon', { shape: { lookback: 6, horizon: 4 } }],
    ['length of buckets', { interval: HOUR / 4 }],
  ])('puts no model into use that the pipeline refuses for its %s', async (_, change) => {
    const options = await start();
    await promote(options, a);
    await promote(options, b);
    const told = await activations(options);
    const other = { ...options, ...change };
    for (const refused of [() => promote(other, c), () => shadow(other, c), () => rollBack(other)]) {
      await expect(refused()).rejects.toMatchObject({ code: 'MODEL_INVALID' });
    }
    const direct = { ...other, name: 'default', modelId: c, role: 'champion', reason: '' } as const;
    await expect(activate(direct)).rejects.toMatchObject({ code: 'MODEL_INVALID' });
    expect(await activations(options)).toEqual(told);
  });

  it('has no model without an id', async () => {
    const { registry } = await start();
    await expect(registry.load('')).rejects.toMatchObject({ code: 'MODEL_UNKNOWN' });
  });

  it('waits for an artefact that is not there yet, and ends the wait when told', async () => {
    const { log, registry } = await start();
    const late = testModel(ridgeArtefact(9, shape)).encoded;
    const loading = registry.load(late.id);
    await log.append([
      { topic: topics.models, partition: 0, timestamp: 0, key: Buffer.from(late.id), value: late.bytes },
    ]);
    expect((await loading).model.id).toBe(late.id);
    const stop = new AbortController();
    const never = registry.load('f'.repeat(64), stop.signal);
    stop.abort();
    await expect(never).rejects.toThrow();
    // Bytes under a name that is not theirs are refused.
    const forged = {
      topic: topics.models,
      partition: 0,
      timestamp: 0,
      key: Buffer.from('0'.repeat(64)),
      value: late.bytes,
    };
    await log.append([forged]);
    await expect(registry.load('0'.repeat(64))).rejects.toMatchObject({ code: 'MODEL_INVALID' });
    expect((await registry.list()).map(({ id }) => id)).toEqual([a, b, c, late.id]);
  });
});
