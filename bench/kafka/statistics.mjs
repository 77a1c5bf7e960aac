// The topology of the benchmark beside Kafka Streams: for each key, mean and deviation of four values over the last 24
// readings, an output for every reading. Readings are as the peer makes them: four big-endian doubles first, 200 bytes.
import { TopologyBuilder } from '../../dist/topology/builder.js';

export const PARTITIONS = 4;
const VALUES = 4;
const LENGTH = 24;

class Statistics {
  init(context) {
    this.window = context.slab('window', { ring: ['f64', LENGTH * VALUES], filled: ['i32', 1], at: ['i32', 1] });
  }

  process(record, out) {
    const { row, value } = record;
    const { window } = this;
    if (!window.has(record)) window.create(record);
    const ring = window.f64('ring');
    const filled = window.i32('filled');
    const at = window.i32('at');
    const base = row * LENGTH * VALUES;
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    const place = base + at[row] * VALUES;
    for (let v = 0; v < VALUES; v++) ring[place + v] = view.getFloat64(v * 8);
    at[row] = (at[row] + 1) % LENGTH;
    if (filled[row] < LENGTH) filled[row]++;
    const count = filled[row];
    const bytes = Buffer.allocUnsafe(VALUES * 16);
    const result = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let v = 0; v < VALUES; v++) {
      let sum = 0;
      for (let i = 0; i < count; i++) sum += ring[base + i * VALUES + v];
      const mean = sum / count;
      let squares = 0;
      for (let i = 0; i < count; i++) squares += (ring[base + i * VALUES + v] - mean) ** 2;
      result.setFloat64(v * 16, mean);
      result.setFloat64(v * 16 + 8, Math.sqrt(squares / count));
    }
    out.emit(bytes, record.time);
  }
}

/** @param onFirst is called at the first reading. */
export function statistics(onFirst = () => {}) {
  let begun = false;
  const decode = ({ value, timestamp }) => {
    if (!begun) {
      begun = true;
      onFirst();
    }
    return { kind: 'record', value, time: timestamp };
  };
  const builder = new TopologyBuilder('statistics');
  builder
    .source('readings', { topic: 'readings', codec: { decode } })
    .process('statistics', () => new Statistics())
    .sink('statistics-log', { topic: 'statistics', encode: ({ key, value }) => ({ key, value }) });
  return builder.build();
}
