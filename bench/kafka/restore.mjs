// npm run bench:kafka:restore [-- --devices N --records N --note TEXT]: from the start of a process without local state
// to its first output, with the state of 100,000 devices (four values, the last 24 readings of each) on the log; beside
// Kafka Streams with the same state and input.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, homedir, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openKafkaLog } from '../../dist/log/kafka/kafka-log.js';
import { partitionFor } from '../../dist/log/partitioner.js';
import { Engine } from '../../dist/topology/engine.js';
import { runPeer, startBroker } from './broker.mjs';
import { PARTITIONS, statistics } from './statistics.mjs';

const { values } = parseArgs({
  options: {
    devices: { type: 'string', default: '100000' },
    records: { type: 'string', default: '1000000' },
    note: { type: 'string', default: '' },
  },
});
const devices = Number(values.devices);
const records = Number(values.records);
const MORE = 10_000;
const result = {
  date: new Date().toISOString(),
  node: process.version,
  cpu: `${cpus().length} × ${cpus()[0].model}`,
  load: loadavg().map((n) => Math.round(n * 10) / 10),
  note: values.note,
  devices,
  records,
};
const broker = startBroker();
const { brokers } = broker;
const prefix = `restore${randomUUID().slice(0, 8)}.`;
try {
  const load = (topic, count) => runPeer(brokers, count, 1, `load:${topic}`, devices);
  load(`${prefix}readings`, records);
  result.fleetcast = await ours();
  console.error('fleetcast', JSON.stringify(result.fleetcast));
  load('restore-peer', records);
  result.kafkaStreams = peer();
  console.error('Kafka Streams', JSON.stringify(result.kafkaStreams));
} finally {
  broker.stop();
}
console.log(JSON.stringify(result, undefined, 2));
if (values.note !== '') {
  mkdirSync('bench/results', { recursive: true });
  writeFileSync(
    `bench/results/kafka-restore-${result.date.slice(0, 10)}.json`,
    `${JSON.stringify(result, undefined, 2)}\n`,
  );
}

async function ours() {
  const log = await openKafkaLog({ brokers: brokers.split(','), prefix });
  await log.ensureTopics(
    ['statistics', 'dead-letters'].map((name) => ({ name, partitions: PARTITIONS, cleanup: 'delete' })),
  );
  await run(log, () => {});
  // What waits when the second life begins.
  const value = Buffer.alloc(200);
  const waiting = Array.from({ length: MORE }, (_, i) => {
    const key = `key-${String(i % devices).padStart(12, '0')}`;
    const partition = partitionFor(key, PARTITIONS);
    return { topic: 'readings', partition, timestamp: Date.now(), key: Buffer.from(key), value };
  });
  await log.append(waiting);
  const outputs = await ends(log, 'statistics');
  const began = performance.now();
  const first = firstOutput(log, outputs).then(() => performance.now() - began);
  const phases = await run(log, () => Math.round(performance.now() - began));
  const lastMs = Math.round(performance.now() - began);
  const measured = { firstMs: Math.round(await first), lastMs, ...phases };
  await log.close();
  return measured;
}

async function run(log, at) {
  const until = new Map((await ends(log, 'readings')).map((end, p) => [`readings/${p}`, end]));
  const phases = { restoredMs: [] };
  const onEvent = ({ kind }) => {
    if (kind === 'restored') phases.restoredMs.push(at());
  };
  const engine = new Engine({ log, topology: statistics(), group: 'restore', until, onEvent });
  await engine.start();
  await engine.finished();
  phases.keys = engine.status().reduce((sum, { keys }) => sum + keys, 0);
  await engine.stop();
  return phases;
}

async function ends(log, topic) {
  return Promise.all(Array.from({ length: PARTITIONS }, async (_, p) => (await log.offsets(topic, p)).end));
}

async function firstOutput(log, from) {
  await Promise.race(
    from.map(async (offset, p) => {
      for (let at = offset; ; ) {
        const { records, nextOffset } = await log.read('statistics', p, at, { waitMs: 1000 });
        if (records.length > 0) return;
        at = nextOffset;
      }
    }),
  );
}

function peer() {
  const build = process.env.PEER_BUILD ?? join(homedir(), '.cache/kafka-streams-peer/4.3.1');
  const classes = mkdtempSync(join(tmpdir(), 'fleetcast-bench-peer-'));
  const path = `${classes}:${join(build, 'classes')}:${join(build, 'lib')}/*`;
  const source = fileURLToPath(new URL('./RestorePeer.java', import.meta.url));
  try {
    execFileSync('javac', ['-cp', path, '-d', classes, source], { stdio: ['ignore', 'inherit', 'inherit'] });
    const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error';
    const args = ['-Xmx1g', '-XX:+UseSerialGC', quiet, '-cp', path, 'RestorePeer'];
    args.push(brokers, 'restore-peer', String(records), String(MORE), String(devices));
    return JSON.parse(execFileSync('java', args, { encoding: 'utf8' }).trim().split('\n').at(-1));
  } finally {
    rmSync(classes, { recursive: true, force: true });
  }
}
