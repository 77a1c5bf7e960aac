// A window of the last 96 buckets of each device, and nothing else.
import { TopologyBuilder } from '../../dist/topology/builder.js';

const LOOKBACK = 96;

class Window {
  init(context) {
    this.window = context.slab('window', { ring: ['f32', LOOKBACK], at: ['i32', 1], seen: ['i32', 1] });
  }

  process(record, out) {
    const { row } = record;
    const { window } = this;
    if (!window.has(record)) window.create(record);
    const at = window.i32('at');
    const seen = window.i32('seen');
    window.f32('ring')[row * LOOKBACK + at[row]] = record.value;
    at[row] = (at[row] + 1) % LOOKBACK;
    if (++seen[row] % LOOKBACK === 0) out.emit(record.value, record.time);
  }
}

export function windows() {
  const builder = new TopologyBuilder('windows');
  builder
    .source('readings', {
      topic: 'readings',
      codec: { decode: ({ value }) => ({ kind: 'record', value: value.readDoubleLE(8), time: value.readDoubleLE(0) }) },
    })
    .process('window', () => new Window())
    .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(`${value}`) }) });
  return builder.build();
}
