import { describe, expect, it } from 'vitest';
import { decode, encodeRecord, headerFor } from '../../src/events/codec.ts';
import type { Forecast } from '../../src/events/records.ts';
import { compileSchema, fingerprint } from '../../src/events/schema-registry.ts';
import { explain } from '../../src/retraining/explain.ts';
import { rebuild } from '../../src/retraining/rebuild.ts';
import { replay } from '../../src/retraining/replay.ts';
import { trainOnHistory } from '../../src/retraining/train.ts';
import { verifyReplay } from '../../src/retraining/verify-replay.ts';
import { HOUR } from '../readings.ts';
import { releasedOf } from '../schema-evolution.ts';
import { all, config, events, livedIn, PARTITIONS, T0, topics, type World } from './world.ts';

async function inputEnds({ log }: World): Promise<number[]> {
  return Promise.all(Array.from({ length: PARTITIONS }, async (_, p) => (await log.offsets(topics.readings, p)).end));
}

describe('what the log tells afterwards', () => {
  it('replays, verifies, explains and rebuilds', async () => {
    const world = await livedIn();
    const { log, registry: models } = world;
    const until = await inputEnds(world);

    // The same bytes again.
    const verified = await verifyReplay({ log, config, models, until });
    expect(verified).toMatchObject({ differences: [], cut: [] });
    expect(verified.compared).toBeGreaterThan(2000);

    // A part of the time.
    const middle = T0 + 150 * HOUR;
    const [early, late] = [
      await verifyReplay({ log, config, models, until, to: middle }),
      await verifyReplay({ log, config, models, until, from: middle }),
    ];
    expect([early.differences, late.differences]).toEqual([[], []]);
    expect(early.compared).toBeGreaterThan(500);
    expect(late.compared).toBeGreaterThan(500);

    // Another configuration differs, and the first difference is named.
    const changed = await verifyReplay({ log, config: { ...config, level: 0.8 }, models, until });
    const first0 = changed.differences.find(({ topic, partition }) => topic === topics.forecasts && partition === 0)!;
    expect(first0.offset).toBe(0);
    expect(first0.what).toMatch(/^differs in .*level/);

    // Another model, into topics of its own.
    const [promoted] = (await events(log)).filter(({ kind }) => kind === 'promoted');
    const model = await models.load(promoted!.modelId);
    const before = (await log.offsets(topics.forecasts, 0)).end;
    const { outputs } = await replay({ log, config, models, model, prefix: 'what-if.' });
    expect((await log.offsets(topics.forecasts, 0)).end).toBe(before);
    const forecasts = await all<Forecast>(log, topics.forecasts, 'Forecast');
    const other = await all<Forecast>(log, `what-if.${topics.forecasts}`, 'Forecast');
    expect(outputs[topics.forecasts]).toBe(forecasts.length);
    const share = (list: Forecast[]) =>
      list.filter((one) => one.model === `ridge:${promoted!.modelId}`).length / list.length;
    expect(share(other)).toBeGreaterThan(share(forecasts) + 0.3);
    await expect(replay({ log, config, models, prefix: 'what-if.' })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(replay({ log, config, models, prefix: '' })).rejects.toMatchObject({ code: 'USAGE' });

    // A forecast of the model, taken apart.
    const told = await explain({ log, config, models, which: { device: 'pump3', quantity: 'level' } });
    expect(told).toMatchObject({ identical: true, differences: [], whole: true });
    expect(told.model).toMatchObject({ name: `ridge:${promoted!.modelId}`, family: 'ridge' });
    expect(told.model.since).toBeGreaterThan(0);
    expect(told.model.trainedOn).toHaveLength(PARTITIONS);
    expect(told.window).toHaveLength(config.shape.lookback);
    for (const bucket of told.window) {
      expect(bucket).toMatchObject({ measured: true, corrected: false });
      const [only] = bucket.readings;
      expect(only!.value).toBe(bucket.value);
      const { records } = await log.read(topics.readings, told.partition, only!.offset, { maxRecords: 1 });
      expect(decode<{ device: string }>('Reading', records[0]!.value!).device).toBe('pump3');
    }
    expect(told.window.some(({ contribution }) => contribution !== 0)).toBe(true);

    // The first one was naive: the last value is all of it.
    const first = await explain({
      log,
      config,
      models,
      which: { device: 'pump3', quantity: 'level', origin: T0 + 3_600_000 },
    });
    expect(first).toMatchObject({ identical: true, model: { name: 'last-value', since: -1 } });
    expect(first.window.map(({ contribution }) => contribution)).toEqual([first.forecast.values[0]]);
    await expect(explain({ log, config, models, which: { device: 'nobody', quantity: 'x' } })).rejects.toMatchObject({
      code: 'USAGE',
    });

    // The model again, from the offsets that it was trained on.
    expect(await rebuild({ log, topics }, model, models)).toMatchObject({ identical: true, difference: '' });
    const weights = model.artefact.weights.map((tensor) => ({ ...tensor, data: tensor.data.map((w) => w + 1e-6) }));
    const forged = { ...model, artefact: { ...model.artefact, weights } };
    expect((await rebuild({ log, topics }, forged, models)).difference).toMatch(/^ridge\/kernel\[0\]: /);

    // A record that was tampered with is found.
    const partition = 1;
    const { records } = await log.read(topics.forecasts, partition, 0, { maxRecords: 1e6, maxBytes: 1e9 });
    await log.ensureTopics([{ name: 'forged', partitions: PARTITIONS, cleanup: 'delete' }]);
    await log.append(
      records.map(({ timestamp, key, value }, i) => {
        const forecast = { ...decode<Forecast>('Forecast', value!), type: 'Forecast' as const };
        const changedValue = i === 100 ? { ...forecast, model: 'mine' } : forecast;
        return { topic: 'forged', partition, timestamp, key, value: encodeRecord(changedValue) };
      }),
    );
    const forgery = { ...config, topics: { ...topics, forecasts: 'forged' } };
    const found = await verifyReplay({ log, config: forgery, models, until });
    expect(found.differences.find(({ partition: p }) => p === partition)).toMatchObject({
      topic: 'forged',
      offset: 100,
      cause: decode<Forecast>('Forecast', records[100]!.value!).inputOffset,
      what: 'differs in model',
    });

    // What an earlier version of the program wrote, with another schema, says the same.
    const [earlier] = releasedOf('Forecast');
    const writer = compileSchema(earlier!.text);
    const header = Buffer.concat([Buffer.from([0xc3, 0x01]), fingerprint(writer)]);
    expect(header).not.toEqual(headerFor('Forecast'));
    const specs = [{ name: 'earlier', partitions: PARTITIONS, cleanup: 'delete' as const }];
    await log.ensureTopics(specs);
    for (let p = 0; p < PARTITIONS; p++) {
      const live = await log.read(topics.forecasts, p, 0, { maxRecords: 1e6, maxBytes: 1e9 });
      await log.append(
        live.records.map(({ timestamp, key, value }) => {
          const body = writer.toBuffer(decode<Forecast>('Forecast', value!));
          return { topic: 'earlier', partition: p, timestamp, key, value: Buffer.concat([header, body]) };
        }),
      );
    }
    const old = { ...config, topics: { ...topics, forecasts: 'earlier' } };
    expect((await verifyReplay({ log, config: old, models, until })).differences).toEqual([]);
    // So is one too many at the end.
    await log.ensureTopics([{ name: 'twice', partitions: PARTITIONS, cleanup: 'delete' }]);
    const topic = 'twice';
    await log.append(
      [...records, records.at(-1)!].map(({ timestamp, key, value }) => ({ topic, partition, timestamp, key, value })),
    );
    const doubled = await verifyReplay({
      log,
      config: { ...config, topics: { ...topics, forecasts: topic } },
      models,
      until,
    });
    expect(doubled.differences.find(({ partition: p }) => p === partition)).toMatchObject({
      topic,
      offset: records.length,
      what: 'the replay does not make it',
    });
  }, 300_000);

  it('rebuilds a network bit for bit', async () => {
    const world = await livedIn();
    const { log, registry: models } = world;
    let now = T0;
    const trained = await trainOnHistory({
      log,
      topics,
      windows: config,
      now: () => ++now,
      settings: { width: 8, maxSteps: 60, seed: 5 },
    });
    const again = await rebuild({ log, topics }, await models.load(trained.id), models);
    expect(again).toMatchObject({ identical: true, difference: '' });
    expect(again.weights).toBeGreaterThan(500);
  }, 300_000);
});
