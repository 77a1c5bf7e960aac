import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lagging, RESULTS, type Sent, TIMES } from '../../../test/topologies/lagging.ts';
import { type Arrival, TwoPartitions } from '../../../test/two-partitions.ts';
import { unexcusedLate } from '../../../test/unexcused-late.ts';
import { TopologyTestDriver } from '../test-driver.ts';
import type { TimeOf, Topology } from '../topology.ts';
import { MAX_ORIGINS } from './key-times.ts';

const START = 10_000;

interface Step {
  readonly device: number;
  /** Milliseconds since the step before. */
  readonly after: number;
  /** How long it took until it came in. */
  readonly delay: number;
}

/** Device 0 is ahead of the others; devices are in the partition of their number, in a room with the two beside them. */
function arrivalsOf(steps: readonly Step[], ahead: number): Arrival[] {
  let now = START;
  const tick = (time: number): Arrival[] =>
    [0, 1].map((partition) => ({ partition, key: null, value: { tick: time }, ingestTime: time }));
  const arrivals = tick(now);
  for (const [id, { device, after, delay }] of steps.entries()) {
    for (let left = after; left > 0; left -= 20) {
      now += Math.min(left, 20);
      arrivals.push(...tick(now));
    }
    const value = { id, room: `room-${device < 3 ? 0 : 1}`, t: now - delay + (device === 0 ? ahead : 0) };
    arrivals.push({ partition: device % 2, key: `device-${device}`, value, ingestTime: now });
  }
  for (const later of [500, 1_000, ahead + 500, ahead + 1_000]) arrivals.push(...tick(now + later));
  return arrivals;
}

interface Order {
  /** Which partition comes next, and what happens next: 1 ends the micro-batch, 2 restarts too. */
  readonly turns: readonly { readonly partition: number; readonly next: number }[];
}

function play(topology: Topology, arrivals: readonly Arrival[], { turns }: Order): TwoPartitions {
  const run = new TwoPartitions(topology, arrivals);
  for (let i = 0; ; i++) {
    const { partition, next } = turns[i % turns.length]!;
    if (!run.take(partition)) break;
    if (next === 2) run.restart();
    else if (next === 1) run.cut();
  }
  run.cut();
  return run;
}

const linesOf = (run: TwoPartitions, topic: string): string[] =>
  run.outputs.filter((out) => out.topic === topic).map(({ key, value }) => `${key} ${value}`);
const results = (run: TwoPartitions): string[] =>
  RESULTS.flatMap((topic) => linesOf(run, topic).map((line) => `${topic} ${line}`)).sort();
const late = (run: TwoPartitions): Sent[] =>
  run.outputs.filter(({ topic }) => topic === 'late').map(({ value }) => JSON.parse(String(value)));
/** Records in closed minutes. */
const counted = (run: TwoPartitions): number =>
  linesOf(run, 'minutes').reduce((sum, line) => sum + JSON.parse(line.slice(line.indexOf(' '))).value.length, 0);

/** One partition is read to its end before the other. */
const oneFirst = (partition: number): Order => ({ turns: [{ partition, next: 1 }] });
const inTurns: Order = { turns: [0, 1].map((partition) => ({ partition, next: 1 })) };

const steps = fc.array(fc.record({ device: fc.nat(5), after: fc.nat(60), delay: fc.nat(TIMES.graceMs) }), {
  minLength: 1,
  maxLength: 40,
});
const order: fc.Arbitrary<Order> = fc.record({
  turns: fc.array(fc.record({ partition: fc.nat(1), next: fc.nat(2) }), { minLength: 1, maxLength: 30 }),
});

/** Whatever order the partitions come in, nothing is late, and what closes is the same. */
const anyOrder = (timeOf: TimeOf) =>
  fc.property(steps, fc.nat(3_000), order, (list, ahead, chosen) => {
    const arrivals = arrivalsOf(list, ahead);
    const run = play(lagging(timeOf), arrivals, chosen);
    expect(late(run)).toEqual([]);
    expect(counted(run)).toBe(list.length);
    expect(results(run)).toEqual(results(play(lagging(timeOf), arrivals, inTurns)));
    expect(results(run)).toEqual(results(play(lagging(timeOf), arrivals, oneFirst(1))));
  });

/** Clocks fall behind by and by: nothing that is within the grace of its own device's watermark is late. */
const ownWatermark = (timeOf: TimeOf) =>
  fc.property(
    steps,
    fc.nat(3_000),
    fc.array(fc.nat(60), { minLength: 6, maxLength: 6 }),
    order,
    (list, ahead, drift, chosen) => {
      const slow = list.map((step, i) => ({ ...step, delay: step.delay + Math.floor((i * drift[step.device]!) / 2) }));
      const arrivals = arrivalsOf(slow, ahead);
      const ids = new Set(late(play(lagging(timeOf), arrivals, chosen)).map(({ id }) => id));
      const partitions = [0, 1].map((partition) => arrivals.filter((arrival) => arrival.partition === partition));
      expect(unexcusedLate(partitions, ids)).toEqual([]);
    },
  );

describe('event time behind keyBy', () => {
  it('costs no record and changes no result, whichever partition lags and whichever device is ahead', () => {
    fc.assert(anyOrder('origin'), { numRuns: 150 });
  });

  it('would cost records if the time of a key were its own', () => {
    expect(fc.check(anyOrder('key'), { numRuns: 150 }).failed).toBe(true);
  });

  it('holds for devices that fall further behind than the grace, as long as they are heard', () => {
    fc.assert(ownWatermark('origin'), { numRuns: 150 });
  });

  it('would not hold if the time of a key were its own', () => {
    expect(fc.check(ownWatermark('key'), { numRuns: 150 }).failed).toBe(true);
  });

  it('gives the same bytes for any micro-batches and restarts', () => {
    fc.assert(
      fc.property(steps, fc.nat(3_000), order, (list, ahead, { turns }) => {
        const arrivals = arrivalsOf(list, ahead);
        const whole = turns.map(({ partition }) => ({ partition, next: 0 }));
        const [cut, uncut] = [play(lagging(), arrivals, { turns }), play(lagging(), arrivals, { turns: whole })];
        for (const topic of [...RESULTS, 'late']) expect(linesOf(cut, topic)).toEqual(linesOf(uncut, topic));
      }),
      { numRuns: 100 },
    );
  });

  it('gives results when the last device has passed, falls quiet, or is hopelessly behind', () => {
    const driver = new TopologyTestDriver(lagging());
    let id = 0;
    const minutes = () => driver.records<{ start: number }>('minutes-out').map(({ value }) => value.start);
    const pipe = (device: string, t: number, now: number) => {
      driver.pipe('readings', device, { id: id++, room: 'hall', t }, t, now);
    };
    driver.tick(1_000);
    for (const device of ['a', 'b']) pipe(device, 1_000, 1_000);
    driver.tick(1_095);
    pipe('a', 1_095, 1_095);
    // b can still have something for it.
    expect(minutes()).toEqual([]);
    pipe('b', 1_090, 1_095);
    expect(minutes()).toEqual([1_000]);
    pipe('b', 1_100, 1_105);
    for (let now = 1_110; now <= 1_260; now += 10) {
      driver.tick(now);
      pipe('a', now, now);
    }
    // b has not been heard for 150 ms; what ends after 1,220 waits for the ticks.
    expect(minutes()).toEqual([1_000, 1_050, 1_100, 1_150]);
    pipe('old', -5_000, 1_260);
    driver.tick(1_290);
    pipe('a', 1_290, 1_290);
    pipe('a', 1_295, 1_290);
    expect(minutes()).toEqual([1_000, 1_050, 1_100, 1_150, 1_200]);
    expect(driver.values<Sent>('minutes-late').map(({ t }) => t)).toEqual([-5_000]);
    driver.tick(2_000);
    expect(minutes().at(-1)).toBe(1_250);
  });

  it('bounds the state of a key of very many devices, and is late for none of them', () => {
    const count = MAX_ORIGINS + 500;
    const tick = (time: number): Arrival[] =>
      [0, 1].map((partition) => ({ partition, key: null, value: { tick: time }, ingestTime: time }));
    const arrivals = tick(START);
    for (let i = 0; i < 6 * count; i++) {
      const now = START + Math.floor(i / 50);
      if (i % 500 === 0) arrivals.push(...tick(now));
      const device = i % count;
      // A third is behind by more than the grace, from the second round on.
      const behind = device % 3 === 0 ? 25 * Math.floor(i / count) : 0;
      const value = { id: i, room: 'all', t: now - behind };
      arrivals.push({ partition: device % 2, key: `device-${device}`, value, ingestTime: now });
    }
    arrivals.push(...tick(START + 2_000), ...tick(START + 3_000));
    const run = new TwoPartitions(lagging('origin', ['minutes']), arrivals);
    let most = 0;
    for (let i = 0; run.take(i % 2); i++) {
      if (i % 500 === 0) run.restart();
      if (i === 2 * count) most = run.stored('minutes/origins').get('all')!;
    }
    run.cut();
    expect(late(run)).toEqual([]);
    expect(counted(run)).toBe(6 * count);
    // Not 20 bytes and more for each.
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(300);
  }, 30_000);

  it('takes what a version without origins has left on the topic', () => {
    const driver = new TopologyTestDriver(lagging());
    const framed = (t: number, id: number) => {
      const bytes = Buffer.alloc(9);
      bytes.writeDoubleLE(t, 1);
      return Buffer.concat([bytes, Buffer.from(JSON.stringify({ id, room: 'hall', t }))]);
    };
    driver.pipeBytes('by-room', 'hall', framed(1_000, 0), 1_000);
    driver.pipeBytes('by-room', 'hall', framed(1_200, 1), 1_200);
    expect(driver.values('minutes-out')).toEqual([{ start: 1_000, end: 1_050, value: [0], revision: 1 }]);
  });
});

it('forgets a key behind a keyBy after the idle and the forgetting time, not before, whatever closed its windows', async () => {
  const driver = new TopologyTestDriver(lagging(undefined, RESULTS, 1_000));
  const stores = [
    ['minutes', 'windows'],
    ['walks', 'windows'],
    ['paces', 'values'],
    ['pairs', 'waiting'],
  ] as const;
  const held = () => stores.map(([node, store]) => driver.state(node, store).range().length);
  const origins = () => stores.map(([node]) => driver.state(node, 'origins').range().length);
  driver.tick(START);
  for (let id = 0; id < 4; id++) {
    driver.pipe('readings', `device-${id}`, { id, room: 'hall', t: START }, START, START);
  }
  // Ticks close all that is open before anybody falls quiet.
  driver.tick(START + 140);
  expect(held()).toEqual([1, 1, 1, 1]);
  driver.tick(START + TIMES.idleMs);
  await driver.restart();
  // Late, and a sign of life.
  driver.pipe('readings', 'device-1', { id: 5, room: 'hall', t: START - 1_000 }, START - 1_000, START + 300);
  expect(RESULTS.map((node) => driver.counts.get(node, 'late'))).toEqual([1, 1, 1, 1]);
  driver.tick(START + 300 + TIMES.idleMs);
  driver.tick(START + 300 + TIMES.idleMs + 999);
  expect(held()).toEqual([1, 1, 1, 1]);
  driver.tick(START + 300 + TIMES.idleMs + 1_000);
  expect([held(), origins()]).toEqual([
    [0, 0, 0, 0],
    [0, 0, 0, 0],
  ]);
});
