// What `EngineThreads` runs in each thread of its test on Kafka.
import { openKafkaLog } from '../../dist/log/kafka/kafka-log.js';
import { topologyOf } from './topologies.mjs';

export default async function make({ brokers, prefix }) {
  const log = await openKafkaLog({ brokers, prefix });
  const options = { log, topology: topologyOf('sums-1', log), group: 'threads' };
  return { options, close: () => log.close() };
}
