// What `EngineThreads` runs in each thread of its test: counts records by key on an embedded log.
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';
import { numberCodec } from '../../dist/state/codecs.js';
import { TopologyBuilder } from '../../dist/topology/builder.js';

class Count {
  init(context) {
    this.counts = context.keyed('counts', numberCodec);
  }

  process(record, out) {
    const count = (this.counts.get(record) ?? 0) + 1;
    this.counts.set(record, count);
    out.emit(count, record.time);
  }
}

export default async function make({ path, until, crashAt }) {
  const log = await openEmbeddedLog({ path });
  const builder = new TopologyBuilder('count');
  builder
    .source('in', {
      topic: 'in',
      codec: { decode: ({ value, timestamp }) => ({ kind: 'record', value: String(value), time: timestamp }) },
    })
    .map('crash', (value) => {
      // A crash of the thread, not an error of the operator.
      if (value === crashAt) process.exit(7);
      return value;
    })
    .process('count', () => new Count())
    .sink('out', { topic: 'out', encode: ({ key, value }) => ({ key, value: Buffer.from(`${value}`) }) });
  return {
    options: {
      log,
      topology: builder.build(),
      group: 'threads',
      sessionMs: 1000,
      ...(until === undefined ? {} : { until: new Map(until) }),
    },
    close: () => log.close(),
  };
}
