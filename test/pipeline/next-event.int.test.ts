import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { decode, encodeRecord } from '../../src/events/codec.ts';
import type { NextEvent } from '../../src/events/records.ts';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import type { EventLog, OutRecord } from '../../src/log/event-log.ts';
import { forecastingTopology } from '../../src/pipelines/forecasting.ts';
import { ModelRegistry } from '../../src/pipelines/model-registry.ts';
import { pipelineConfig } from '../../src/pipelines/pipeline-config.ts';
import { topicSpecs } from '../../src/pipelines/topics.ts';
import { activate } from '../../src/retraining/activate.ts';
import { guideModel, publishEvents, trainEvents } from '../../src/retraining/event-training.ts';
import { verifyReplay } from '../../src/retraining/verify-replay.ts';
import { Engine } from '../../src/topology/engine.ts';
import { dataFile } from '../data-folder.ts';
import { nextEventSamples, occupancyEvents } from '../models/occupancy-events.ts';
import { reading } from '../readings.ts';

const T0 = Date.UTC(2026, 0, 1);
const STEPS = 12;
const events = { quantity: 'event', steps: STEPS, codes: 10, model: 'next-event' };
const config = pipelineConfig({ shape: { lookback: 24, horizon: 6, season: 12 }, events });
const { topics } = config;
const files = [dataFile('occupancy/datatraining.txt'), dataFile('occupancy/datatest2.txt')] as const;

describe.skipIf(files.includes(undefined))('the next event of a room (occupancy data)', () => {
  let folder: string;
  let log: EventLog;
  const engines: Engine[] = [];
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fleetcast-next-event-'));
    log = await openEmbeddedLog({ path: folder });
    await log.ensureTopics(topicSpecs(topics, { partitions: 1, events: true }));
  });
  afterEach(async () => {
    for (const engine of engines.splice(0)) await engine.stop();
    await log.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const registry = () => new ModelRegistry({ log, topic: topics.models });
  const start = async () => {
    const engine = new Engine({
      log,
      topology: forecastingTopology(config, registry()),
      group: 'live',
      stateTopic: topics.state,
    });
    await engine.start();
    engines.push(engine);
    return engine;
  };
  const append = (codes: readonly number[], from: number) =>
    log.append(
      codes.map((event, i): OutRecord => {
        const time = T0 + (from + i) * 60_000;
        // Beside the event a measured value: that is forecast as ever, and the event is not.
        const value = encodeRecord(reading('room', time, i % 3 === 0 ? { event, light: 5 } : { event }));
        return { topic: topics.readings, partition: 0, timestamp: time, key: Buffer.from('room'), value };
      }),
    );
  const read = async (topic: string) => {
    const { end } = await log.offsets(topic, 0);
    const { records } = await log.read(topic, 0, 0, { maxRecords: 20_000 });
    expect(records).toHaveLength(end);
    return records;
  };

  it('is learnt with the model of the Keras guide, served from an activation on, better than naive, and replayed to the byte', async () => {
    const known = occupancyEvents(files[0]!);
    const later = occupancyEvents(files[1]!);
    await append(known, 0);
    const engine = await start();
    const desk = { log, topics, now: () => T0 };
    const lines: string[] = [];
    const trained = await trainEvents({
      ...{ desk, config, epochs: 3, batchSize: 32, learningRate: 0.003, seed: 3 },
      onLine: (line) => lines.push(line),
    });
    expect(lines[0]).toContain('Total params: 164,106');
    expect(lines.filter((line) => line.includes('━ ')).length).toBe(3);
    const { model, ...naive } = trained.accuracies;
    expect(model).toBeGreaterThan(Math.max(...Object.values(naive)));
    await publishEvents(desk, trained);
    const [half, rest] = [later.slice(0, 300), later.slice(300)];
    await append(half, known.length);
    await activate({ ...desk, name: 'next-event', modelId: trained.id, role: 'champion', reason: 'test' });
    const { end: activated } = await log.offsets(topics.readings, 0);
    await append(rest, known.length + half.length);
    const { end } = await log.offsets(topics.readings, 0);
    await expect.poll(() => engine.status()[0]?.inputs[0]?.offset, { timeout: 60_000 }).toBe(end);

    const forecasts = (await read(topics.nextEvents)).map(({ value }) => decode<NextEvent>('NextEvent', value!));
    expect(forecasts).toHaveLength(rest.length);
    expect(forecasts.map(({ inputOffset }) => inputOffset)).toEqual(rest.map((_, i) => activated + i));
    expect(new Set(forecasts.map((forecast) => forecast.model))).toEqual(new Set([trained.id]));
    // Each forecast was made before the event that it is compared with: what serves is what was trained.
    const right = rest.slice(1).filter((code, i) => forecasts[i]!.code === code).length / (rest.length - 1);
    const samples = nextEventSamples([...known, ...later], STEPS);
    const transitions = samples.y
      .slice(-rest.length + 1)
      .filter((code, i) => code === samples.x[(samples.count - rest.length + 2 + i) * STEPS - 1]);
    expect(right).toBeGreaterThan(transitions.length / (rest.length - 1));
    expect(right).toBeGreaterThan(0.3);
    // No values are made of events.
    const quantities = (await read(topics.history)).map(({ key }) => Buffer.from(key!).toString().split('/')[1]);
    expect(new Set(quantities)).not.toContain('event');

    const { differences, compared } = await verifyReplay({ log, config, models: registry(), until: [end] });
    expect(differences).toEqual([]);
    expect(compared).toBeGreaterThanOrEqual(rest.length);
    expect(guideModel(10).layers).toHaveLength(3);
  }, 300_000);

  it('goes on with its model after a restart', async () => {
    const desk = { log, topics, now: () => T0 };
    const codes = Array.from({ length: 400 }, (_, i) => [1, 3, 3, 7][i % 4]!);
    await append(codes, 0);
    const small = {
      ...guideModel(10),
      layers: guideModel(10).layers.map((layer) => (layer.type === 'LSTM' ? { ...layer, units: 16 } : layer)),
    };
    const trained = await trainEvents({
      desk,
      config,
      spec: small,
      epochs: 12,
      batchSize: 16,
      learningRate: 0.02,
      seed: 1,
    });
    expect(trained.accuracies['last-transition']).toBeLessThan(0.8);
    expect(trained.accuracies['model']).toBe(1);
    await publishEvents(desk, trained);
    await activate({ ...desk, name: 'next-event', modelId: trained.id, role: 'champion', reason: 'test' });
    const first = await start();
    await append([1, 3], 400);
    await expect.poll(async () => (await read(topics.nextEvents)).length, { timeout: 60_000 }).toBe(2);
    await first.stop();
    engines.pop();
    await append([3, 7], 402);
    await start();
    await expect.poll(async () => (await read(topics.nextEvents)).length, { timeout: 60_000 }).toBe(4);
    const forecasts = (await read(topics.nextEvents)).map(({ value }) => decode<NextEvent>('NextEvent', value!).code);
    expect(forecasts).toEqual([3, 3, 7, 1]);
    const { end } = await log.offsets(topics.readings, 0);
    expect((await verifyReplay({ log, config, models: registry(), until: [end] })).differences).toEqual([]);
  }, 300_000);
});
