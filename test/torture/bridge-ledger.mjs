// Reads everything that a bridge has put on the log and holds it against what the broker had accepted.
import { pathToFileURL } from 'node:url';

/**
 * @param log to read from. @param dist the build whose de-duplication is judged.
 * @param accepted set of `device n`. @param sentAgain those of them that the publisher may have handed in twice, because
 * it got no answer: to the broker, and to everybody behind it, these are two messages.
 */
export async function judge(log, dist, { accepted, sentAgain }) {
  const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
  const { decodeRecord } = await from('events/codec.js');
  const { Quality, QUALITY_DEFAULTS } = await from('operators/quality.js');
  const { TopologyBuilder } = await from('topology/builder.js');
  const { TopologyTestDriver } = await from('topology/test-driver.js');
  const found = { readings: 0, distinct: 0, outOfOrder: 0, twice: 0, twiceByPublisher: 0, marked: 0 };
  const why = { unmarked: 0, otherIdentifier: 0, farthest: 0 };
  const seen = new Map();
  const fingerprints = new Set();
  const { partitions } = await log.topic('readings');
  for (let partition = 0; partition < partitions; partition++) {
    const builder = new TopologyBuilder('ledger');
    builder
      .source('readings', { topic: 'readings', codec: { decode: () => ({ kind: 'skip', reason: 'unused' }) } })
      .process('quality', () => new Quality(QUALITY_DEFAULTS))
      .sink('good', { topic: 'good', encode: () => ({ key: null, value: null }) });
    let piped = 0;
    const driver = new TopologyTestDriver(builder.build(), { cut: () => ++piped % 1_000 === 0 });
    const { earliest, end } = await log.offsets('readings', partition);
    const lastOnLog = new Map();
    for (let offset = earliest; offset < end; ) {
      const batch = await log.read('readings', partition, offset, { maxRecords: 5_000, waitMs: 1_000 });
      for (const { value, timestamp } of batch.records) {
        const record = decodeRecord(value);
        if (record.type === 'Tick') driver.tick(record.time);
        if (record.type !== 'Reading') continue;
        driver.pipe('readings', record.device, record, record.time, timestamp);
        found.readings++;
        if (record.redelivered) found.marked++;
        const { n } = record.values;
        const numbers = lastOnLog.get(record.device) ?? new Set([-1]);
        lastOnLog.set(record.device, numbers);
        // Repetitions apart, the log itself is in order.
        if (!numbers.has(n) && n < numbers.highest) found.outOfOrder++;
        numbers.add(n);
        numbers.highest = Math.max(numbers.highest ?? -1, n);
      }
      if (batch.nextOffset <= offset) break;
      offset = batch.nextOffset;
    }
    for (const { value, offset } of driver.records('good')) {
      const { device, values, fingerprint, redelivered } = value;
      const numbers = seen.get(device) ?? { set: new Set(), last: -1, first: new Map() };
      seen.set(device, numbers);
      const key = `${device} ${values.n}`;
      if (numbers.set.has(values.n)) {
        if (sentAgain.has(key)) found.twiceByPublisher++;
        else {
          found.twice++;
          const first = numbers.first.get(values.n);
          if (!redelivered) why.unmarked++;
          if (first.fingerprint !== fingerprint) why.otherIdentifier++;
          why.farthest = Math.max(why.farthest, offset - first.offset);
        }
        continue;
      }
      if (values.n < numbers.last) found.outOfOrder++;
      numbers.set.add(values.n);
      numbers.first.set(values.n, { fingerprint, offset });
      numbers.last = values.n;
      fingerprints.add(fingerprint);
      found.distinct++;
    }
  }
  let lost = 0;
  for (const key of accepted) {
    const [device, n] = key.split(' ');
    if (!seen.get(device)?.set.has(Number(n))) lost++;
  }
  const clashes = found.distinct - fingerprints.size;
  const holds = lost === 0 && found.outOfOrder === 0 && found.twice === 0 && clashes === 0 && accepted.size > 0;
  return { holds, accepted: accepted.size, lost, ...found, clashes, ...(found.twice > 0 ? { why } : {}) };
}
