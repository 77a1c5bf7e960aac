// What `EngineThreads` runs in each thread of its test: counts records by key on an embedded log.
import { existsSync, writeFileSync } from 'node:fs';
import { FleetcastError } from '../../dist/errors.js';
import { openEmbeddedLog } from '../../dist/log/embedded/embedded-log.js';
import { Tables } from '../../dist/log/embedded/tables.js';
import { numberCodec } from '../../dist/state/codecs.js';
import { TopologyBuilder } from '../../dist/topology/builder.js';

class Count {
  constructor(store) {
    this.store = store;
  }

  init(context) {
    this.counts = context.keyed(this.store, numberCodec);
  }

  process(record, out) {
    const count = (this.counts.get(record) ?? 0) + 1;
    this.counts.set(record, count);
    out.emit(count, record.time);
  }
}

/** Ways in which a thread ends other than by an error of an operator. */
const CRASHES = {
  exit: () => process.exit(7),
  quit: () => process.exit(0),
  // Out of band: no caller that could catch it.
  throw: () => setImmediate(() => JSON.parse('nonsense')),
  memory: () => {
    for (const kept = []; ; ) kept.push(new Array(10_000).fill(kept.length));
  },
  fail: () => {
    throw new Error('not for me');
  },
  hang: () => {
    for (;;);
  },
  /** Out of memory within a write of the log, where no operator ever is. */
  write: (path) => {
    new Tables(path).write(() => CRASHES.memory());
  },
};

/**
 * @param once a file that says that the crash has been: only the first thread that comes there crashes.
 * @param fault message of what it throws instead of making anything; with `code` an error of the table.
 */
export default async function make({ path, until, crashAt, crash = 'exit', once, fault, code, ...changed }) {
  if (fault !== undefined) throw code === undefined ? new Error(fault) : new FleetcastError(code, fault);
  const { store = 'counts', sink = 'out', batch } = changed;
  const log = await openEmbeddedLog({ path });
  const builder = new TopologyBuilder('count');
  builder
    .source('in', {
      topic: 'in',
      codec: { decode: ({ value, timestamp }) => ({ kind: 'record', value: String(value), time: timestamp }) },
    })
    .map('crash', (value) => {
      if (value === crashAt && !(once !== undefined && existsSync(once))) {
        if (once !== undefined) writeFileSync(once, '');
        CRASHES[crash](path);
      }
      return value;
    })
    .process('count', () => new Count(store))
    .sink('out', { topic: sink, encode: ({ key, value }) => ({ key, value: Buffer.from(`${value}`) }) });
  return {
    options: {
      log,
      topology: builder.build(),
      group: 'threads',
      sessionMs: 1000,
      ...(batch === undefined ? {} : { batch }),
      ...(until === undefined ? {} : { until: new Map(until) }),
    },
    close: () => log.close(),
  };
}
