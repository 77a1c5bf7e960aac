import { expect, it } from 'vitest';
import type { ModelSource } from '../../src/pipelines/activation.ts';
import { ModelRegistry } from '../../src/pipelines/model-registry.ts';
import type { Explanation } from '../../src/retraining/explain.ts';
import { explain } from '../../src/retraining/explain.ts';
import { explanationText } from '../../src/retraining/explanation-text.ts';
import { HOUR } from '../readings.ts';
import { config, events, livedIn, T0, topics } from './world.ts';

it('says what retention has taken from a forecast, and invents nothing in its place', async () => {
  const { log, registry } = await livedIn();
  let models: ModelSource = registry.within(50);
  const tell = (origin?: number): Promise<Explanation> =>
    explain({
      log,
      config,
      models,
      which: { device: 'pump3', quantity: 'level', ...(origin === undefined ? {} : { origin }) },
    });
  const whole = await tell();
  const early = await tell(T0 + 60 * HOUR);
  const { partition } = whole;
  const { modelId } = (await events(log)).find(({ kind }) => kind === 'promoted')!;
  expect(whole).toMatchObject({ identical: true, whole: true, model: { name: `ridge:${modelId}` } });
  expect(early.model.family).toBe('naive');
  const reading = (hours: number): number => {
    const start = whole.forecast.origin - hours * HOUR;
    return whole.window.find((bucket) => bucket.start === start)!.readings[0]!.offset;
  };

  // The window and what the scale is made of are left, what brought the model into use is not.
  const { since } = whole.model;
  const cut = since! + 1;
  await log.deleteRecords(topics.readings, partition, cut);
  const proven = await tell();
  expect(proven).toMatchObject({ identical: null, differences: [], valuesIdentical: true, whole: false });
  expect(proven.gone).toEqual({ topic: topics.readings, partition, firstKept: cut });
  expect(proven.model).toEqual({ ...whole.model, since: null, reason: '' });
  expect([proven.window, proven.scaler, proven.inputs]).toEqual([whole.window, whole.scaler, whole.inputs]);
  const text = explanationText(proven, false);
  expect(text).toContain(`made again the values are identical, bit for bit; the rest`);
  expect(text).toContain(
    `${topics.readings}/${partition} offsets 0…${cut - 1}, taken by retention; the first kept is ${cut}`,
  );
  expect(text).toContain('the record that brought it into use is gone');

  // The readings of a naive forecast are gone, the one that caused it among them.
  const nothing = await tell(T0 + 60 * HOUR);
  expect(nothing).toMatchObject({ identical: null, valuesIdentical: false, window: [], model: { family: 'naive' } });
  expect(nothing.scaler).toMatchObject({ mean: null, deviation: null });
  expect(explanationText(nothing, true)).toMatch(
    /made again cannot be recomputed\n.*that which caused the forecast among them.*\n.*\nscaler {5}cannot be told/,
  );

  // The cut goes through the window: the readings behind it are shown, and nothing is made of them.
  const middle = reading(10);
  await log.deleteRecords(topics.readings, partition, middle);
  const part = await tell();
  expect(part).toMatchObject({ identical: null, valuesIdentical: false, inputs: [] });
  expect(part.model).toEqual(proven.model);
  expect(part.window.map(({ start }) => start)).toEqual(whole.window.slice(-10).map(({ start }) => start));
  expect(part.window.flatMap(({ value, contribution }) => [value, contribution])).toEqual(Array(20).fill(null));
  expect(part.window.map(({ readings }) => readings)).toEqual(whole.window.slice(-10).map(({ readings }) => readings));
  const told = explanationText(part, false);
  expect(told).toContain('made again cannot be recomputed');
  expect(told).toContain('window     cannot be told; of its time 10 readings in 10 buckets are left');
  expect(told).not.toContain('naive');

  // The artefact is gone as well.
  const key = Buffer.from(modelId);
  await log.append([{ topic: topics.models, partition: 0, timestamp: 0, key, value: null }]);
  models = new ModelRegistry({ log, topic: topics.models, patienceMs: 50 });
  const gone = await tell();
  expect(gone.model).toMatchObject({ name: `ridge:${modelId}`, family: 'unknown', trainedOn: [] });
  expect(explanationText(gone, false)).toContain('its artefact is gone from the log');
}, 300_000);
