// A process that runs a topology on Kafka, for tests that kill it. One argument, JSON: brokers, prefix, group, member,
// topology (forecasting, sums-1 or sums-2), sessionMs. Lines on standard output: `ready`, then what its tasks tell.
// SIGTERM ends it in order.
import { openKafkaLog } from '../../dist/log/kafka/kafka-log.js';
import { Engine } from '../../dist/topology/engine.js';
import { topologyOf } from './topologies.mjs';

const { brokers, prefix, group, member, topology, sessionMs = 2000 } = JSON.parse(process.argv[2]);
const say = (line) => process.stdout.write(`${line}\n`);
const log = await openKafkaLog({ brokers, prefix, clientId: member, retryMs: 5000, requestTimeoutMs: 4000 });
const engine = new Engine({
  log,
  topology: topologyOf(topology, log),
  group,
  memberId: member,
  sessionMs,
  // Many small commits, and sweeps that end: whatever can go wrong between two of them has its chance.
  batch: { maxRecords: 150, commitRecords: 300, pollMs: 100 },
  sweepLength: 1000,
  backoffMs: [50, 500],
  onEvent: ({ kind, task, message }) => say(`${kind} ${task} ${message.replaceAll('\n', ' ')}`),
});
process.once('SIGTERM', async () => {
  await engine.stop();
  await log.close();
});
await engine.start();
say('ready');
