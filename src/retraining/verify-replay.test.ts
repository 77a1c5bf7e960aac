import { expect, it } from 'vitest';
import {
  config,
  newWorld,
  PARTITIONS,
  play,
  T0,
  topics,
  type World,
  until as waitFor,
} from '../../test/pipeline/world.ts';
import { HOUR, reading } from '../../test/readings.ts';
import { releasedOf } from '../../test/schema-evolution.ts';
import { decode, encodeRecord } from '../events/codec.ts';
import type { Forecast, HistorySegment } from '../events/records.ts';
import { compileSchema, fingerprint } from '../events/schema-registry.ts';
import { partitionFor } from '../log/partitioner.ts';
import { subtopologyGroup } from '../topology/engine.ts';
import { verifyReplay } from './verify-replay.ts';

async function stopAt({ log, engine }: World, until: readonly number[]): Promise<void> {
  await waitFor(async () => {
    const committed = await log.committed(subtopologyGroup('live', 'readings'));
    return until.every((end, p) => (committed.get(`${topics.readings}/${p}`) ?? 0) >= end);
  });
  await engine.stop();
}

it('passes over what retention has removed from the live outputs alone, also between outputs of one input', async () => {
  const world = await newWorld();
  const { log, registry: models } = world;
  await play(world, 40, () => 12);
  // One tick closes the last bucket of every device.
  const time = T0 + 60 * HOUR;
  const value = encodeRecord({ type: 'Tick', time });
  const ticks = Array.from({ length: PARTITIONS }, (_, partition) => {
    return { topic: topics.readings, partition, timestamp: time, key: null, value };
  });
  const until = (await log.append(ticks)).map((offset) => offset + 1);
  await stopAt(world, until);
  const whole = await verifyReplay({ log, config, models, until });
  expect(whole).toMatchObject({ differences: [], passed: 0 });

  // The cut falls between the outputs of the tick in one partition, and a topic is empty in the other.
  const { records } = await log.read(topics.forecasts, 0, 0, { maxRecords: 1e6, maxBytes: 1e9 });
  const causes = records.map((one) => decode<Forecast>('Forecast', one.value!).inputOffset);
  const cut = records.length - 3;
  expect(causes[cut - 1]).toBe(causes[cut]);
  await log.deleteRecords(topics.forecasts, 0, cut);
  const { end } = await log.offsets(topics.forecasts, 1);
  await log.deleteRecords(topics.forecasts, 1, end);
  const left = await verifyReplay({ log, config, models, until });
  expect(left).toMatchObject({ differences: [], passed: cut + end, compared: whole.compared - cut - end });

  // The first record that is left is found where it is another one.
  await log.ensureTopics([{ name: 'forged', partitions: PARTITIONS, cleanup: 'delete' }]);
  await log.append(
    records.map(({ timestamp, key, value }, i) => {
      const forecast = { ...decode<Forecast>('Forecast', value!), type: 'Forecast' as const };
      const bytes = i === cut ? encodeRecord({ ...forecast, model: 'mine' }) : value;
      return { topic: 'forged', partition: 0, timestamp, key, value: bytes };
    }),
  );
  await log.deleteRecords('forged', 0, cut);
  const forged = { ...config, topics: { ...topics, forecasts: 'forged' } };
  const { differences } = await verifyReplay({ log, config: forged, models, until });
  expect(differences).toMatchObject([
    { topic: 'forged', partition: 0, offset: cut },
    // Nothing was ever cut here.
    { topic: 'forged', partition: 1, what: 'the live topic ends before it' },
  ]);
}, 60_000);

it('takes history that a version without memory of corrections has written for what it says', async () => {
  const world = await newWorld();
  const { log, registry: models } = world;
  await play(world, 12, () => 12);
  const late = Array.from({ length: 6 }, (_, d) => `pump${d}`).map((device) => {
    const value = encodeRecord(reading(device, T0 + 9 * HOUR + 60_000, { level: 99 }));
    const partition = partitionFor(device, PARTITIONS);
    return { topic: topics.readings, partition, timestamp: T0 + 12 * HOUR, key: Buffer.from(device), value };
  });
  await log.append(late);
  await play(world, 12, () => 12);
  const until = await Promise.all([0, 1].map(async (p) => (await log.offsets(topics.readings, p)).end));
  await stopAt(world, until);
  const verified = async (history: string) =>
    (await verifyReplay({ log, config: { ...config, topics: { ...topics, history } }, models, until })).differences;
  expect(await verified(topics.history)).toEqual([]);

  const [released] = releasedOf('HistorySegment');
  const writer = compileSchema(released!.text);
  const header = Buffer.concat([Buffer.from([0xc3, 0x01]), fingerprint(writer)]);
  const earlier = (segment: HistorySegment) => Buffer.concat([header, writer.toBuffer(segment)]);
  const migrated = (segment: HistorySegment) => encodeRecord({ ...segment, replaced: [], exactFrom: segment.revision });
  let corrected = 0;
  const rewrite = async (topic: string, write: (segment: HistorySegment) => Uint8Array) => {
    await log.ensureTopics([{ name: topic, partitions: PARTITIONS, cleanup: 'compact' }]);
    for (let p = 0; p < PARTITIONS; p++) {
      const { records } = await log.read(topics.history, p, 0, { maxRecords: 1e6, maxBytes: 1e9 });
      await log.append(
        records.map(({ timestamp, key, value }) => {
          const segment = { ...decode<HistorySegment>('HistorySegment', value!), type: 'HistorySegment' as const };
          corrected += segment.replaced!.length;
          return { topic, partition: p, timestamp, key, value: write(segment) };
        }),
      );
    }
  };
  await rewrite('earlier', earlier);
  await rewrite('migrated', migrated);
  await rewrite('changed', (segment) => migrated({ ...segment, counts: segment.counts.map((n) => n + 1) }));
  await rewrite('forgetful', (segment) => encodeRecord({ ...segment, replaced: [] }));
  expect(corrected).toBeGreaterThan(0);
  expect([await verified('earlier'), await verified('migrated')]).toEqual([[], []]);
  expect((await verified('changed'))[0]!.what).toMatch(/^differs in counts/);
  expect((await verified('forgetful'))[0]!.what).toBe('differs in replaced');
}, 60_000);
