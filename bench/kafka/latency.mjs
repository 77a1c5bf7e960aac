// npm run bench:kafka:latency [-- --rate N --seconds N --note TEXT]: the forecasting pipeline on a real broker, exactly
// once; milliseconds from the append of the reading that closes a bucket to its forecast at a read-committed consumer.
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { encodeRecord } from '../../dist/events/codec.js';
import { openKafkaLog } from '../../dist/log/kafka/kafka-log.js';
import { partitionFor } from '../../dist/log/partitioner.js';
import { forecastingTopology } from '../../dist/pipelines/forecasting.js';
import { ModelRegistry } from '../../dist/pipelines/model-registry.js';
import { pipelineConfig } from '../../dist/pipelines/pipeline-config.js';
import { topicSpecs } from '../../dist/pipelines/topics.js';
import { Engine } from '../../dist/topology/engine.js';
import { startBroker } from './broker.mjs';

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '40' },
    note: { type: 'string', default: '' },
  },
});
const rate = Number(values.rate);
const seconds = Number(values.seconds);
const WARM_UP_SECONDS = 10;
const PARTITIONS = 4;
const DEVICES = 2000;
const INTERVAL_MS = 60_000;
const result = {
  date: new Date().toISOString(),
  node: process.version,
  cpu: `${cpus().length} × ${cpus()[0].model}`,
  load: loadavg().map((n) => Math.round(n * 10) / 10),
  note: values.note,
  readingsPerSecond: rate,
  seconds,
};
const config = pipelineConfig({
  interval: INTERVAL_MS,
  grace: 0,
  idle: 3_600_000,
  shape: { lookback: 24, horizon: 12, season: 12 },
});
const { topics } = config;
const broker = startBroker();
const brokers = broker.brokers.split(',');
const prefix = `latency${randomUUID().slice(0, 8)}.`;
const log = await openKafkaLog({ brokers, prefix });
const client = await openKafkaLog({ brokers, prefix });
let running = true;
try {
  await log.ensureTopics(topicSpecs(topics, { partitions: PARTITIONS }));
  const topology = forecastingTopology(config, new ModelRegistry({ log, topic: topics.models }));
  const engine = new Engine({ log, topology, group: 'latency' });
  await engine.start();
  const latencies = [];
  const readers = Array.from({ length: PARTITIONS }, (_, p) => follow(p, latencies));
  await send();
  await pause(2000);
  running = false;
  await engine.stop();
  await Promise.all(readers);
  const settled = latencies.slice(WARM_UP_SECONDS * rate).sort((a, b) => a - b);
  const at = (q) => Math.round(settled[Math.min(settled.length - 1, Math.floor(settled.length * q))] * 10) / 10;
  Object.assign(result, {
    forecasts: latencies.length,
    medianMs: at(0.5),
    p90Ms: at(0.9),
    p99Ms: at(0.99),
    maxMs: at(1),
  });
} finally {
  running = false;
  await log.close();
  await client.close();
  broker.stop();
}
console.log(JSON.stringify(result, undefined, 2));
if (values.note !== '') {
  mkdirSync('bench/results', { recursive: true });
  writeFileSync(
    `bench/results/kafka-latency-${result.date.slice(0, 10)}.json`,
    `${JSON.stringify(result, undefined, 2)}\n`,
  );
}

/** Each reading is one interval after the device's last: it closes a bucket, and so causes a forecast. */
async function send() {
  const began = performance.now();
  const first = Date.now() - seconds * 10 * INTERVAL_MS;
  const appends = [];
  for (let sent = 0; sent < rate * seconds; ) {
    const due = Math.min(rate * seconds, Math.floor(((performance.now() - began) / 1000) * rate));
    const batch = [];
    for (; sent < due; sent++) {
      const device = `device-${sent % DEVICES}`;
      const time = first + Math.floor(sent / DEVICES) * INTERVAL_MS;
      const reading = { type: 'Reading', device, time, values: { level: Math.sin(sent) } };
      batch.push({
        topic: topics.readings,
        partition: partitionFor(device, PARTITIONS),
        timestamp: performance.timeOrigin + performance.now(),
        key: Buffer.from(device),
        value: encodeRecord({ ...reading, retained: false, redelivered: false, fingerprint: '' }),
      });
    }
    if (batch.length > 0) appends.push(client.append(batch));
    await pause(5);
  }
  await Promise.all(appends);
}

/** A forecast carries the time of the reading that caused it. */
async function follow(partition, latencies) {
  for (let at = 0; running; ) {
    const { records, nextOffset } = await client.read(topics.forecasts, partition, at, { waitMs: 500 });
    const now = performance.timeOrigin + performance.now();
    for (const { timestamp } of records) latencies.push(now - timestamp);
    at = nextOffset;
  }
}
