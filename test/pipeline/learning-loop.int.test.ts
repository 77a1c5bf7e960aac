import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeRecord } from '../../src/events/codec.ts';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { Random } from '../../src/models/random.ts';
import { type HistorySeries, readHistory } from '../../src/retraining/history-reader.ts';
import type { Learner } from '../../src/retraining/learner.ts';
import { readModelLine } from '../../src/retraining/model-line.ts';
import { rebuild } from '../../src/retraining/rebuild.ts';
import { newRequest, publishTrained, requestedEvent, trainRequest } from '../../src/retraining/train.ts';
import { trainApart } from '../../src/retraining/train-apart.ts';
import { verifyReplay } from '../../src/retraining/verify-replay.ts';
import { startKafka } from '../log/kafka-broker.ts';
import {
  config,
  events,
  kinds,
  newWorld,
  play,
  playUntil,
  servedError,
  startLearner,
  T0,
  topics,
  until,
} from './world.ts';

const folder = mkdtempSync(join(tmpdir(), 'fleetcast-loop-'));
const kafka = await startKafka();
afterAll(async () => {
  await kafka?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const network = {
  triggers: { firstAfter: 260, every: 0, driftAfter: 120, newSeries: 0 },
  request: { settings: { width: 16, maxSteps: 900, seed: 1 } },
  ridgeBeside: false,
};

const logs: [string, boolean, () => Promise<EventLog>][] = [
  ['embedded', true, () => openEmbeddedLog({ path: join(folder, 'data') })],
  [
    'Kafka',
    kafka !== undefined,
    () => openKafkaLog({ brokers: kafka!.brokers, prefix: `loop-${process.pid}-${Date.now()}.` }),
  ],
];

describe.each(logs)('the learning loop with a network, %s', (_name, there, open) => {
  it.skipIf(!there)(
    'follows a season that changes, and rejects a poisoned challenger; replays to the same bytes',
    async () => {
      const world = await newWorld(await open());
      const { log } = world;
      let learner = await startLearner(world, network);
      const changesAt = 420;
      const wave = (hour: number) => (hour < changesAt ? 12 : 17);
      await playUntil(world, 400, wave, async () => (await kinds(log)).includes('promoted'));
      await play(world, changesAt - world.hour, wave);
      const promotions = async () => (await kinds(log)).filter((kind) => kind === 'promoted').length;
      await playUntil(world, 900, wave, async () => (await promotions()) === 2);
      expect(await promotions()).toBe(2);
      const promotedAt = world.hour;
      const asked = (await events(log)).filter(({ kind }) => kind === 'requested').map(({ reason }) => reason);
      expect(asked[1]).toContain('the error has risen since');
      await playUntil(world, 200, wave, async () => (await kinds(log)).includes('retired'));
      await play(world, 40, wave);
      const calm = await servedError(log, 330, changesAt);
      expect(await servedError(log, changesAt + 12, promotedAt)).toBeGreaterThan(1.5 * calm);
      expect(await servedError(log, promotedAt + 12, world.hour)).toBeLessThan(1.5 * calm);

      // A challenger that was trained on shuffled data: its hold-out was shuffled as well, and lets it through.
      await learner.stop();
      const champion = (await readModelLine(log, topics.modelEvents, 'default')).champion;
      await publishPoisoned(log);
      learner = await startLearner(world, { ...network, memberId: 'other' });
      await playUntil(world, 300, wave, async () => (await kinds(log)).at(-1) === 'rejected');
      expect((await kinds(log)).slice(-4)).toEqual(['requested', 'trained', 'shadowed', 'rejected']);
      expect((await events(log)).at(-1)!.reason).toMatch(/^champion-better: MAE /);
      expect((await readModelLine(log, topics.modelEvents, 'default')).champion).toBe(champion);
      await learner.stop();

      const ends = await Promise.all([0, 1].map(async (p) => (await log.offsets(topics.readings, p)).end));
      await until(async () =>
        world.engine.status().every(({ inputs, partition }) => inputs[0]!.offset >= ends[partition]!),
      );
      const verified = await verifyReplay({ log, config, models: world.registry, until: ends });
      expect(verified.differences).toEqual([]);
      expect(verified.compared).toBeGreaterThan(3000);
      expect(await rebuild({ log, topics }, await world.registry.load(champion), world.registry)).toMatchObject({
        identical: true,
      });
    },
    240_000,
  );

  it.skipIf(!there)(
    'lets exactly one of several learners work',
    async () => {
      const world = await newWorld(await openFresh(open));
      const learners = await Promise.all(
        ['a', 'b', 'c'].map((memberId) => startLearner(world, { memberId, sessionMs: 6_000 })),
      );
      await play(world, 180, () => 12);
      await until(async () => (await kinds(world.log)).includes('promoted'));
      const at = () => learners.findIndex((each: Learner) => each.status().state === 'waiting');
      await until(async () => at() >= 0);
      expect(learners.filter((each) => each.status().state === 'standby')).toHaveLength(2);
      const first = at();
      await learners[first]!.stop();
      await until(async () => at() >= 0 && at() !== first);
      expect(await kinds(world.log)).toEqual(['requested', 'trained', 'promoted']);
    },
    120_000,
  );
});

let fresh = 0;
async function openFresh(open: () => Promise<EventLog>): Promise<EventLog> {
  return open === logs[0]![2] ? openEmbeddedLog({ path: join(folder, `data-${fresh++}`) }) : open();
}

/** Does what a learner does, but for the data: the values of each series in a random order. */
async function publishPoisoned(log: EventLog): Promise<void> {
  let time = T0 + 1e9;
  const desk = { log, topics, now: () => ++time };
  const request = await newRequest(desk, { ...network.request, reason: 'poisoned', flushPatienceMs: 10_000 });
  await log.appendAtomically([requestedEvent(desk, request)]);
  const { series } = await readHistory({ log, topic: topics.history, ranges: request.ranges });
  const random = new Random(13);
  const values = series.map((one) => shuffled(one, random));
  const history = { values, replaced: [], skipped: 0 };
  const trained = await trainApart({ history, windows: config, request, ridgeBeside: false });
  const { artefact, model } = await trainRequest(desk, config, { ...request, family: 'ridge', trainer: 'ridge' });
  await publishTrained(desk, request, { ...trained, artefact, model, cpuMs: 0 });
}

function shuffled({ device, quantity, start, interval, values, counts }: HistorySeries, random: Random): Uint8Array {
  const mixed = Array.from(values);
  for (let i = mixed.length - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [mixed[i], mixed[other]] = [mixed[other]!, mixed[i]!];
  }
  return encodeRecord({
    type: 'HistorySegment',
    device,
    quantity,
    start,
    interval,
    values: mixed,
    counts: Array.from(counts),
    revision: 0,
    complete: true,
  });
}
