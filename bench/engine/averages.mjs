// The topology of the engine's benchmark: map → bucket → rolling mean and deviation over the last 24 → sink.
import { TopologyBuilder } from '../../dist/topology/builder.js';

export const INTERVAL_MS = 60_000;

/** Time and value as two doubles. */
export function encodeReading(time, value) {
  const bytes = Buffer.allocUnsafe(16);
  bytes.writeDoubleLE(time, 0);
  bytes.writeDoubleLE(value, 8);
  return bytes;
}

/** @type {import('../../dist/topology/topology.js').SourceCodec<number>} */
const codec = {
  decode: ({ value }) => ({ kind: 'record', value: value.readDoubleLE(8), time: value.readDoubleLE(0) }),
};

/** The mean of each interval; a bucket closes with the first reading after it. */
class Bucket {
  init(context) {
    this.open = context.slab('open', { start: ['f64', 1], sum: ['f64', 1], count: ['i32', 1] });
  }

  process(record, out) {
    const { row } = record;
    const { open } = this;
    if (!open.has(record)) open.create(record);
    const start = open.f64('start');
    const sum = open.f64('sum');
    const count = open.i32('count');
    const bucket = Math.floor(record.time / INTERVAL_MS) * INTERVAL_MS;
    if (count[row] > 0 && bucket > start[row]) {
      out.emit(sum[row] / count[row], start[row]);
      count[row] = 0;
      sum[row] = 0;
    }
    if (count[row] === 0) start[row] = bucket;
    sum[row] += record.value;
    count[row]++;
  }
}

const LENGTH = 24;

/** Mean and deviation of the last 24 values, summed afresh each time: the same bits whatever came before. */
class Rolling {
  init(context) {
    this.window = context.slab('window', { ring: ['f64', LENGTH], filled: ['i32', 1], at: ['i32', 1] });
  }

  process(record, out) {
    const { row } = record;
    const { window } = this;
    if (!window.has(record)) window.create(record);
    const ring = window.f64('ring');
    const filled = window.i32('filled');
    const at = window.i32('at');
    const base = row * LENGTH;
    ring[base + at[row]] = record.value;
    at[row] = (at[row] + 1) % LENGTH;
    if (filled[row] < LENGTH) filled[row]++;
    const count = filled[row];
    let sum = 0;
    for (let i = 0; i < count; i++) sum += ring[base + i];
    const mean = sum / count;
    let squares = 0;
    for (let i = 0; i < count; i++) squares += (ring[base + i] - mean) ** 2;
    out.emit({ mean, deviation: Math.sqrt(squares / count) }, record.time);
  }
}

export function averages() {
  const builder = new TopologyBuilder('averages');
  builder
    .source('readings', { topic: 'readings', codec })
    .map('celsius', (fahrenheit) => ((fahrenheit - 32) * 5) / 9)
    .process('bucket', () => new Bucket())
    .process('rolling', () => new Rolling())
    .sink('averages', {
      topic: 'averages',
      encode: ({ key, value, time }) => {
        const bytes = Buffer.allocUnsafe(24);
        bytes.writeDoubleLE(time, 0);
        bytes.writeDoubleLE(value.mean, 8);
        bytes.writeDoubleLE(value.deviation, 16);
        return { key, value: bytes };
      },
    });
  return builder.build();
}
