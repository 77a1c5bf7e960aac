import { expect, it } from 'vitest';
import { config, newWorld, PARTITIONS, play, T0, topics, until as waitFor } from '../../test/pipeline/world.ts';
import { HOUR } from '../../test/readings.ts';
import { decode, encodeRecord } from '../events/codec.ts';
import type { Forecast } from '../events/records.ts';
import { subtopologyGroup } from '../topology/engine.ts';
import { verifyReplay } from './verify-replay.ts';

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
  await waitFor(async () => {
    const committed = await log.committed(subtopologyGroup('live', 'readings'));
    return until.every((end, p) => (committed.get(`${topics.readings}/${p}`) ?? 0) >= end);
  });
  await world.engine.stop();
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
