import { CompactReader, length, NO_TAGS, text } from './compact.ts';
import { KafkaError } from './kafka-errors.ts';
import { encoded, type WireBroker } from './wire.ts';

const OFFSET_FETCH = 9;
/** The first with `require_stable`, which kafkajs does not have; brokers know it since 2.5. */
const OFFSET_FETCH_VERSION = 7;

/**
 * Committed offsets of one partition of topics, none of them older than a transaction that has ended: the broker answers
 * UNSTABLE_OFFSET_COMMIT, or waits, while one is about to be applied (KIP-447). Without this, offsets that are read just
 * after a coordinator has come back may be those before the last commit, and what it took in would be taken in again.
 * @returns topic to offset; nothing for a topic without one.
 * @throws KafkaError with the answer's code.
 */
export async function stableOffsets(
  coordinator: WireBroker,
  group: string,
  topics: readonly string[],
  partition: number,
): Promise<Map<string, number>> {
  const body = encodeRequest(group, topics, partition);
  return (await coordinator.connectionPool.send({
    request: {
      apiKey: OFFSET_FETCH,
      apiVersion: OFFSET_FETCH_VERSION,
      apiName: 'OffsetFetch',
      encode: async () => encoded(body),
    },
    response: { decode: async (data) => decodeResponse(data, group), parse: async (offsets) => offsets },
    logResponseError: false,
  })) as Map<string, number>;
}

/** With the tags that end the header of this version. */
export function encodeRequest(group: string, topics: readonly string[], partition: number): Buffer {
  const index = Buffer.alloc(4);
  index.writeInt32BE(partition);
  const parts = [NO_TAGS, text(group), length(topics.length + 1)];
  for (const topic of topics) parts.push(text(topic), length(2), index, NO_TAGS);
  return Buffer.concat([...parts, Buffer.of(1), NO_TAGS]);
}

export function decodeResponse(data: Buffer, group: string): Map<string, number> {
  const reader = new CompactReader(data);
  reader.tags();
  reader.at += 4;
  const offsets = new Map<string, number>();
  for (let topics = reader.length() - 1; topics > 0; topics--) {
    const topic = reader.text();
    for (let partitions = reader.length() - 1; partitions > 0; partitions--) {
      const partition = data.readInt32BE(reader.at);
      const offset = Number(data.readBigInt64BE(reader.at + 4));
      reader.at += 16;
      reader.text();
      const code = data.readInt16BE(reader.at);
      reader.at += 2;
      reader.tags();
      if (code !== 0) throw new KafkaError(code, `committed offset of ${topic}/${partition}`);
      if (offset >= 0) offsets.set(topic, offset);
    }
    reader.tags();
  }
  const code = data.readInt16BE(reader.at);
  if (code !== 0) throw new KafkaError(code, `committed offsets of ${group}`);
  return offsets;
}
