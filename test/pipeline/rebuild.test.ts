import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { encodeRecord } from '../../src/events/codec.ts';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import type { OutRecord } from '../../src/log/event-log.ts';
import { partitionFor } from '../../src/log/partitioner.ts';
import { rebuild } from '../../src/retraining/rebuild.ts';
import { trainOnHistory } from '../../src/retraining/train.ts';
import { HOUR, reading } from '../readings.ts';
import { config, newWorld, PARTITIONS, T0, topics, until, type World } from './world.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleetcast-rebuild-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Each device stands at a time of its own: the sixth is 65 hours behind the first. */
const behind = (device: number) => device * 13;

/** One reading an hour and device; where `late`, also one for a bucket that has closed. */
async function hours(world: World, from: number, to: number, late: boolean): Promise<void> {
  const records: OutRecord[] = [];
  for (let hour = from; hour < to; hour++) {
    const ingest = T0 + hour * HOUR;
    for (let d = 0; d < 6; d++) {
      const device = `pump${d}`;
      const put = (time: number, level: number) => {
        const value = encodeRecord(reading(device, time, { level }));
        const partition = partitionFor(device, PARTITIONS);
        records.push({ topic: topics.readings, partition, timestamp: ingest, key: Buffer.from(device), value });
      };
      const own = hour - behind(d);
      if (own < 0) continue;
      put(T0 + own * HOUR, 10 * d + 3 * Math.sin((own / 12) * 2 * Math.PI + d) + Math.sin(own * own));
      if (late && hour % 5 === d) put(T0 + (own - 3) * HOUR + 60_000, own);
    }
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const value = encodeRecord({ type: 'Tick', time: ingest + 2000 });
      records.push({ topic: topics.readings, partition, timestamp: ingest + 2000, key: null, value });
    }
  }
  const ends = await world.log.append(records);
  const wanted = new Map(records.map(({ partition }, i) => [partition, ends[i]!]));
  const passed = () =>
    world.engine.status().every(({ partition, inputs }) => inputs[0]!.offset > wanted.get(partition)!);
  await until(async () => passed());
}

it('rebuilds bit for bit after compaction, from series that stood at different times, also where late readings came since', async () => {
  const world = await newWorld(await openEmbeddedLog({ path: join(folder, 'data'), maintainEveryMs: 0 }));
  const { log, registry } = world;
  let now = T0;
  const train = (settings: Record<string, number>) =>
    trainOnHistory({ log, topics, windows: config, now: () => ++now, settings, flushPatienceMs: 30_000 });
  const again = async (id: string) => rebuild({ log, topics }, await registry.load(id), registry);

  await hours(world, 0, 300, false);
  const first = await train({ width: 8, maxSteps: 30, seed: 5 });
  expect(await again(first.id)).toMatchObject({ identical: true, difference: '' });

  // In order first, then with late readings, which correct what the sets held.
  await hours(world, 300, 330, false);
  await log.maintain();
  expect(await again(first.id)).toMatchObject({ identical: true, difference: '' });
  const second = await train({ width: 8, maxSteps: 30, seed: 6 });
  await hours(world, 330, 420, true);
  await log.maintain();
  for (const { id } of [first, second]) expect(await again(id)).toMatchObject({ identical: true, difference: '' });

  // What is not the set of then is told before anything is trained.
  const served = await registry.load(second.id);
  const { settings } = served.artefact.training;
  const training = { ...served.artefact.training, settings: { ...settings, dataDigest: 'another' } };
  const forged = { ...served, artefact: { ...served.artefact, training } };
  const told = await rebuild({ log, topics }, forged, registry);
  expect(told.difference).toMatch(/the training set is not the one of then/);
}, 300_000);
