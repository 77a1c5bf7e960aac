// What each thread of the benchmark runs.
import { openKafkaLog } from '../../dist/log/kafka/kafka-log.js';
import { statistics } from './statistics.mjs';

export default async function make({ brokers, prefix, group, until, batch, first }) {
  const log = await openKafkaLog({ brokers: brokers.split(','), prefix });
  const began = new Float64Array(first);
  const options = {
    log,
    topology: statistics(() => {
      if (began[0] === 0) began[0] = Date.now();
    }),
    group,
    stateTopic: `state-${group}`,
    until: new Map(until),
    batch,
  };
  return { options, close: () => log.close() };
}
