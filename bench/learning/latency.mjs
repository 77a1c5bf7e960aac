// Latency of forecasts at rest, and while a model is trained beside the stream and swapped in: from the append of the
// reading that closes a bucket to the forecast's being readable on the log. One process, as the service runs it: embedded
// log, pipeline and learner.
//   node bench/learning/latency.mjs [--devices 100] [--seconds 40] [--steps 600] [--every 250]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { decode, encodeRecord } from '../../dist/events/codec.js';
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';
import { partitionFor } from '../../dist/log/partitioner.js';
import { forecastingTopology } from '../../dist/pipelines/forecasting.js';
import { ModelRegistry } from '../../dist/pipelines/model-registry.js';
import { pipelineConfig } from '../../dist/pipelines/pipeline-config.js';
import { topicSpecs } from '../../dist/pipelines/topics.js';
import { importHistory } from '../../dist/retraining/history-import.js';
import { Learner } from '../../dist/retraining/learner.js';
import { Engine } from '../../dist/topology/engine.js';

const { values: options } = parseArgs({
  options: {
    devices: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '40' },
    steps: { type: 'string', default: '600' },
    every: { type: 'string', default: '250' },
  },
});
const HOUR = 3_600_000;
const PARTITIONS = 2;
const T0 = Date.UTC(2026, 0, 1);
const HISTORY = 1500;
const devices = Number(options.devices);
const folder = mkdtempSync(join(tmpdir(), 'fleetcast-latency-'));
const config = pipelineConfig({ shape: { lookback: 96, horizon: 24, season: 24 }, grace: 0, idle: 1e9 });
const { topics } = config;
const log = await openEmbeddedLog({ path: folder });
await log.ensureTopics(topicSpecs(topics, { partitions: PARTITIONS }));
const valueAt = (device, hour) =>
  10 * Math.sin(((hour + device) / 24) * 2 * Math.PI) + Math.sin(hour * 12.9898 + device * 78.233);
await importHistory(
  { log, topics, now: () => T0, interval: HOUR, segment: config.segment },
  (function* () {
    for (let d = 0; d < devices; d++) {
      for (let hour = 0; hour < HISTORY; hour++) {
        yield { device: `d${d}`, quantity: 'level', time: T0 + hour * HOUR, value: valueAt(d, hour) };
      }
    }
  })(),
);
const registry = new ModelRegistry({ log, topic: topics.models });
const engine = new Engine({
  log,
  topology: forecastingTopology(config, registry),
  group: 'forecasting',
  stateTopic: topics.state,
});
await engine.start();

/** By origin: when the hour's readings were appended. */
const appended = new Map();
const samples = [];
let phase = 'warm-up';
let stopped = false;
const followers = Array.from({ length: PARTITIONS }, async (_, partition) => {
  for (let next = 0; !stopped; ) {
    const batch = await log.read(topics.forecasts, partition, next, { maxRecords: 5000, waitMs: 200 });
    const now = performance.now();
    for (const { value } of batch.records) {
      const { origin, model } = decode('Forecast', value);
      samples.push({ phase, ms: now - appended.get(origin), model });
    }
    next = batch.nextOffset;
  }
});
let hour = HISTORY;
const stream = (async () => {
  for (let at = performance.now(); !stopped; at += Number(options.every)) {
    await pause(Math.max(0, at - performance.now()));
    const time = T0 + hour * HOUR;
    appended.set(time, performance.now());
    const records = Array.from({ length: devices }, (_, d) => ({
      topic: topics.readings,
      partition: partitionFor(`d${d}`, PARTITIONS),
      timestamp: time,
      key: Buffer.from(`d${d}`),
      value: encodeRecord({
        type: 'Reading',
        device: `d${d}`,
        time,
        values: { level: valueAt(d, hour) },
        retained: false,
        redelivered: false,
        fingerprint: '',
      }),
    }));
    hour++;
    await log.append(records);
  }
})();

// The windows fill, and code gets warm.
while (hour < HISTORY + 110) await pause(200);
await pause(5_000);
phase = 'rest';
await pause(Number(options.seconds) * 1000);
phase = 'training and swap';
let promoted;
const done = new Promise((resolve) => {
  promoted = resolve;
});
const events = [];
const learner = new Learner({
  log,
  topics,
  registry,
  windows: config,
  name: 'default',
  triggers: { firstAfter: 1000, every: 0 },
  request: { settings: { width: 32, maxSteps: Number(options.steps), seed: 1 } },
  now: Date.now,
  memberId: 'learner',
  onEvent: (event) => {
    if (event.kind === 'error') console.error(event.message);
    else {
      events.push(`${event.event.kind} after ${((performance.now() - trainingFrom) / 1000).toFixed(1)} s`);
      if (['promoted', 'failed', 'rejected'].includes(event.event.kind)) promoted();
    }
  },
});
const trainingFrom = performance.now();
await learner.start();
await done;
await pause(5_000);
phase = 'after';
await pause(2_000);
stopped = true;
await stream;
await Promise.all(followers);
await learner.stop();
await engine.stop();
await log.close();
rmSync(folder, { recursive: true, force: true });

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)];
const rows = {};
for (const name of ['rest', 'training and swap']) {
  const found = samples.filter((sample) => sample.phase === name);
  const sorted = found.map(({ ms }) => ms).sort((a, b) => a - b);
  rows[name] = {
    forecasts: sorted.length,
    'p50 ms': quantile(sorted, 0.5).toFixed(1),
    'p90 ms': quantile(sorted, 0.9).toFixed(1),
    'p99 ms': quantile(sorted, 0.99).toFixed(1),
    'max ms': sorted.at(-1).toFixed(1),
    models: new Set(found.map(({ model }) => model)).size,
  };
}
console.table(rows);
console.log(events.join(', '));
const ratio = rows['training and swap']['p99 ms'] / rows.rest['p99 ms'];
console.log(
  `${devices} devices, ${devices / (Number(options.every) / 1000)} forecasts a second; p99 ${ratio.toFixed(2)} times that of rest`,
);
if (ratio > 1.5) process.exitCode = 1;
