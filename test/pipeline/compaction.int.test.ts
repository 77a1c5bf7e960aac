import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { EventLog } from '../../src/log/event-log.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { flushHistory } from '../../src/retraining/flush.ts';
import { cli } from '../cli/run-cli.ts';
import { startKafka } from '../log/kafka-broker.ts';
import { HOUR } from '../readings.ts';
import { newWorld, PARTITIONS, play, shape, T0, topics, until } from './world.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleetcast-compaction-'));
const kafka = await startKafka(1, { properties: () => 'log.cleaner.backoff.ms=500' });
afterAll(async () => {
  await kafka?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function records(log: EventLog): Promise<number> {
  let count = 0;
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const { earliest, end } = await log.offsets(topics.history, partition);
    for (let next = earliest; next < end; ) {
      const batch = await log.read(topics.history, partition, next, { maxRecords: 10_000 });
      count += batch.records.length;
      next = batch.nextOffset;
    }
  }
  return count;
}

describe.skipIf(kafka === undefined)('history that Kafka has compacted', () => {
  it('gives the same table as before', async () => {
    const prefix = `compaction-${Date.now()}.`;
    // Segments of a second, to be cleaned as soon as they are closed.
    const topicConfig = { 'segment.ms': '1000', 'min.cleanable.dirty.ratio': '0.001', 'max.compaction.lag.ms': '1000' };
    const log = await openKafkaLog({ brokers: kafka!.brokers, prefix, topicConfig });
    // The readings of this world are from long ago.
    const years = 7 * 24 * HOUR * 5200;
    const world = await newWorld(log, { readingsRetentionMs: years, outputRetentionMs: years });
    for (let half = 0; half < 12; half += 2) await play(world, 12, () => 12);
    const flush = (id: string) => flushHistory({ log, topics, now: () => T0, id, patienceMs: 20_000 });
    const { flushed } = await flush('one');
    expect(flushed).toBe(true);

    const config = join(folder, 'fleetcast.yaml');
    writeFileSync(
      config,
      stringify({
        log: { kafka: { brokers: kafka!.brokers } },
        topics: { prefix, partitions: PARTITIONS, readingsRetention: '5200w', outputRetention: '5200w' },
        pipeline: shape,
      }),
    );
    const table = async () => {
      const { out, notes } = await cli(['history', 'export', '--config', config]);
      expect(notes).toEqual([]);
      return out;
    };
    const before = await table();
    expect(before.length).toBeGreaterThan(6 * 70);
    const written = await records(log);
    // The cleaner leaves the segment that is being written alone: what comes next closes it.
    let n = 0;
    await until(async () => {
      await flush(`again-${n++}`);
      await new Promise((resolve) => setTimeout(resolve, 1200));
      return (await records(log)) < written - 20;
    });
    expect(await table()).toEqual(before);
    expect(n).toBeGreaterThan(0);
  }, 300_000);
});
