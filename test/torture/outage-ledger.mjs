// What is on the topics against what was published: device d has sent readings 0 … n−1 of two quantities, a bucket each.
import { pathToFileURL } from 'node:url';

/** @param sent by device, how many readings it has published. */
export async function judgeForecasts(log, dist, sent) {
  const { decodeRecord } = await import(pathToFileURL(`${dist}/events/codec.js`).href);
  const published = sent.reduce((a, b) => a + b);
  const readings = new Map();
  const redelivered = new Set();
  for (const { record } of await everything(log, 'readings', decodeRecord)) {
    if (record.type !== 'Reading') continue;
    const key = `${record.device} ${record.time}`;
    readings.set(key, (readings.get(key) ?? 0) + 1);
    if (record.redelivered) redelivered.add(key);
  }
  const forecasts = new Map();
  let records = 0;
  for (const found of await everything(log, 'forecasts', decodeRecord)) {
    const key = `${found.record.device} ${found.record.quantity} ${found.record.origin}`;
    records++;
    const same = forecasts.get(key);
    if (same === undefined) forecasts.set(key, [found]);
    else same.push(found);
  }
  const twice = [...forecasts].filter(([, found]) => found.length > 1);
  // Of each series the last two buckets wait for their grace.
  const due = sent.reduce((sum, n) => sum + QUANTITIES * Math.max(0, n - 2), 0);
  const verdict = {
    published,
    readings: {
      missing: published - readings.size,
      twice: [...readings.values()].filter((count) => count > 1).length,
      redelivered: redelivered.size,
    },
    forecasts: { due, missing: due - forecasts.size, twice: twice.length, records },
    examples: [...twice.slice(0, 3), ...twice.slice(-2)].map(([key, found]) => ({ key, found: found.map(brief) })),
  };
  const holds = verdict.readings.missing === 0 && verdict.forecasts.missing === 0 && twice.length === 0;
  return { ...verdict, holds };
}

const QUANTITIES = 2;

function brief({ partition, offset, timestamp, record }) {
  const { model, inputOffset, values } = record;
  return { partition, offset, timestamp, model, inputOffset, first: values[0] };
}

async function everything(log, topic, decode) {
  const all = [];
  const { partitions } = await log.topic(topic);
  for (let partition = 0; partition < partitions; partition++) {
    const { earliest, end } = await log.offsets(topic, partition);
    for (let offset = earliest; offset < end; ) {
      const batch = await log.read(topic, partition, offset, { maxRecords: 10_000 });
      for (const { value, offset: at, timestamp } of batch.records) {
        if (value !== null) all.push({ partition, offset: at, timestamp, record: decode(value) });
      }
      if (batch.nextOffset === offset) break;
      offset = batch.nextOffset;
    }
  }
  return all;
}
