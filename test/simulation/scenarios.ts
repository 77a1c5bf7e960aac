import type { OutRecord, TopicSpec } from '../../src/log/event-log.ts';
import type { Topology } from '../../src/topology/topology.ts';
import { rooms } from '../topologies/rooms.ts';
import { sums } from '../topologies/sums.ts';
import type { Random } from './scheduler.ts';

export const PARTITIONS = 2;

/** A topology with topics and an input of random records. */
export interface Scenario {
  readonly topology: Topology;
  readonly topics: readonly TopicSpec[];
  /** In the order in which they are sent; they may arrive in another. */
  inputOf(random: Random): OutRecord[];
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

export const SCENARIOS = { single, several } as const;
