// The bare consume–transform–produce loop of kafkajs, exactly once, as fast as kafkajs goes: a transactional producer for
// each partition, a transaction for each fetched batch, partitions beside each other, 1,000 records a send.
import kafkajs from 'kafkajs';

const BATCH_BYTES = 500_000;
const SEND = 1000;

/** Copies 64 bytes of each record to another topic. @returns milliseconds from the first record to the last commit. */
export async function kafkajsLoop({ brokers, from, to, id, partitions, records }) {
  const kafka = new kafkajs.Kafka({ brokers: brokers.split(','), logLevel: kafkajs.logLevel.NOTHING });
  const consumer = kafka.consumer({ groupId: id, maxBytesPerPartition: BATCH_BYTES });
  const producers = Array.from({ length: partitions }, (_, p) =>
    kafka.producer({
      transactionalId: `${id}-${p}`,
      idempotent: true,
      maxInFlightRequests: 1,
      retry: { initialRetryTime: 5, retries: 1000 },
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    }),
  );
  await Promise.all([consumer, ...producers].map((client) => client.connect()));
  await consumer.subscribe({ topics: [from], fromBeginning: true });
  let began;
  let done = 0;
  await new Promise((resolve, reject) => {
    const eachBatch = async ({ batch, resolveOffset }) => {
      began ??= performance.now();
      const { messages, partition } = batch;
      const transaction = await producers[partition].transaction();
      for (let i = 0; i < messages.length; i += SEND) {
        await transaction.send({
          topic: to,
          messages: messages
            .slice(i, i + SEND)
            .map(({ key, value, timestamp }) => ({ key, value: value.subarray(0, 64), timestamp, partition })),
        });
      }
      const { offset } = messages.at(-1);
      const next = { partition, offset: String(Number(offset) + 1) };
      await transaction.sendOffsets({ consumerGroupId: id, topics: [{ topic: from, partitions: [next] }] });
      await transaction.commit();
      resolveOffset(offset);
      done += messages.length;
      if (done >= records) resolve();
    };
    const options = { autoCommit: false, eachBatchAutoResolve: false, partitionsConsumedConcurrently: partitions };
    consumer.run({ ...options, eachBatch }).catch(reject);
  });
  const ms = performance.now() - began;
  await Promise.all([consumer, ...producers].map((client) => client.disconnect()));
  return ms;
}
