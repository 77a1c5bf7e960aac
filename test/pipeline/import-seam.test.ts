import { expect, it } from 'vitest';
import { encodeRecord } from '../../src/events/codec.ts';
import { partitionFor } from '../../src/log/partitioner.ts';
import { importHistory } from '../../src/retraining/history-import.ts';
import { readHistory } from '../../src/retraining/history-reader.ts';
import { HOUR } from '../readings.ts';
import { config, newWorld, PARTITIONS, play, T0, topics, until } from './world.ts';

it('keeps imported buckets where the stream goes on in the middle of their segment', async () => {
  const world = await newWorld();
  const { log } = world;
  const { interval, segment } = config;
  // The live stream begins in the middle of a segment, two hours before the import ends.
  const span = segment * HOUR;
  const seam = (Math.ceil(T0 / span) * span - T0) / HOUR + (segment >> 1);
  const device = 'pump2';
  const buckets = Array.from({ length: 3 * segment }, (_, i) => {
    return { device, quantity: 'level', time: T0 + (seam + 2 - 3 * segment + i) * HOUR, value: 1000 + i };
  });
  const options = { log, topics, now: () => T0, interval, segment };
  expect(await importHistory(options, buckets)).toMatchObject({ buckets: 3 * segment, kept: 0 });
  expect(await importHistory(options, buckets)).toMatchObject({ buckets: 0, segments: 0 });

  world.hour = seam;
  await play(world, 2 * segment, () => 12);
  const partition = partitionFor(device, PARTITIONS);
  const time = T0 + (seam + 2 * segment) * HOUR;
  const value = encodeRecord({ type: 'HistoryFlush', id: 'now', time });
  await log.append([{ topic: topics.readings, partition, timestamp: time, key: null, value }]);
  const read = async () =>
    (await readHistory({ log, topic: topics.history, only: new Set([`${device}/level`]) })).series;
  await until(async () => (await read())[0]!.values.length >= 5 * segment - 4);
  await log.maintain();

  const [series] = await read();
  expect(series!.start).toBe(buckets[0]!.time);
  expect(series!.values.findIndex((one) => Number.isNaN(one))).toBe(-1);
  // What both have is the pipeline's.
  const first = 3 * segment - 2;
  expect([...series!.values.slice(0, first)]).toEqual(buckets.slice(0, first).map((bucket) => bucket.value));
  expect(Math.max(...series!.values.slice(first))).toBeLessThan(100);
});
