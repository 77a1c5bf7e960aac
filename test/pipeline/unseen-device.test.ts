import { expect, it } from 'vitest';
import { decode, encodeRecord } from '../../src/events/codec.ts';
import type { Forecast } from '../../src/events/records.ts';
import { MemoryLog } from '../../src/log/memory/memory-log.ts';
import { Random } from '../../src/models/random.ts';
import { forecastingTopology } from '../../src/pipelines/forecasting.ts';
import { ModelRegistry } from '../../src/pipelines/model-registry.ts';
import { pipelineConfig } from '../../src/pipelines/pipeline-config.ts';
import { topicSpecs } from '../../src/pipelines/topics.ts';
import { activate } from '../../src/retraining/activate.ts';
import { type ImportedBucket, importHistory } from '../../src/retraining/history-import.ts';
import { trainOnHistory } from '../../src/retraining/train.ts';
import { Engine } from '../../src/topology/engine.ts';
import { HOUR, reading } from '../readings.ts';

const shape = { lookback: 24, horizon: 6, season: 12 };
const config = pipelineConfig({ shape, scaleLength: 48, idle: 1e9 });
const { topics } = config;
const T0 = Date.UTC(2026, 0, 5);
const LAST = 900;

/** A wave of half a day under noise, at a level, of a size and with a phase of each device's own. */
const valueAt = (device: number, hour: number) =>
  50 * device +
  (1 + 3 * device) * (Math.sin((hour / 12) * 2 * Math.PI + device) + 0.5 * new Random(device, hour).normal());

it('forecasts a device that was never seen in training with the model of the others, better than naive', async () => {
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: 1 }));
  let now = T0;
  const desk = { log, topics, now: () => ++now };
  const history = [0, 1, 2, 3].flatMap((device) =>
    Array.from({ length: LAST }, (_, hour): ImportedBucket => {
      return { device: `known${device}`, quantity: 'level', time: T0 + hour * HOUR, value: valueAt(device, hour) };
    }),
  );
  await importHistory({ ...desk, interval: HOUR, segment: config.segment }, history);
  const settings = { width: 16, maxSteps: 400, batch: 64, learningRate: 0.005 };
  const trained = await trainOnHistory({ ...desk, windows: config, settings });
  expect([...trained.artefact.scaler.series.keys()].some((key) => key.startsWith('new'))).toBe(false);

  const registry = new ModelRegistry({ log, topic: topics.models });
  const engine = new Engine({ log, topology: forecastingTopology(config, registry), group: 'live' });
  await engine.start();
  await activate({ ...desk, name: 'default', modelId: trained.id, role: 'champion', reason: 'test' });
  const records = Array.from({ length: 200 }, (_, i) => {
    const time = T0 + (LAST + i) * HOUR;
    const value = encodeRecord(reading('new', time, { level: valueAt(9, LAST + i) }));
    const tick = encodeRecord({ type: 'Tick', time: time + 2000 });
    const common = { topic: topics.readings, partition: 0, timestamp: time };
    return [
      { ...common, key: Buffer.from('new'), value },
      { ...common, key: null, value: tick },
    ];
  });
  await log.append(records.flat());
  const { end } = await log.offsets(topics.readings, 0);
  while (!((engine.status()[0]?.inputs[0]?.offset ?? 0) >= end))
    await new Promise((resolve) => setTimeout(resolve, 10));
  await engine.stop();

  const read = await log.read(topics.forecasts, 0, 0, { maxRecords: 1e6, maxBytes: 1e9 });
  const forecasts = read.records.map(({ value }) => decode<Forecast>('Forecast', value!));
  const served = forecasts.filter(({ model }) => model === trained.id);
  expect(new Set(served.map(({ device }) => device))).toEqual(new Set(['new']));
  expect(served.length).toBeGreaterThan(100);
  const sums = { model: 0, last: 0, seasonal: 0 };
  for (const { origin, values } of served) {
    const hour = Math.round((origin - T0) / HOUR);
    values.forEach((value, step) => {
      const actual = valueAt(9, hour + step);
      sums.model += Math.abs(value - actual);
      sums.last += Math.abs(valueAt(9, hour - 1) - actual);
      sums.seasonal += Math.abs(valueAt(9, hour + step - shape.season) - actual);
    });
  }
  expect(sums.model).toBeLessThan(0.9 * Math.min(sums.last, sums.seasonal));
}, 120_000);
