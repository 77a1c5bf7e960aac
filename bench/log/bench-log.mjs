// How fast the logs are: append, read, exactly-once read–commit; beside LMDB's own put in the same run.
//   npm run build && node bench/log/bench-log.mjs [RECORDS=400000]
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';
import { MemoryLog } from '../../dist/log/memory/memory-log.js';

const RECORDS = Number(process.argv[2] ?? 400_000);
const BATCH = 5000;
const VALUE = Buffer.alloc(150, 'x');
const keys = Array.from({ length: 1000 }, (_, i) => Buffer.from(`device-${i}`));
const results = [];

async function measure(name, count, run) {
  const cpu = process.cpuUsage();
  const started = performance.now();
  await run();
  const seconds = (performance.now() - started) / 1000;
  const used = process.cpuUsage(cpu);
  results.push({
    name,
    records: count,
    perSecond: Math.round(count / seconds),
    cpuSeconds: Number(((used.user + used.system) / 1e6).toFixed(2)),
  });
}

function records(topic, n, from) {
  return Array.from({ length: n }, (_, i) => ({
    topic,
    partition: 0,
    timestamp: 1_700_000_000_000 + from + i,
    key: keys[(from + i) % keys.length],
    value: VALUE,
  }));
}

async function bench(name, log) {
  await log.ensureTopics(['in', 'out'].map((topic) => ({ name: topic, partitions: 1, cleanup: 'delete' })));
  await measure(`${name}: append, ${BATCH} a call`, RECORDS, async () => {
    for (let i = 0; i < RECORDS; i += BATCH) await log.append(records('in', BATCH, i));
  });
  await measure(`${name}: read`, RECORDS, async () => {
    for (let at = 0; at < RECORDS; ) at = (await log.read('in', 0, at)).nextOffset;
  });
  const member = await log.join({
    group: 'bench',
    topics: ['in'],
    memberId: 'm',
    onAssigned() {},
    onRevoked() {},
  });
  while (member.assignment().length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const writer = await member.openWriter(0);
  await measure(`${name}: read, copy, commit exactly once, ${BATCH} a commit`, RECORDS, async () => {
    for (let at = 0; at < RECORDS; ) {
      const batch = await log.read('in', 0, at, { maxRecords: BATCH });
      at = batch.nextOffset;
      const out = batch.records.map(({ timestamp, key, value }) => ({
        topic: 'out',
        partition: 0,
        timestamp,
        key,
        value,
      }));
      await writer.commit(out, new Map([['in', at]]));
    }
  });
  const small = RECORDS / 20;
  await measure(`${name}: append one by one, 500 at a time outstanding`, small, async () => {
    for (let i = 0; i < small; i += 500) {
      await Promise.all(records('in', 500, i).map((record) => log.append([record])));
    }
  });
  const alone = Math.min(500, small);
  await measure(`${name}: append one by one, each awaited`, alone, async () => {
    for (const record of records('in', alone, 0)) await log.append([record]);
  });
  await member.leave();
  await log.close();
}

const folder = mkdtempSync(join(tmpdir(), 'fleetcast-bench-'));
try {
  await bench('memory', new MemoryLog());
  await bench('embedded', await openEmbeddedLog({ path: join(folder, 'log') }));
  const db = open({
    path: join(folder, 'bare'),
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'uint32',
    overlappingSync: false,
  });
  await measure(`bare lmdb: one put a record, ${BATCH} a transaction`, RECORDS, async () => {
    for (let i = 0; i < RECORDS; i += BATCH) {
      db.transactionSync(() => {
        for (let n = i; n < i + BATCH; n++) db.put(n, VALUE);
      });
    }
  });
  await db.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const environment = {
  date: new Date().toISOString(),
  node: process.version,
  cpu: cpus()[0]?.model,
  cores: availableParallelism(),
  valueBytes: VALUE.length,
};
console.log(JSON.stringify({ environment, results }, undefined, 2));
