/**
 * Where a key's records go. Equal to Apache Kafka's Java client (`BuiltInPartitioner.partitionForKey`), so that records
 * written by any client of Kafka's default partitioner land in the same partition as ours.
 */

const SEED = 0x9747b28c | 0;
const M = 0x5bd1e995;

/** MurmurHash2 with Kafka's seed: a signed 32-bit number. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  let h = SEED ^ length;
  const whole = length & ~3;
  for (let i = 0; i < whole; i += 4) {
    let k = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  const rest = length & 3;
  if (rest === 3) h ^= bytes[whole + 2]! << 16;
  if (rest >= 2) h ^= bytes[whole + 1]! << 8;
  if (rest >= 1) h = Math.imul(h ^ bytes[whole]!, M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return h ^ (h >>> 15);
}

/** Partition of a key (a string counts as its UTF-8 bytes) among `partitions`, from 0. */
export function partitionFor(key: Uint8Array | string, partitions: number): number {
  const bytes = typeof key === 'string' ? Buffer.from(key, 'utf8') : key;
  return (murmur2(bytes) & 0x7fffffff) % partitions;
}
