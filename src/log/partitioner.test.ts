import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { murmur2, partitionFor } from './partitioner.ts';

/** From Apache Kafka's own `UtilsTest.testMurmur2`. */
const KAFKA_VECTORS: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
];

describe('murmur2', () => {
  test.each(KAFKA_VECTORS)('%s hashes as in the Java client', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash);
  });
});

describe('partitionFor', () => {
  test('agrees with `BuiltInPartitioner.partitionForKey` of the Java client 4.3.1', () => {
    const file = new URL('../../test/log/java-partitions.json', import.meta.url);
    const vectors = JSON.parse(readFileSync(file, 'utf8')) as [hex: string, partitions: number, partition: number][];
    expect(vectors).toHaveLength(100);
    for (const [hex, partitions, partition] of vectors) {
      expect(partitionFor(Buffer.from(hex, 'hex'), partitions)).toBe(partition);
    }
  });

  test('takes the hash without its sign, modulo the partitions', () => {
    expect(partitionFor('21', 12)).toBe((-973932308 & 0x7fffffff) % 12);
    expect(partitionFor('abc', 7)).toBe(479470107 % 7);
  });

  test('a string counts as its UTF-8 bytes', () => {
    expect(partitionFor('Fühler-β', 31)).toBe(partitionFor(new TextEncoder().encode('Fühler-β'), 31));
  });

  test('spreads devices over all partitions', () => {
    const hits = new Set(Array.from({ length: 200 }, (_, i) => partitionFor(`device-${i}`, 8)));
    expect([...hits].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });
});
