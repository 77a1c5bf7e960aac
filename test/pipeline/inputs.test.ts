import { expect, it } from 'vitest';
import { decode, encodeRecord } from '../../src/events/codec.ts';
import type { Forecast } from '../../src/events/records.ts';
import type { OutRecord } from '../../src/log/event-log.ts';
import { MemoryLog } from '../../src/log/memory/memory-log.ts';
import { writeInputs } from '../../src/models/inputs/spec.ts';
import { Random } from '../../src/models/random.ts';
import { drawWindows, windowBuffer } from '../../src/models/training/windows.ts';
import { scaleOf } from '../../src/operators/items.ts';
import { forecastingTopology } from '../../src/pipelines/forecasting.ts';
import { ModelRegistry } from '../../src/pipelines/model-registry.ts';
import { pipelineConfig } from '../../src/pipelines/pipeline-config.ts';
import { topicSpecs } from '../../src/pipelines/topics.ts';
import { activate } from '../../src/retraining/activate.ts';
import { explain } from '../../src/retraining/explain.ts';
import { readHistory } from '../../src/retraining/history-reader.ts';
import { rebuild } from '../../src/retraining/rebuild.ts';
import { trainOnHistory } from '../../src/retraining/train.ts';
import { requestedSet } from '../../src/retraining/training-job.ts';
import { verifyReplay } from '../../src/retraining/verify-replay.ts';
import { Engine } from '../../src/topology/engine.ts';
import { HOUR, reading } from '../readings.ts';

const T0 = Date.UTC(2026, 0, 5);
const shape = { lookback: 24, horizon: 6, season: 12 };
const statics = { a: { size: 1 }, b: { size: 3 } };
const config = pipelineConfig({ shape, flushEvery: 1000, idle: 6 * HOUR, statics });
const { topics } = config;
const inputs = {
  quantities: ['inflow'],
  targets: ['level'],
  calendar: ['hour', 'weekday'],
  statics: ['size'],
} as const;
const text = writeInputs({ ...inputs, statics: inputs.statics.map((name) => ({ name, mean: 0, deviation: 0 })) });

/**
 * Tanks whose level is what flowed in six hours before, so that only the inflow tells the level ahead. `bare` reports no
 * inflow, and `a` none on some hours.
 */
async function play(log: MemoryLog, from: number, to: number): Promise<void> {
  const inflow = (device: number, hour: number) => new Random(device, hour).normal();
  const records: OutRecord[] = [];
  const out = (time: number, key: string | null, value: Uint8Array) =>
    records.push({
      topic: topics.readings,
      partition: 0,
      timestamp: time,
      key: key && Buffer.from(key),
      value,
    } as OutRecord);
  for (let hour = from; hour < to; hour++) {
    const time = T0 + hour * HOUR;
    ['a', 'b', 'bare'].forEach((device, d) => {
      const level = 10 + inflow(d, hour - 6) + 0.1 * inflow(d + 10, hour);
      const seen = device !== 'bare' && !(device === 'a' && hour % 17 === 0);
      out(time, device, encodeRecord(reading(device, time, seen ? { level, inflow: inflow(d, hour) } : { level })));
    });
    out(time + 2000, null, encodeRecord({ type: 'Tick', time: time + 2000 }));
  }
  await log.append(records);
}

it('trains, serves, explains, replays and rebuilds a model that sees several quantities, the calendar and statics', async () => {
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: 1 }));
  const registry = new ModelRegistry({ log, topic: topics.models });
  const engine = new Engine({ log, topology: forecastingTopology(config, registry), group: 'live' });
  await engine.start();
  const settled = async () => {
    const { end } = await log.offsets(topics.readings, 0);
    while (!((engine.status()[0]?.inputs[0]?.offset ?? 0) >= end))
      await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await play(log, 0, 700);
  await settled();

  let now = T0;
  const desk = { log, topics, now: () => ++now };
  const settings = { width: 16, maxSteps: 300, batch: 64, learningRate: 0.005 };
  const plain = await trainOnHistory({ ...desk, windows: config, settings });
  const trained = await trainOnHistory({ ...desk, windows: config, settings: { ...settings, inputs: text } });
  const mae = ({ evaluation }: typeof trained) => evaluation.rows[0]!.mae;
  expect(mae(trained)).toBeLessThan(0.9 * mae(plain));
  expect(trained.artefact.formatVersion).toBe(2);
  expect(plain.artefact.formatVersion).toBe(1);

  const served = await registry.load(trained.id);
  const activation = { name: 'default', modelId: trained.id, role: 'champion', reason: 'test' } as const;
  await activate({ ...desk, ...activation });
  await play(log, 700, 780);
  await settled();

  const { records } = await log.read(topics.forecasts, 0, 0, { maxRecords: 1e6, maxBytes: 1e9 });
  const forecasts = records.map(({ value }) => decode<Forecast>('Forecast', value!));
  const byModel = forecasts.filter(({ model }) => model === trained.id);
  // Only its targets; a device that lacks a quantity as well.
  expect(new Set(byModel.map(({ quantity }) => quantity))).toEqual(new Set(['level']));
  expect(new Set(byModel.map(({ device }) => device))).toEqual(new Set(['a', 'b', 'bare']));

  // The stream forecasts what the training's windows of the same origins give, bit for bit.
  const ranges = [{ topic: topics.history, partition: 0, from: 0, to: (await log.offsets(topics.history, 0)).end }];
  const { series } = await readHistory({ log, topic: topics.history, ranges });
  const split = { trainEnd: T0 + 690 * HOUR, validationEnd: T0 + 690 * HOUR, testEnd: T0 + 1000 * HOUR };
  const set = requestedSet(series, config, { scaler: 'fixed', split }, served);
  const drawn = windowBuffer(set, 1);
  let compared = 0;
  set.test.starts.forEach((start, i) => {
    drawWindows(set, set.test, i, i + 1, drawn);
    const out = new Float32Array(shape.horizon);
    served.model.forecast({ count: 1, values: drawn.values, inputs: drawn.inputs }, out);
    const { series: key } = set.runs.find(({ from, to }) => from <= start && start < to)!;
    const live = byModel.find(
      ({ device, origin }) => key === `${device}/level` && origin === set.test.inputs!.origins[i],
    );
    if (live === undefined) return;
    compared++;
    const deviation = scaleOf(set.test.deviations[i]!);
    expect(live.values).toEqual(Array.from(out, (value) => set.test.means[i]! + deviation * value));
  });
  expect(compared).toBeGreaterThan(150);

  const until = [(await log.offsets(topics.readings, 0)).end];
  expect(await verifyReplay({ log, config, models: registry, until })).toMatchObject({ differences: [] });

  const told = await explain({ log, config, models: registry, which: { device: 'b', quantity: 'level' } });
  expect(told).toMatchObject({ identical: true, model: { name: trained.id } });
  expect(told.inputs.map(({ name }) => name)).toEqual(['inflow', 'hour', 'weekday', 'size']);
  for (const { present, contribution } of told.inputs) {
    expect(present).toBe(true);
    expect(contribution).not.toBe(0);
  }
  const bare = await explain({ log, config, models: registry, which: { device: 'bare', quantity: 'level' } });
  expect(bare.inputs[0]).toMatchObject({ name: 'inflow', present: false, contribution: 0 });

  expect(await rebuild(desk, served, registry, {}, statics)).toMatchObject({ identical: true });

  // A warm start goes on from these weights, and is rebuilt from its parent.
  const parent = { parent: trained.id, parentModel: served };
  const warm = await trainOnHistory({ ...desk, windows: config, settings: { ...settings, inputs: text }, ...parent });
  expect(warm.artefact.parent).toBe(trained.id);
  expect(warm.artefact.training.windows).toBeLessThan(trained.artefact.training.windows / 2);
  expect(warm.artefact.weights).not.toEqual(trained.artefact.weights);
  expect(mae(warm)).toBeLessThan(mae(plain));
  expect(await rebuild(desk, await registry.load(warm.id), registry, {}, statics)).toMatchObject({ identical: true });
  await engine.stop();
});
