// Latency of forecasts at rest, and while models are trained beside the stream and swapped in: from the append of the
// reading that closes a bucket to the forecast's being readable on the log. One process, as the service runs it: embedded
// log, pipeline and learner. Devices report evenly spread over the hour. Rest and training alternate, several times in one
// run: the learner is asked for a training, its model is put in shadow and then made champion.
//   node bench/learning/latency.mjs [--devices 200] [--rounds 4] [--seconds 20] [--steps 2500] [--every 250] [--folder PATH] [--note]
// --every: milliseconds that an hour of event time takes. --folder: where the log is put; in memory (/dev/shm) the disk's
// own stalls are left out. --note keeps the result in bench/results/.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
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
import { promote, requestTraining } from '../../dist/retraining/lifecycle.js';
import { Engine } from '../../dist/topology/engine.js';

const { values: options } = parseArgs({
  options: {
    devices: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '20' },
    steps: { type: 'string', default: '2500' },
    every: { type: 'string', default: '250' },
    folder: { type: 'string', default: tmpdir() },
    note: { type: 'boolean', default: false },
  },
});
const HOUR = 3_600_000;
const PARTITIONS = 2;
const T0 = Date.UTC(2026, 0, 1);
const HISTORY = 1500;
const SLICE_MS = 10;
const REST = 'rest';
const TRAINING = 'training and swap';
const devices = Number(options.devices);
const hourMs = Number(options.every);
const loadBefore = loadavg()[0];
const folder = mkdtempSync(join(options.folder, 'fleetcast-latency-'));
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

/** By device and origin: when the reading that closed the bucket was appended. */
const appended = new Map();
const phases = [];
let phase;
let stopped = false;
const loop = monitorEventLoopDelay({ resolution: 1 });
loop.enable();

function begin(kind) {
  end();
  phase = { kind, samples: [], models: new Set(), from: performance.now() };
  loop.reset();
}

function end() {
  if (phase === undefined) return;
  phases.push({ ...phase, seconds: (performance.now() - phase.from) / 1000, blockedMs: loop.max / 1e6 });
  phase = undefined;
}

const followers = Array.from({ length: PARTITIONS }, async (_, partition) => {
  for (let next = 0; !stopped; ) {
    const batch = await log.read(topics.forecasts, partition, next, { maxRecords: 5000, waitMs: 200 });
    const now = performance.now();
    for (const { value } of batch.records) {
      const { device, origin, model } = decode('Forecast', value);
      const key = `${device} ${origin}`;
      const from = appended.get(key);
      appended.delete(key);
      // A forecast belongs to the phase in which its reading came.
      if (from === undefined || phase === undefined || from < phase.from) continue;
      phase.samples.push(now - from);
      phase.models.add(model);
    }
    next = batch.nextOffset;
  }
});

/** Readings that have been appended. */
let sent = HISTORY * devices;
const stream = (async () => {
  const startedAt = performance.now();
  const first = sent;
  while (!stopped) {
    await pause(SLICE_MS);
    const due = first + Math.floor(((performance.now() - startedAt) / hourMs) * devices);
    const records = [];
    for (; sent < due; sent++) {
      const d = sent % devices;
      const hour = Math.floor(sent / devices);
      const time = T0 + hour * HOUR;
      const value = { level: valueAt(d, hour) };
      const reading = { type: 'Reading', device: `d${d}`, time, values: value, retained: false, redelivered: false };
      records.push({
        topic: topics.readings,
        partition: partitionFor(`d${d}`, PARTITIONS),
        timestamp: time,
        key: Buffer.from(`d${d}`),
        value: encodeRecord({ ...reading, fingerprint: '' }),
      });
      appended.set(`d${d} ${time}`, performance.now());
    }
    if (records.length > 0) await log.append(records);
  }
})();

const seen = [];
const waiting = new Set();
let trainingFrom = 0;
const learner = new Learner({
  log,
  topics,
  registry,
  windows: config,
  name: 'default',
  // Nothing but what this script asks for.
  triggers: { firstAfter: 1e9, every: 0 },
  trial: { least: 4, most: 8, margin: 0, significance: 0.05, looks: 2 },
  request: { settings: { width: 32, maxSteps: Number(options.steps), seed: 1 } },
  ridgeBeside: false,
  checkpointMs: 5_000,
  now: Date.now,
  memberId: 'learner',
  onEvent: (event) => {
    if (event.kind === 'error') {
      console.error(event.message);
      return;
    }
    const { kind, modelId } = event.event;
    if (kind === 'requested') trainingFrom = performance.now();
    seen.push({ kind, modelId, after: (performance.now() - trainingFrom) / 1000 });
    for (const one of waiting) one();
  },
});
await learner.start();

async function event(kinds, from) {
  for (;;) {
    const found = seen.slice(from).find(({ kind }) => kinds.includes(kind));
    if (found !== undefined) return found;
    await new Promise((resolve) => {
      const wake = () => {
        waiting.delete(wake);
        resolve();
      };
      waiting.add(wake);
    });
  }
}

const hand = { log, topics, registry, now: Date.now, name: 'default', shape: config.shape };
const settings = (seed) => ({ settings: { width: 32, maxSteps: Number(options.steps), seed } });

/** One training to its end, and its model in the champion's place. */
async function trainAndSwap(seed) {
  const from = seen.length;
  await requestTraining(hand, settings(seed));
  const { kind } = await event(['promoted', 'shadowed', 'rejected', 'failed'], from);
  if (kind === 'failed') throw new Error('the training failed');
  const trained = seen.slice(from).find((one) => one.kind === 'trained');
  if (kind !== 'promoted') await promote(hand, trained.modelId);
  await pause(2_000);
  return trained.after;
}

async function withoutChallenger() {
  while (learner.status().challenger !== '' || learner.status().state !== 'waiting') await pause(100);
}

// The windows fill, code gets warm, and there is a champion.
while (sent < (HISTORY + 110) * devices) await pause(200);
await trainAndSwap(1);
await withoutChallenger();
const lengths = [];
for (let round = 0; round < Number(options.rounds); round++) {
  await pause(2_000);
  begin(REST);
  await pause(Number(options.seconds) * 1000);
  begin(TRAINING);
  lengths.push(await trainAndSwap(round + 2));
  end();
  await withoutChallenger();
}
stopped = true;
await stream;
await Promise.all(followers);
await learner.stop();
await engine.stop();
await log.close();
rmSync(folder, { recursive: true, force: true });

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.ceil(q * sorted.length) - 1)];
const row = (label, samples, more) => {
  const sorted = Float64Array.from(samples).sort();
  const [p50, p90, p99] = [0.5, 0.9, 0.99].map((q) => quantile(sorted, q));
  return { label, forecasts: sorted.length, p50, p90, p99, max: sorted.at(-1), ...more };
};
const rows = phases.map(({ kind, samples, models, seconds, blockedMs }, i) =>
  row(`${kind} ${Math.floor(i / 2) + 1}`, samples, { seconds, blockedMs, models: models.size }),
);
const all = Object.fromEntries(
  [REST, TRAINING].map((kind) => {
    const of = phases.filter((one) => one.kind === kind);
    const blockedMs = Math.max(...of.map((one) => one.blockedMs));
    const seconds = of.reduce((sum, one) => sum + one.seconds, 0);
    return [
      kind,
      row(
        `${kind}, all`,
        of.flatMap(({ samples }) => samples),
        { seconds, blockedMs, models: '' },
      ),
    ];
  }),
);
const ratio = all[TRAINING].p99 / all[REST].p99;
const lines = [
  '| phase | seconds | forecasts | p50 ms | p90 ms | p99 ms | max ms | loop blocked at most, ms | models |',
  '|---|---|---|---|---|---|---|---|---|',
  ...[...rows, all[REST], all[TRAINING]].map(
    ({ label, seconds, forecasts, p50, p90, p99, max, blockedMs, models }) =>
      `| ${label} | ${seconds.toFixed(0)} | ${forecasts} | ${[p50, p90, p99, max, blockedMs].map((ms) => ms.toFixed(1)).join(' | ')} | ${models} |`,
  ),
  '',
  `p99 during training and swap ${ratio.toFixed(2)} times that of rest. ${devices} devices, ${Math.round(devices / (hourMs / 1000))} forecasts a second; trainings of ${lengths.map((s) => s.toFixed(1)).join(', ')} s.`,
];
console.log(lines.join('\n'));
if (options.note) {
  const day = new Date().toISOString().slice(0, 10);
  const head = [
    `# Latency of forecasts while models are trained and swapped in, ${day}`,
    '',
    `\`node bench/learning/latency.mjs --rounds ${options.rounds} --seconds ${options.seconds} --steps ${options.steps}\`: one process with the embedded log, the pipeline, two partitions and the learner; from the append of the reading that closes a bucket to the forecast's being readable. Node ${process.versions.node}, ${availableParallelism()} processors (${cpus()[0].model.trim()}), load average before ${loadBefore.toFixed(1)}.`,
    '',
  ];
  writeFileSync(new URL(`../results/loop-latency-${day}.md`, import.meta.url), `${[...head, ...lines].join('\n')}\n`);
}
if (ratio > 1.5) process.exitCode = 1;
