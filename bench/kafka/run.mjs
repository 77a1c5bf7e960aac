// npm run bench:kafka -- BROKERS [RECORDS=300000] [RECORDS A COMMIT=5000]
// On a real broker, in one run: (a) kafkajs alone, consume–transform–produce exactly once; (b) our log doing the same;
// (c) our engine with mean and deviation over the last 24 readings of 1,000 devices; and the log's own append and read.
import { randomUUID } from 'node:crypto';
import { availableParallelism } from 'node:os';
import kafkajs from 'kafkajs';
import { openKafkaLog } from '../../dist/log/kafka/kafka-log.js';
import { Engine } from '../../dist/topology/engine.js';
import { averages, encodeReading, INTERVAL_MS } from '../engine/averages.mjs';

const [brokers, recordCount = '300000', commitSize = '5000'] = process.argv.slice(2);
if (brokers === undefined) throw new Error('usage: run.mjs BROKERS [RECORDS] [RECORDS A COMMIT]');
const RECORDS = Number(recordCount);
const COMMIT = Number(commitSize);
const DEVICES = 1000;
const prefix = `bench${randomUUID().slice(0, 8)}.`;
const log = await openKafkaLog({ brokers: brokers.split(','), prefix });
const results = [];

async function measure(name, count, run) {
  const cpu = process.cpuUsage();
  const began = performance.now();
  await run();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  results.push({
    name,
    perSecond: Math.round(count / seconds),
    cpuSeconds: Number(((user + system) / 1e6).toFixed(2)),
  });
  console.error(results.at(-1));
}

await log.ensureTopics(
  ['readings', 'averages', 'dead-letters', 'out-a', 'out-b'].map((name) => ({
    name,
    partitions: 1,
    cleanup: 'delete',
  })),
);
const keys = Array.from({ length: DEVICES }, (_, i) => Buffer.from(`device-${String(i).padStart(6, '0')}`));
await measure('append', RECORDS, async () => {
  const begin = Date.now() - 86_400_000;
  for (let i = 0; i < RECORDS; ) {
    const batch = [];
    for (; batch.length < 10_000 && i < RECORDS; i++) {
      const round = Math.floor(i / DEVICES);
      const value = encodeReading(begin + round * INTERVAL_MS + (i % 1000), 50 + 20 * Math.sin(round / 10) + (i % 7));
      batch.push({ topic: 'readings', partition: 0, timestamp: Date.now(), key: keys[i % DEVICES], value });
    }
    await log.append(batch);
  }
});
await measure('read', RECORDS, async () => {
  for (let at = 0; at < RECORDS; ) at = (await log.read('readings', 0, at, { waitMs: 5000 })).nextOffset;
});

await measure(`a: kafkajs alone, exactly once, ${COMMIT} a transaction`, RECORDS, kafkajsLoop);
await measure(`b: our log, exactly once, ${COMMIT} a transaction`, RECORDS, async () => {
  const member = await log.join({ group: 'b', topics: ['readings'], memberId: 'b', onAssigned() {}, onRevoked() {} });
  while (member.assignment().length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const writer = await member.openWriter(0);
  for (let at = 0; at < RECORDS; ) {
    const batch = await log.read('readings', 0, at, { maxRecords: COMMIT, waitMs: 5000 });
    at = batch.nextOffset;
    const out = batch.records.map(({ timestamp, key, value }) => ({
      topic: 'out-b',
      partition: 0,
      timestamp,
      key,
      value,
    }));
    await writer.commit(out, new Map([['readings', at]]));
  }
  await member.leave();
});
await measure('c: engine, mean and deviation over the last 24, exactly once', RECORDS, async () => {
  const engine = new Engine({
    log,
    topology: averages(),
    group: 'c',
    stateTopic: 'state-c',
    batch: { maxRecords: COMMIT },
    until: new Map([['readings/0', RECORDS]]),
  });
  await engine.start();
  await engine.finished();
  await engine.stop();
});
await log.close();

const of = (letter) => results.find(({ name }) => name.startsWith(`${letter}:`)).perSecond;
const environment = { date: new Date().toISOString(), node: process.version, cores: availableParallelism(), RECORDS };
console.log(
  JSON.stringify(
    { environment, results, ratios: { 'b/a': of('b') / of('a'), 'c/a': of('c') / of('a') } },
    undefined,
    2,
  ),
);

/** As well as kafkajs can: one transaction for each fetched batch of up to COMMIT records, sent 1,000 at a time. */
async function kafkajsLoop() {
  const kafka = new kafkajs.Kafka({ brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: `${prefix}a`, maxBytesPerPartition: 1_000_000 });
  const producer = kafka.producer({
    transactionalId: `${prefix}a`,
    idempotent: true,
    maxInFlightRequests: 1,
    retry: { initialRetryTime: 5, retries: 1000 },
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
  });
  await Promise.all([consumer.connect(), producer.connect()]);
  await consumer.subscribe({ topics: [`${prefix}readings`], fromBeginning: true });
  await new Promise((resolve, reject) => {
    consumer
      .run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        eachBatch: async ({ batch, resolveOffset }) => {
          for (let from = 0; from < batch.messages.length; from += COMMIT) {
            const messages = batch.messages.slice(from, from + COMMIT);
            const transaction = await producer.transaction();
            for (let i = 0; i < messages.length; i += 1000) {
              await transaction.send({
                topic: `${prefix}out-a`,
                messages: messages
                  .slice(i, i + 1000)
                  .map(({ key, value, timestamp }) => ({ key, value, timestamp, partition: 0 })),
              });
            }
            const offset = String(Number(messages.at(-1).offset) + 1);
            await transaction.sendOffsets({
              consumerGroupId: `${prefix}a`,
              topics: [{ topic: `${prefix}readings`, partitions: [{ partition: 0, offset }] }],
            });
            await transaction.commit();
            resolveOffset(messages.at(-1).offset);
            if (Number(offset) >= RECORDS) resolve();
          }
        },
      })
      .catch(reject);
  });
  await Promise.all([consumer.disconnect(), producer.disconnect()]);
}
