// npm run bench:engine -- [records] [devices] [memory|embedded]: records/s through the engine, exactly once.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryLog } from '../../dist/log/memory/memory-log.js';
import { Engine } from '../../dist/topology/engine.js';
import { averages, encodeReading, INTERVAL_MS } from './averages.mjs';

const records = Number(process.argv[2] ?? 1_000_000);
const devices = Number(process.argv[3] ?? 1_000);
const kinds = process.argv[4] === undefined ? ['memory', 'embedded'] : [process.argv[4]];

for (const kind of kinds) {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-bench-'));
  const log =
    kind === 'memory'
      ? new MemoryLog()
      : await (await import('../../dist/log/embedded/embedded-log.js')).openEmbeddedLog({ path: folder });
  try {
    await log.ensureTopics(
      ['readings', 'averages', 'dead-letters'].map((name) => ({ name, partitions: 1, cleanup: 'delete' })),
    );
    await fill(log);
    for (let round = 1; round <= 3; round++) {
      const engine = new Engine({
        log,
        topology: averages(),
        group: `bench-${round}`,
        stateTopic: `state-${round}`,
        batch: { maxRecords: Number(process.env.BATCH ?? 10_000) },
        until: new Map([['readings/0', records]]),
      });
      const begin = performance.now();
      const cpu = process.cpuUsage();
      await engine.start();
      await engine.finished();
      const ms = performance.now() - begin;
      const { user, system } = process.cpuUsage(cpu);
      const [status] = engine.status();
      await engine.stop();
      console.log(
        `${kind}, 1 thread, round ${round}: ${Math.round((records / ms) * 1000)} records/s, ${Math.round((records / (user + system)) * 1e6)} records/CPU s, ${status.commits} commits`,
      );
    }
  } finally {
    await log.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fill(log) {
  const keys = Array.from({ length: devices }, (_, i) => Buffer.from(`device-${String(i).padStart(6, '0')}`));
  const begin = Date.UTC(2026, 0, 1);
  for (let i = 0; i < records; ) {
    const batch = [];
    for (; batch.length < 10_000 && i < records; i++) {
      const round = Math.floor(i / devices);
      const time = begin + round * INTERVAL_MS + (i % 1000);
      const value = 50 + 20 * Math.sin(round / 10) + (i % 7);
      batch.push({
        topic: 'readings',
        partition: 0,
        timestamp: time,
        key: keys[i % devices],
        value: encodeReading(time, value),
      });
    }
    await log.append(batch);
  }
}
