import { encodeRecord } from '../../src/events/codec.ts';
import type { EventLog, OutRecord } from '../../src/log/event-log.ts';
import { openKafkaLog } from '../../src/log/kafka/kafka-log.ts';
import { MemoryLog } from '../../src/log/memory/memory-log.ts';
import { partitionFor } from '../../src/log/partitioner.ts';
import { Random } from '../../src/models/random.ts';
import { topicSpecs } from '../../src/pipelines/topics.ts';
import { Engine } from '../../src/topology/engine.ts';
import type { Topology } from '../../src/topology/topology.ts';
import { HOUR, reading } from '../readings.ts';
import { config, topologyOf } from './topologies.mjs';
import { contents, difference, line, type TortureTopology } from './torture-topology.ts';

const { topics } = config;
const CHECKED = [topics.forecasts, topics.history, topics.scores, topics.alerts, topics.deadLetters];
const START = Date.UTC(2026, 0, 1);
const PARTITIONS = 4;
const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition);
const DEVICES = 40;

/**
 * The forecasting pipeline: every output topic has to hold, byte for byte and in order, what one undisturbed engine on
 * the memory log makes of the same input.
 */
export function forecastingUnderTorture(seed: number): TortureTopology {
  return {
    name: 'forecasting',
    inputs: [topics.readings],
    partitions: PARTITIONS,
    prepare: async (log, { brokers, prefix }) => {
      const specs = topicSpecs(topics, { partitions: PARTITIONS });
      // Every revision of the history is compared: the broker must not clean it meanwhile.
      const keeper = await openKafkaLog({ brokers, prefix, topicConfig: { 'min.cleanable.dirty.ratio': '1' } });
      await keeper.ensureTopics(specs.filter(({ name }) => name === topics.history));
      await keeper.close();
      await log.ensureTopics(specs);
      return [];
    },
    hour: (hour) => hourOf(hour, seed),
    last: () => [],
    check: async (log, input, look) => {
      const undisturbed = await peaceful(input);
      const wrong: string[] = [];
      const outputs: Record<string, number> = {};
      const compare = async (topic: string, partition: number): Promise<void> => {
        const expected = (await contents(undisturbed, topic, partition, 0)).map(line);
        const found = (await contents(log, topic, partition, expected.length, look)).map(line);
        outputs[topic] = (outputs[topic] ?? 0) + found.length;
        const fault = difference(`${topic}/${partition}`, found, expected);
        if (fault !== undefined) wrong.push(fault);
      };
      await Promise.all(CHECKED.flatMap((topic) => partitions.map((partition) => compare(topic, partition))));
      await undisturbed.close();
      return { outputs, wrong };
    },
  };
}

/** One hour of the fleet and a tick for each partition; some values are missing, some readings late or bad. */
function hourOf(hour: number, seed: number): OutRecord[] {
  const random = new Random(seed * 100_003 + hour);
  const records: OutRecord[] = [];
  for (let d = 0; d < DEVICES; d++) {
    if (random.uniform() < 0.03) continue;
    const device = `pump-${d}`;
    const late = random.uniform() < 0.05 ? 2 * HOUR : 0;
    const level = random.uniform() < 0.01 ? Number.NaN : d + 3 * Math.sin(hour / 6 + d) + random.normal();
    const value = encodeRecord(reading(device, START + hour * HOUR - late + d, { level, flow: hour % 7 }));
    const timestamp = START + hour * HOUR + 1000 + d;
    records.push({
      topic: topics.readings,
      partition: partitionFor(device, PARTITIONS),
      timestamp,
      key: Buffer.from(device),
      value,
    });
  }
  const time = START + hour * HOUR + 60_000;
  for (const partition of partitions) {
    records.push({
      topic: topics.readings,
      partition,
      timestamp: time,
      key: null,
      value: encodeRecord({ type: 'Tick', time }),
    });
  }
  return records;
}

/** One engine on the memory log, which nothing disturbs. */
async function peaceful(input: readonly OutRecord[]): Promise<EventLog> {
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: PARTITIONS }));
  await log.append(input);
  const until = new Map<string, number>();
  for (const partition of partitions) {
    until.set(`${topics.readings}/${partition}`, (await log.offsets(topics.readings, partition)).end);
  }
  const engine = new Engine({ log, topology: topologyOf('forecasting', log) as Topology, group: 'torture', until });
  await engine.start();
  await engine.finished();
  await engine.stop();
  return log;
}
