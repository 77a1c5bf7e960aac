// npm run bench:pipeline [-- --devices N] [--hours N] [--note TEXT]: readings/s through the forecasting pipeline as the
// service runs it, with a segment LSTM of width 32, from a backlog on the embedded log, with `pipeline.threads` 1 and 2.
// Keeps the result in bench/results/.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { encodeRecord } from '../../dist/events/codec.js';
import { partitionFor } from '../../dist/log/partitioner.js';
import { buildArtefact } from '../../dist/models/artefact.js';
import { initSegmentLstm, segmentLstmSizes } from '../../dist/models/segment-lstm/parameters.js';
import { encodeModel } from '../../dist/pipelines/model-codec.js';
import { ModelRegistry } from '../../dist/pipelines/model-registry.js';
import { promote } from '../../dist/retraining/lifecycle.js';
import { loadConfiguration } from '../../dist/service/configuration/load.js';
import { groupOf } from '../../dist/service/engine/engine-options.js';
import { startEngine } from '../../dist/service/engine/start-engine.js';
import { createLogger } from '../../dist/service/logging/logger.js';
import { openLog } from '../../dist/service/open-log.js';
import { namesOf, pipelineOf, specsOf } from '../../dist/service/pipeline-settings.js';

const { values } = parseArgs({
  options: { devices: { type: 'string' }, hours: { type: 'string' }, note: { type: 'string' } },
});
const devices = Number(values.devices ?? 500);
const hours = Number(values.hours ?? 400);
const HOUR = 3_600_000;
const PARTITIONS = 4;
const ROUNDS = 3;
const result = {
  date: new Date().toISOString(),
  node: process.version,
  cpu: `${cpus().length} × ${cpus()[0].model}`,
  load: loadavg().map((n) => Math.round(n * 10) / 10),
  note: values.note ?? '',
  readings: devices * hours,
  devices,
  readingsPerSecond: {},
};
const folder = mkdtempSync(join(tmpdir(), 'fleetcast-bench-'));
try {
  await prepare();
  for (let round = 0; round < ROUNDS; round++) for (const threads of [1, 2]) await measure(threads);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
mkdirSync('bench/results', { recursive: true });
const file = `bench/results/pipeline-threads-${result.date.slice(0, 10)}.json`;
writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
console.log(`kept in ${file}`);

function configured(path, threads) {
  const file = join(folder, 'fleetcast.yaml');
  const settings = { lookback: 96, horizon: 24, season: 24, grace: '0s', idle: '9h', threads };
  writeFileSync(
    file,
    JSON.stringify({ log: { embedded: { path } }, topics: { partitions: PARTITIONS }, pipeline: settings }),
  );
  return loadConfiguration(file);
}

/** A backlog: the activation of a model, then one reading an hour of each device. */
async function prepare() {
  const configuration = configured('backlog', 1);
  const topics = namesOf(configuration);
  const { shape } = pipelineOf(configuration);
  const log = await openLog(configuration);
  await log.ensureTopics(specsOf(configuration));
  const { id, bytes } = encodeModel(
    buildArtefact({
      family: 'segment-lstm',
      name: 'default',
      shape,
      interval: HOUR,
      architecture: { width: 32 },
      weights: initSegmentLstm(segmentLstmSizes(shape, { width: 32 }), 1),
      scaler: { kind: 'rolling', length: 168, series: new Map() },
      calibration: { level: 0.9, quantiles: Array.from({ length: shape.horizon }, () => 1) },
      training: { ranges: [], trainEnd: 0, validationEnd: 0, seed: 1, trainer: 'bench', settings: {}, windows: 0 },
      metrics: {},
      parent: '',
      createdAt: 0,
      note: '',
      licence: '',
    }),
  );
  const begin = Date.UTC(2026, 0, 1);
  await log.append([{ topic: topics.models, partition: 0, timestamp: begin, key: Buffer.from(id), value: bytes }]);
  const registry = new ModelRegistry({ log, topic: topics.models });
  await promote({ log, topics, now: () => begin, registry, name: 'default', shape }, id);
  for (let hour = 0; hour < hours; hour++) {
    const time = begin + hour * HOUR;
    await log.append(
      Array.from({ length: devices }, (_, d) => {
        const device = `device-${d}`;
        const level = 50 + 20 * Math.sin(((hour + d) * Math.PI) / 12) + (((hour * 7 + d * 3) % 11) - 5) / 5;
        const reading = {
          type: 'Reading',
          device,
          time,
          values: { level },
          retained: false,
          redelivered: false,
          fingerprint: '',
        };
        const partition = partitionFor(device, PARTITIONS);
        return {
          topic: topics.readings,
          partition,
          timestamp: time,
          key: Buffer.from(device),
          value: encodeRecord(reading),
        };
      }),
    );
  }
  await log.close();
}

/** From the first commit of every task to the last: without the start of the threads. */
async function measure(threads) {
  const path = `run-${threads}`;
  cpSync(join(folder, 'backlog'), join(folder, path), { recursive: true });
  const configuration = configured(path, threads);
  const log = await openLog(configuration);
  const { models, readings } = namesOf(configuration);
  const ends = new Map();
  for (let p = 0; p < PARTITIONS; p++) ends.set(`${readings}/${p}`, (await log.offsets(readings, p)).end);
  const registry = new ModelRegistry({ log, topic: models });
  const cpu = process.cpuUsage();
  const logger = createLogger({ level: 'error' });
  const fail = (error) => {
    throw error;
  };
  const engine = await startEngine({ configuration, log, registry, logger, givenLog: false, onLost: fail });
  const progress = async () => {
    const committed = await log.committed(`${groupOf(configuration)}.readings`);
    const done = [...ends].map(([at, end]) => Math.min(end, committed.get(at) ?? 0));
    return { least: Math.min(...done), sum: done.reduce((a, b) => a + b, 0) };
  };
  const total = [...ends.values()].reduce((a, b) => a + b, 0);
  let first;
  for (;;) {
    const { least, sum } = await progress();
    // The model is being compared until the first partition has got behind its activation.
    if (first === undefined && least > 1) first = { at: performance.now(), sum };
    if (sum >= total) {
      const ms = performance.now() - first.at;
      const { user, system } = process.cpuUsage(cpu);
      const perSecond = Math.round(((total - first.sum) / ms) * 1000);
      const perCpuSecond = Math.round(total / ((user + system) / 1e6));
      result.readingsPerSecond[`threads: ${threads}`] ??= [];
      result.readingsPerSecond[`threads: ${threads}`].push({ perSecond, perCpuSecond });
      console.log(`threads: ${threads}: ${perSecond} readings/s, ${perCpuSecond} a processor second`);
      break;
    }
    await pause(10);
  }
  await engine.stop();
  await log.close();
  rmSync(join(folder, path), { recursive: true });
}
