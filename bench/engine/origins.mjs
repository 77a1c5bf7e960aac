// What the origins behind a keyBy cost: memory and snapshot bytes for each, and records/s through a window, by how many
// devices a key has, and by what the window does after a failure: where it goes on, it can take each record back.
// node --expose-gc bench/engine/origins.mjs [--note] keeps the result in bench/results/.
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { TopologyBuilder } from '../../dist/topology/builder.js';
import { Executor } from '../../dist/topology/executor.js';
import { divide } from '../../dist/topology/plan.js';
import { tumbling } from '../../dist/topology/windows/window-spec.js';

const DEVICES = 10_000;
const RECORDS = 1_000_000;
const BATCH = 2_000;
const START = 1_000_000;

const valueCodec = {
  encode: (value) => {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeDoubleLE(value);
    return bytes;
  },
  decode: (bytes) => bytes.readDoubleLE(0),
};

function executors(timeOf, devicesPerKey, onError) {
  const builder = new TopologyBuilder('origins');
  builder
    .source('in', { topic: 'in', codec: { decode: () => ({ kind: 'skip', reason: 'unused' }) } })
    .keyBy('by-room', (device) => `room-${Math.floor(device / devicesPerKey)}`, { codec: valueCodec, timeOf })
    .window(tumbling(60_000, { graceMs: 10_000, idleMs: 600_000 }))
    .count('count', { onError })
    .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(`${value.value}`) }) });
  return divide(builder.build())
    .sort((a, b) => (a.name === 'in' ? -1 : b.name === 'in' ? 1 : 0))
    .map((part) => {
      const here = { partitionOf: () => 0 };
      const target = ({ topic, repartition }) =>
        repartition === undefined ? { topic, ...here } : { topic, ...here, ticks: { from: 0, of: 1, partitions: 1 } };
      const deadLetters = { topic: 'dead-letters', ...here };
      return new Executor(part, { task: part.name, partition: 0, target, deadLetters, judge: () => 'fail' });
    });
}

function run(timeOf, devicesPerKey, onError = 'fail') {
  const [before, behind] = executors(timeOf, devicesPerKey, onError);
  let spent = 0;
  let topicBytes = 0;
  for (let at = 0, offset = 0; at < RECORDS; at += BATCH) {
    for (let i = 0; i < BATCH; i++) {
      const device = (at + i) % DEVICES;
      const time = START + (at + i) / 10;
      const key = Buffer.from(`device-${device}`);
      const input = { offset: at + i, timestamp: time, key, value: key };
      if ((at + i) % DEVICES === 0) before.batch.add(0, input, { kind: 'tick', time });
      else before.batch.add(0, input, { kind: 'record', value: device, time });
    }
    before.run();
    const records = before.takeOutputs().map((out) => ({ ...out, offset: offset++ }));
    if (at === 0) topicBytes = records.at(-1).value.length;
    const since = process.hrtime.bigint();
    for (const record of records) behind.batch.add(0, record, behind.batch.decode(0, record));
    behind.run();
    behind.takeOutputs();
    spent += Number(process.hrtime.bigint() - since);
  }
  const { state } = behind;
  const keys = [...state.keys.keys()];
  const snapshot = keys.reduce((sum, key) => {
    return sum + (state.snapshotRow(state.keys.rowOf(key))['count/origins']?.length ?? 0);
  }, 0);
  globalThis.gc?.();
  const held = process.memoryUsage().heapUsed;
  for (const key of keys) state.column('count/origins')?.erase(state.keys.rowOf(key));
  globalThis.gc?.();
  return {
    timeOf,
    devicesPerKey,
    onError,
    recordsPerSecond: Math.round(RECORDS / (spent / 1e9)),
    heapBytesPerOrigin: Math.round((held - process.memoryUsage().heapUsed) / DEVICES),
    snapshotBytesPerOrigin: Number((snapshot / DEVICES).toFixed(1)),
    topicBytesPerRecord: topicBytes,
  };
}

run('origin', 10);
const results = [10, 100, 1_000, 10_000].flatMap((devices) => [
  run('key', devices),
  run('origin', devices),
  run('origin', devices, 'dead-letter'),
]);
console.table(results);
if (process.argv.includes('--note')) {
  const date = new Date().toISOString().slice(0, 10);
  const note = { date, node: process.version, cpu: `${cpus().length} × ${cpus()[0].model}`, records: RECORDS, results };
  writeFileSync(new URL(`../results/origins-${date}.json`, import.meta.url), `${JSON.stringify(note, null, 2)}\n`);
}
