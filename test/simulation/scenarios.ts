import type { LogRecord, OutRecord, TopicSpec } from '../../src/log/event-log.ts';
import type { TimeOf, Topology } from '../../src/topology/topology.ts';
import { lagging, RESULTS, TIMES } from '../topologies/lagging.ts';
import { rooms } from '../topologies/rooms.ts';
import { sums } from '../topologies/sums.ts';
import { unexcusedLate } from '../unexcused-late.ts';
import type { Random } from './scheduler.ts';

export const PARTITIONS = 2;

/** A topology with topics and an input of random records. */
export interface Scenario {
  readonly topology: Topology;
  readonly topics: readonly TopicSpec[];
  /** On the log before anything begins. */
  readonly first?: readonly OutRecord[];
  /** In the order in which they are sent; they may arrive in another. */
  inputOf(random: Random): OutRecord[];
  /**
   * What must hold beside the outputs being those of an undisturbed run.
   * @param records what a topic has, by partition. @returns what is wrong.
   */
  check?(records: (topic: string) => readonly (readonly LogRecord[])[]): string | undefined;
}

const spec = (name: string): TopicSpec => ({ name, partitions: PARTITIONS, cleanup: 'delete' });

/** One source: keyed state, timers, a global that broadcasts set, poison that changes state before it throws. */
const single = (): Scenario => ({
  topology: sums('dead-letter'),
  topics: ['in', 'out', 'dead-letters'].map((name) => spec(name)),
  inputOf: (random) =>
    Array.from({ length: PARTITIONS }, (_, partition) => {
      let timestamp = 1000;
      return Array.from({ length: 10 + random.below(40) }, (): OutRecord => {
        timestamp += random.below(8);
        const what = random.next();
        const key = what < 0.7 ? Buffer.from(`key-${partition}-${random.below(4)}`) : null;
        const item =
          key !== null
            ? { v: random.below(12) - 1, t: timestamp }
            : what < 0.9
              ? { tick: timestamp }
              : { say: random.below(5) };
        const value = random.chance(0.03) ? Buffer.from('damaged') : Buffer.from(JSON.stringify(item));
        return { topic: 'in', partition, timestamp, key, value };
      });
    }).flat(),
});

/** Two sources and two sub-topologies: a table whose rows change, a join of streams, windows behind a repartition topic. */
const several = (): Scenario => ({
  topology: rooms(),
  // Not compacted: which of a row's values a task still finds would depend on when it reads.
  topics: ['readings', 'devices', 'corrected', 'pairs', 'counts', 'dead-letters'].map((name) => spec(name)),
  inputOf: (random) => {
    let timestamp = 1000;
    return Array.from({ length: 20 + random.below(50) }, (): OutRecord[] => {
      timestamp += random.below(40);
      const device = random.below(5);
      const partition = device % PARTITIONS;
      const key = Buffer.from(`device-${device}`);
      const what = random.next();
      if (what < 0.2) {
        const row = random.chance(0.2) ? null : Buffer.from(JSON.stringify({ offset: random.below(9) }));
        return [{ topic: 'devices', partition, timestamp, key, value: row }];
      }
      if (what < 0.4) {
        const value = Buffer.from(JSON.stringify({ tick: timestamp }));
        return Array.from({ length: PARTITIONS }, (_, p) => ({
          topic: 'readings',
          partition: p,
          timestamp,
          key: null,
          value,
        }));
      }
      const value = Buffer.from(JSON.stringify({ room: `room-${random.below(3)}`, value: random.below(20) }));
      return [{ topic: 'readings', partition, timestamp, key, value }];
    }).flat();
  },
});

const tickTo = (partition: number, time: number): OutRecord => {
  const value = Buffer.from(JSON.stringify({ tick: time }));
  return { topic: 'readings', partition, timestamp: time, key: null, value };
};
const FORGET_MS = 60;
const everyPartition = Array.from({ length: PARTITIONS }, (_, partition) => partition);

/**
 * Windows and a join behind a repartition topic. One device has a fast clock, another one falls behind, and often one
 * partition comes only when the other is through: nothing may be late by that. At times nobody sends anything until what
 * is kept of every key has been forgotten.
 */
const lags = (timeOf?: TimeOf): Scenario => ({
  topology: lagging(timeOf, RESULTS, FORGET_MS),
  topics: ['readings', ...RESULTS, 'late', 'dead-letters'].map((name) => spec(name)),
  first: everyPartition.map((partition) => tickTo(partition, 1000)),
  inputOf: (random) => {
    let timestamp = 1000;
    const ahead = random.below(3_000);
    const drift = random.below(30);
    const sent = Array.from({ length: 30 + random.below(50) }, (_, id): OutRecord[] => {
      timestamp += random.chance(0.04) ? TIMES.idleMs + 2 * FORGET_MS : random.below(30);
      if (random.chance(0.3)) return everyPartition.map((partition) => tickTo(partition, timestamp));
      const device = random.below(6);
      const off = device === 0 ? ahead : device === 5 ? -drift * id : 0;
      const room = `room-${device < 3 ? 0 : 1}`;
      const value = Buffer.from(JSON.stringify({ id, room, t: timestamp + off - random.below(40) }));
      const key = Buffer.from(`device-${device}`);
      return [{ topic: 'readings', partition: device % PARTITIONS, timestamp, key, value }];
    }).flat();
    return random.chance(0.5) ? sent.sort((a, b) => a.partition! - b.partition!) : sent;
  },
  check: (records) => {
    const read = ({ value }: LogRecord) => JSON.parse(Buffer.from(value!).toString('utf8'));
    const late = new Set(records('late').flatMap((partition) => partition.map((record) => read(record).id as number)));
    const partitions = records('readings').map((lines) => {
      return lines.map((record) => {
        const { key, timestamp } = record;
        return { key: key === null ? null : String(key), value: read(record), ingestTime: timestamp };
      });
    });
    const lost = unexcusedLate(partitions, late);
    return lost.length === 0 ? undefined : `late, and within the grace of their own devices: ${JSON.stringify(lost)}`;
  },
});

export const SCENARIOS = { single, several, lags } as const;
