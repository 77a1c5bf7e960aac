// npm run bench:devices [-- --devices N] [--sweep N] [--note TEXT]: memory of a fleet's windows, and the time from a restart to caught up, on
// the embedded log; then what compaction of the state takes. Each phase is a process of its own. Keeps the result in bench/results/.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';
import { Engine } from '../../dist/topology/engine.js';
import { encodeReading } from './averages.mjs';
import { windows } from './windows.mjs';

const { values } = parseArgs({
  options: {
    devices: { type: 'string', default: '1000000' },
    sweep: { type: 'string', default: '1000000' },
    note: { type: 'string', default: '' },
    phase: { type: 'string' },
    path: { type: 'string' },
  },
});
const devices = Number(values.devices);
const sweepLength = Number(values.sweep);
/** Readings of each device. */
const ROUNDS = 3;
let restored = {};

if (values.phase === undefined) main();
else await phase();

function main() {
  const path = mkdtempSync(join(tmpdir(), 'fleetcast-bench-'));
  const result = {
    date: new Date().toISOString(),
    node: process.version,
    cpu: `${cpus().length} × ${cpus()[0].model}`,
    load: loadavg().map((n) => Math.round(n * 10) / 10),
    note: values.note,
    devices,
    sweepLength,
    windowBuckets: 96,
  };
  try {
    for (const name of ['fill', 'run', 'restart', 'compact']) {
      const args = [fileURLToPath(import.meta.url), '--phase', name, '--path', path];
      args.push('--devices', values.devices, '--sweep', values.sweep);
      const child = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
      if (child.status !== 0) throw new Error(`phase ${name} ended with ${child.status}`);
      const measured = JSON.parse(child.stdout);
      console.log(name, JSON.stringify(measured));
      if (name !== 'fill') result[name] = measured;
    }
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
  mkdirSync('bench/results', { recursive: true });
  writeFileSync(`bench/results/devices-${result.date.slice(0, 10)}.json`, `${JSON.stringify(result, null, 2)}\n`);
}

async function phase() {
  const log = await openEmbeddedLog({ path: values.path });
  const begin = performance.now();
  if (values.phase === 'fill') await fill(log);
  else if (values.phase === 'compact') await log.maintain();
  else await run(log);
  console.log(
    JSON.stringify({ seconds: Math.round((performance.now() - begin) / 100) / 10, ...memory(), ...restored }),
  );
  await log.close();
}

async function run(log) {
  const until = new Map([['readings/0', devices * ROUNDS]]);
  const again = values.phase === 'restart';
  const engine = new Engine({ log, topology: windows(), group: 'devices', sweepLength, ...(again ? {} : { until }) });
  const begin = performance.now();
  const cpu = process.cpuUsage();
  await engine.start();
  if (!again) await engine.finished();
  while (engine.status()[0]?.phase !== 'running' && again) await new Promise((resolve) => setTimeout(resolve, 20));
  const { user, system } = process.cpuUsage(cpu);
  restored = {
    processorSeconds: Math.round((user + system) / 1e5) / 10,
    untilCaughtUpSeconds: Math.round((performance.now() - begin) / 100) / 10,
    keys: engine.status()[0].keys,
  };
  await engine.stop();
}

/** Resident memory in MiB: all of it, what is the process's own, and what are pages of the log's file in the cache. */
function memory() {
  const field = (name) =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0);
  const mib = (kib) => Math.round(kib / 1024);
  return {
    peakMiB: mib(field('VmHWM')),
    residentMiB: mib(field('VmRSS')),
    ownMiB: mib(field('RssAnon')),
    fileMiB: mib(field('RssFile')),
  };
}

async function fill(log) {
  await log.ensureTopics(
    ['readings', 'out', 'dead-letters'].map((name) => ({ name, partitions: 1, cleanup: 'delete' })),
  );
  for (let i = 0; i < devices * ROUNDS; ) {
    const batch = [];
    for (; batch.length < 20_000 && i < devices * ROUNDS; i++) {
      const time = Date.UTC(2026, 0, 1) + Math.floor(i / devices) * 60_000;
      const key = Buffer.from(`device-${String(i % devices).padStart(7, '0')}`);
      batch.push({ topic: 'readings', partition: 0, timestamp: time, key, value: encodeReading(time, i % 97) });
    }
    await log.append(batch);
  }
}
