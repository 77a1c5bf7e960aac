// npm run bench:kafka:scaling [-- --note TEXT]: for how long partitions stand still when a process is added, stopped
// cleanly and killed, and how long their state takes to come back. Eight partitions, two processes at first, 100 records
// a second and partition; measured from outside, as the longest gap between outputs that a read-committed consumer sees.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openKafkaLog } from '../../dist/log/kafka/kafka-log.js';
import { startBroker } from './broker.mjs';

const { values } = parseArgs({
  options: { note: { type: 'string', default: '' }, session: { type: 'string', default: '10000' } },
});
const PARTITIONS = 8;
const KEYS = 1000;
const sessionMs = Number(values.session);
const result = {
  date: new Date().toISOString(),
  node: process.version,
  cpu: `${cpus().length} × ${cpus()[0].model}`,
  load: loadavg().map((n) => Math.round(n * 10) / 10),
  note: values.note,
  partitions: PARTITIONS,
  recordsPerSecond: PARTITIONS * 100,
  sessionMs,
  events: {},
};
const script = fileURLToPath(new URL('../../test/kafka/pipeline-process.mjs', import.meta.url));
const broker = startBroker();
const prefix = `scale${randomUUID().slice(0, 8)}.`;
const brokers = broker.brokers.split(',');
const log = await openKafkaLog({ brokers, prefix });
const children = new Map();
/** By partition: when outputs came. */
const seen = Array.from({ length: PARTITIONS }, () => []);
let running = true;

try {
  const topics = ['in', 'out', 'seen', 'dead-letters'];
  await log.ensureTopics(topics.map((name) => ({ name, partitions: PARTITIONS, cleanup: 'delete' })));
  const feeding = feed();
  for (let p = 0; p < PARTITIONS; p++) void follow(p).catch(() => {});
  await start('a');
  await start('b');
  await pause(8000);
  await event('nothing happens', async () => {});
  await event('a third process is added', () => start('c'));
  await event('one is stopped cleanly', () => end('c', 'SIGTERM'));
  await event('one is killed', () => end('b', 'SIGKILL'));
  running = false;
  await feeding;
} finally {
  running = false;
  for (const name of [...children.keys()]) await end(name, 'SIGKILL');
  await log.close();
  broker.stop();
}
console.log(JSON.stringify(result, undefined, 2));
if (values.note !== '') {
  mkdirSync('bench/results', { recursive: true });
  writeFileSync(
    `bench/results/kafka-scaling-${result.date.slice(0, 10)}.json`,
    `${JSON.stringify(result, undefined, 2)}\n`,
  );
}

async function event(name, happen) {
  const holders = owners();
  const from = Date.now();
  await happen();
  await pause(sessionMs + 8000);
  const to = Date.now();
  const after = owners();
  const gaps = seen.map((times) => {
    const within = [from, ...times.filter((at) => at >= from && at <= to), to];
    return Math.max(...within.slice(1).map((at, i) => at - within[i]));
  });
  const moved = gaps.filter((_, p) => holders[p] !== after[p]).sort((a, b) => a - b);
  const stayed = gaps.filter((_, p) => holders[p] === after[p]).sort((a, b) => a - b);
  result.events[name] = { moved: moved.length, standstillMs: moved, longestGapOfTheOthersMs: stayed.at(-1) };
  console.error(name, JSON.stringify(result.events[name]));
}

/** By partition, the process whose task was restored last. */
function owners() {
  const owner = new Array(PARTITIONS).fill(undefined);
  const lines = [...children].flatMap(([name, { lines }]) => lines.map((line) => ({ name, ...line })));
  for (const { name, text } of lines.sort((a, b) => a.at - b.at)) {
    const restored = /^restored \S+-(\d+) /.exec(text);
    if (restored !== null) owner[Number(restored[1])] = name;
  }
  return owner;
}

async function start(member) {
  const options = { brokers, prefix, group: 'scale', member, topology: 'sums-1', sessionMs };
  const child = spawn(process.execPath, [script, JSON.stringify(options)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = [];
  child.stdout.on('data', (data) => {
    for (const text of String(data).split('\n')) if (text !== '') lines.push({ at: Date.now(), text });
  });
  children.set(member, { child, lines });
  while (!lines.some(({ text }) => text === 'ready')) await pause(20);
}

async function end(member, signal) {
  const { child } = children.get(member);
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill(signal);
  await ended;
  children.delete(member);
}

async function feed() {
  for (let n = 0; running; n++) {
    const timestamp = Date.now();
    const batch = [];
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (let i = 0; i < 2; i++) {
        const key = Buffer.from(`key-${partition}-${(2 * n + i) % KEYS}`);
        batch.push({ topic: 'in', partition, timestamp, key, value: Buffer.from('1') });
      }
    }
    await log.append(batch);
    await pause(Math.max(0, timestamp + 20 - Date.now()));
  }
}

async function follow(partition) {
  for (let at = 0; running; ) {
    const { records, nextOffset } = await log.read('out', partition, at, { waitMs: 500 });
    if (records.length > 0) seen[partition].push(Date.now());
    at = nextOffset;
  }
}
