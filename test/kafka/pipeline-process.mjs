// A process that runs a topology on Kafka, for tests that kill it. One argument, JSON: brokers, prefix, group, member,
// topology (forecasting, joins, sums-1, sums-2 or sums-3), sessionMs, standby. Lines on standard output: `ready`, then what its tasks
// tell; with standby also `read N of TASK` (records of the state topic, at each restore) and `copy TASK LAG KEYS`.
// SIGTERM ends it in order.
import { openKafkaLog } from '../../dist/log/kafka/kafka-log.js';
import { Engine } from '../../dist/topology/engine.js';
import { topologyOf } from './topologies.mjs';

const { brokers, prefix, group, member, topology, sessionMs = 2000, standby } = JSON.parse(process.argv[2]);
const say = (line) => process.stdout.write(`${line}\n`);
const log = await openKafkaLog({ brokers, prefix, clientId: member, retryMs: 5000, requestTimeoutMs: 4000 });
/** Records of the state topic that were read, by partition: each task has one of its own. */
const stateRead = new Map();
const partitionOf = (task) => Number(task.slice(task.lastIndexOf('-') + 1));
const counting = new Proxy(log, {
  get: (target, name) => {
    const member = target[name];
    if (name !== 'read') return typeof member === 'function' ? member.bind(target) : member;
    return async (topic, partition, ...more) => {
      const batch = await target.read(topic, partition, ...more);
      if (topic === 'state') stateRead.set(partition, (stateRead.get(partition) ?? 0) + batch.records.length);
      return batch;
    };
  },
});
const readBefore = new Map();
const tellReads = (kind, task) => {
  const now = stateRead.get(partitionOf(task)) ?? 0;
  if (kind === 'started') readBefore.set(task, now);
  if (kind === 'restored') say(`read ${now - readBefore.get(task)} of ${task}`);
};
const engine = new Engine({
  log: standby === undefined ? log : counting,
  ...(standby === undefined ? {} : { standby }),
  topology: topologyOf(topology, log),
  group,
  memberId: member,
  sessionMs,
  // Many small commits, and sweeps that end: whatever can go wrong between two of them has its chance.
  batch: { maxRecords: 150, commitRecords: 300, pollMs: 100 },
  sweepLength: 1000,
  backoffMs: [50, 500],
  onEvent: ({ kind, task, message }) => {
    if (standby !== undefined) tellReads(kind, task);
    say(`${kind} ${task} ${message.replaceAll('\n', ' ')}`);
  },
});
process.once('SIGTERM', async () => {
  await engine.stop();
  await log.close();
});
await engine.start();
say('ready');
if (standby !== undefined) {
  setInterval(() => {
    for (const { task, lag, keys } of engine.standbys()) say(`copy ${task} ${lag} ${keys}`);
  }, 100).unref();
}
