// npm run bench:engine [-- --records N] [--devices N] [--note TEXT]: records/s through the engine, exactly once, beside
// what lmdb alone puts in the same run; and the latency from append to output. Keeps the result in bench/results/.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { open } from 'lmdb';
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';
import { MemoryLog } from '../../dist/log/memory/memory-log.js';
import { Engine } from '../../dist/topology/engine.js';
import { EngineThreads } from '../../dist/topology/threads/engine-threads.js';
import { averages, encodeReading, INTERVAL_MS } from './averages.mjs';

const { values } = parseArgs({
  options: { records: { type: 'string' }, devices: { type: 'string' }, note: { type: 'string' } },
});
const records = Number(values.records ?? 1_000_000);
const devices = Number(values.devices ?? 1_000);
const ROUNDS = 3;
const result = {
  date: new Date().toISOString(),
  node: process.version,
  cpu: `${cpus().length} × ${cpus()[0].model}`,
  load: loadavg().map((n) => Math.round(n * 10) / 10),
  note: values.note ?? '',
  records,
  devices,
  rates: {},
};

await inFolder(async (folder) => report('lmdb alone, durable puts', await lmdbCeiling(folder)));
for (let round = 0; round < ROUNDS; round++) {
  const log = new MemoryLog();
  await fill(log, 1);
  report('memory log, one thread', await oneThread(log, round, 1));
  await log.close();
}
for (let round = 0; round < ROUNDS; round++) {
  await inFolder(async (path) => {
    const log = await openEmbeddedLog({ path });
    await fill(log, 2);
    report('embedded log, one thread', await oneThread(log, 'one', 2));
    report('embedded log, two threads', await twoThreads(path));
    await log.close();
  });
}
result.latencyMs = [];
for (let round = 0; round < ROUNDS; round++) {
  await inFolder(async (path) => {
    const log = await openEmbeddedLog({ path });
    const measured = await latency(log);
    result.latencyMs.push(measured);
    console.log('embedded log, 5,000 records/s, append to output, milliseconds:', JSON.stringify(measured));
    await log.close();
  });
}
mkdirSync('bench/results', { recursive: true });
const file = `bench/results/engine-${result.date.slice(0, 10)}.json`;
writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
console.log(`kept in ${file}`);

function report(name, { ms, count = records, cpuMs }) {
  const rate = Math.round((count / ms) * 1000);
  const perCpu = cpuMs === undefined ? undefined : Math.round((count / cpuMs) * 1000);
  result.rates[name] ??= [];
  result.rates[name].push({ perSecond: rate, ...(perCpu === undefined ? {} : { perCpuSecond: perCpu }) });
  console.log(`${name}: ${rate} records/s${perCpu === undefined ? '' : `, ${perCpu} a processor second`}`);
}

async function inFolder(use) {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-bench-'));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function timed(run) {
  const cpu = process.cpuUsage();
  const begin = performance.now();
  await run();
  const ms = performance.now() - begin;
  const { user, system } = process.cpuUsage(cpu);
  return { ms, cpuMs: (user + system) / 1000 };
}

/** 150 bytes a record, 2,000 a transaction, each awaited until it is on the disk. */
async function lmdbCeiling(folder) {
  const db = open({ path: join(folder, 'ceiling'), encoding: 'binary', keyEncoding: 'uint32' });
  const value = Buffer.alloc(150, 7);
  const count = 200_000;
  const measured = await timed(async () => {
    for (let i = 0; i < count; ) {
      await db.batch(() => {
        for (const end = Math.min(count, i + 2_000); i < end; i++) db.put(i, value);
      });
      await db.flushed;
    }
  });
  await db.close();
  return { ...measured, count };
}

async function fill(log, partitions) {
  await log.ensureTopics(
    ['readings', 'averages', 'dead-letters'].map((name) => ({ name, partitions, cleanup: 'delete' })),
  );
  const keys = Array.from({ length: devices }, (_, i) => Buffer.from(`device-${String(i).padStart(6, '0')}`));
  const begin = Date.UTC(2026, 0, 1);
  for (let i = 0; i < records; ) {
    const batch = [];
    for (; batch.length < 10_000 && i < records; i++) {
      const round = Math.floor(i / devices);
      const time = begin + round * INTERVAL_MS + (i % 1000);
      const value = 50 + 20 * Math.sin(round / 10) + (i % 7);
      const key = keys[i % devices];
      const partition = (i % devices) % partitions;
      batch.push({ topic: 'readings', partition, timestamp: time, key, value: encodeReading(time, value) });
    }
    await log.append(batch);
  }
}

async function bounds(log, partitions) {
  const until = new Map();
  for (let p = 0; p < partitions; p++) until.set(`readings/${p}`, (await log.offsets('readings', p)).end);
  return until;
}

async function oneThread(log, name, partitions) {
  const until = await bounds(log, partitions);
  const engine = new Engine({ log, topology: averages(), group: `bench-${name}`, stateTopic: `state-${name}`, until });
  const measured = await timed(async () => {
    await engine.start();
    await engine.finished();
  });
  await engine.stop();
  return measured;
}

/** Without the start of the threads: from their first commit to the last. */
async function twoThreads(path) {
  const log = await openEmbeddedLog({ path });
  const until = [...(await bounds(log, 2))];
  await log.close();
  const module = new URL('./thread.mjs', import.meta.url);
  const threads = new EngineThreads({ module, args: { path, until }, threads: 2 });
  const measured = await timed(async () => {
    await threads.start();
    await threads.finished();
  });
  await threads.stop();
  return measured;
}

async function latency(log) {
  await log.ensureTopics(
    ['readings', 'averages', 'dead-letters'].map((name) => ({ name, partitions: 1, cleanup: 'delete' })),
  );
  const engine = new Engine({ log, topology: averages(), group: 'latency' });
  await engine.start();
  const seen = [];
  const stop = new AbortController();
  const reader = (async () => {
    for (let offset = 0; !stop.signal.aborted; ) {
      const batch = await log.read('averages', 0, offset, { waitMs: 1000, signal: stop.signal });
      const now = performance.timeOrigin + performance.now();
      for (const { timestamp } of batch.records) seen.push(now - timestamp);
      offset = batch.nextOffset;
    }
  })();
  const seconds = 12;
  const appends = [];
  const begin = performance.now();
  for (let sent = 0; sent < 5_000 * seconds; ) {
    const due = Math.min(5_000 * seconds, Math.floor((performance.now() - begin) * 5));
    const batch = [];
    for (; sent < due; sent++) {
      const time = Date.UTC(2026, 0, 1) + Math.floor(sent / devices) * INTERVAL_MS;
      const key = Buffer.from(`device-${sent % devices}`);
      const timestamp = performance.timeOrigin + performance.now();
      batch.push({ topic: 'readings', partition: 0, timestamp, key, value: encodeReading(time, sent) });
    }
    if (batch.length > 0) appends.push(log.append(batch));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await Promise.all(appends);
  await new Promise((resolve) => setTimeout(resolve, 500));
  stop.abort();
  await reader;
  await engine.stop();
  // The first second warms up.
  const settled = seen.slice(5_000).sort((a, b) => a - b);
  const at = (q) => Math.round(settled[Math.floor(settled.length * q)] * 10) / 10;
  return { outputs: seen.length, median: at(0.5), p90: at(0.9), p99: at(0.99), max: at(0.9999) };
}
