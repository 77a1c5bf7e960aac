// npm run bench:kafka [-- --records N] [--keys N] [--only a,b,c,…] [--note TEXT]
// Exactly once on a real broker, all in one run, 1,000,000 records of 200 bytes, 1,000 keys, four partitions:
// (a) the bare loop of kafkajs, (b) our topology (mean and deviation of four values over the last 24 readings of each
// key) with one thread and with two, (c) Kafka Streams doing the same. Kept in bench/results/.
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { openKafkaLog } from '../../dist/log/kafka/kafka-log.js';
import { Engine } from '../../dist/topology/engine.js';
import { EngineThreads } from '../../dist/topology/threads/engine-threads.js';
import { runPeer, startBroker } from './broker.mjs';
import { kafkajsLoop } from './kafkajs-loop.mjs';
import { PARTITIONS, statistics } from './statistics.mjs';

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    keys: { type: 'string', default: '1000' },
    only: { type: 'string', default: 'read,a,b1,b2,c' },
    batch: { type: 'string', default: '{}' },
    rounds: { type: 'string', default: '1' },
    note: { type: 'string', default: '' },
  },
});
const records = Number(values.records);
const keys = Number(values.keys);
const batch = JSON.parse(values.batch);
const wanted = values.only.split(',');
const result = {
  date: new Date().toISOString(),
  node: process.version,
  cpu: `${cpus().length} × ${cpus()[0].model}`,
  load: loadavg().map((n) => Math.round(n * 10) / 10),
  note: values.note,
  records,
  keys,
  batch,
  perSecond: {},
};
const prefix = `bench${randomUUID().slice(0, 8)}.`;
const broker = startBroker();
const { brokers } = broker;
let log;
try {
  log = await openKafkaLog({ brokers: brokers.split(','), prefix });
  await fill();
  const ends = await Promise.all(
    Array.from({ length: PARTITIONS }, async (_, p) => (await log.offsets('readings', p)).end),
  );
  const until = [...ends.map((end, p) => [`readings/${p}`, end])];
  const run = {
    read: () => readAll(ends),
    a: loop,
    b1: (n) => oneThread(until, n),
    b2: (n) => twoThreads(until, n),
    c: peer,
  };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const name of wanted) {
      await report(name, await run[name](`${name}-${round}`));
    }
  }
} finally {
  await log?.close();
  broker.stop();
}
const best = (name) => Math.max(...(result.perSecond[name] ?? [Number.NaN]));
result.ratios = {
  'b/a, one thread': best('b1') / best('a'),
  'b/a, two threads': best('b2') / best('a'),
  'b/c, one thread': best('b1') / best('c'),
  'b/c, two threads': best('b2') / best('c'),
};
console.log(JSON.stringify(result, undefined, 2));
if (values.note !== '') {
  mkdirSync('bench/results', { recursive: true });
  writeFileSync(`bench/results/kafka-${result.date.slice(0, 10)}.json`, `${JSON.stringify(result, undefined, 2)}\n`);
}

async function report(name, perSecond) {
  result.perSecond[name] = [...(result.perSecond[name] ?? []), Math.round(perSecond)];
  console.error(name, Math.round(perSecond));
}

/** Nothing but our reader, for the ceiling of what follows. */
async function readAll(ends) {
  const began = performance.now();
  await Promise.all(
    ends.map(async (end, p) => {
      for (let at = 0; at < end; ) at = (await log.read('readings', p, at, { waitMs: 5000 })).nextOffset;
    }),
  );
  return (records / (performance.now() - began)) * 1000;
}

/** With the peer's own loader where there is one: all have the same input. */
async function fill() {
  const loaded = runPeer(brokers, records, 1, `load:${prefix}readings`, keys);
  if (loaded === undefined) throw new Error('the Kafka Streams peer is missing');
  const topics = ['statistics', 'dead-letters', 'out-a'];
  await log.ensureTopics(topics.map((name) => ({ name, partitions: PARTITIONS, cleanup: 'delete' })));
}

async function loop(id) {
  const ms = await kafkajsLoop({
    brokers,
    from: `${prefix}readings`,
    to: `${prefix}out-a`,
    id: `${prefix}${id}`,
    partitions: PARTITIONS,
    records,
  });
  return (records / ms) * 1000;
}

/** From the first reading to the last commit, as the peer measures. */
async function oneThread(until, group) {
  let began = 0;
  const engine = new Engine({
    log,
    topology: statistics(() => {
      began = Date.now();
    }),
    group,
    stateTopic: `state-${group}`,
    until: new Map(until),
    batch,
  });
  const cpu = process.cpuUsage();
  await engine.start();
  await engine.finished();
  const ms = Date.now() - began;
  const { user, system } = process.cpuUsage(cpu);
  console.error(
    `  ${ms} ms, processor ${Math.round((user + system) / 1000)} ms, commits ${engine.status().map(({ commits }) => commits)}`,
  );
  await engine.stop();
  return (records / ms) * 1000;
}

async function twoThreads(until, group) {
  const module = new URL('./thread.mjs', import.meta.url);
  const first = new SharedArrayBuffer(8);
  const threads = new EngineThreads({ module, args: { brokers, prefix, group, until, batch, first }, threads: 2 });
  await threads.start();
  await threads.finished();
  const ms = Date.now() - new Float64Array(first)[0];
  await threads.stop();
  return (records / ms) * 1000;
}

async function peer() {
  return runPeer(brokers, records, 1, 'stats', keys).records_per_s;
}
