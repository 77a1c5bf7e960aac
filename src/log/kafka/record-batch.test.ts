import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadZstd } from './compression.ts';
import { decodeBatches, encodeBatch } from './record-batch.ts';

const PRODUCER = { producerId: 7n, epoch: 1, sequence: 5, transactional: false };
const bytes = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: null });
const record = fc.record({
  timestamp: fc.oneof(fc.integer({ min: 0, max: 2 ** 45 }), fc.constant(1_700_000_000_000)),
  key: bytes,
  value: bytes,
});

const plain = (r: { timestamp: number; key: Uint8Array | null; value: Uint8Array | null }) => [
  r.timestamp,
  r.key === null ? null : Buffer.from(r.key).toString('hex'),
  r.value === null ? null : Buffer.from(r.value).toString('hex'),
];

describe('record batches', () => {
  test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)('come back as they were, %s', async (compression) => {
    await loadZstd();
    fc.assert(
      fc.property(fc.array(fc.array(record, { minLength: 1, maxLength: 20 }), { maxLength: 4 }), (batches) => {
        let base = 100;
        const pieces = batches.map((records) => {
          const batch = encodeBatch(records, PRODUCER, compression);
          batch.writeBigInt64BE(BigInt(base), 0);
          base += records.length;
          return batch;
        });
        const decoded = decodeBatches(Buffer.concat(pieces), 100, [], 't/0');
        expect(decoded.records.map(plain)).toEqual(batches.flat().map(plain));
        expect(decoded.records.map((r) => r.offset)).toEqual(batches.flat().map((_, i) => 100 + i));
        expect(decoded.nextOffset).toBe(base);
      }),
    );
  });

  test('are what kafkajs reads', async () => {
    const require = createRequire(import.meta.url);
    const Decoder = require('kafkajs/src/protocol/decoder');
    const decodeBatch = require('kafkajs/src/protocol/recordBatch/v0/decoder');
    const records = [
      { timestamp: 1_700_000_000_000, key: Buffer.from('a'), value: Buffer.from('first') },
      { timestamp: 1_600_000_000_000, key: null, value: null },
      { timestamp: 1_700_000_000_500, key: Buffer.alloc(70, 'k'), value: Buffer.alloc(20_000, 'v') },
    ];
    const batch = encodeBatch(records, { ...PRODUCER, transactional: true });
    const read = await decodeBatch(new Decoder(batch));
    expect(read).toMatchObject({ producerId: '7', producerEpoch: 1, firstSequence: 5, inTransaction: true });
    expect(
      read.records.map((r: never) => plain({ ...(r as object), timestamp: Number(r['timestamp']) } as never)),
    ).toEqual(records.map(plain));
  });

  test('a cut or damaged batch is not taken for records', () => {
    const batch = encodeBatch([{ timestamp: 1, key: null, value: Buffer.from('value') }], PRODUCER);
    expect(decodeBatches(batch.subarray(0, batch.length - 1), 0, [], 't/0')).toMatchObject({
      records: [],
      nextOffset: 0,
    });
    batch[batch.length - 3]! ^= 1;
    expect(() => decodeBatches(batch, 0, [], 't/0')).toThrow(/damaged/);
  });

  test('records of aborted transactions are left out, those around them not', () => {
    const at = (base: number, batch: Buffer) => {
      batch.writeBigInt64BE(BigInt(base), 0);
      return batch;
    };
    const data = (base: number, producerId: bigint, text: string) =>
      at(
        base,
        encodeBatch([{ timestamp: 1, key: null, value: Buffer.from(text) }], {
          ...PRODUCER,
          producerId,
          transactional: true,
        }),
      );
    const marker = (base: number, producerId: bigint, type: number) => {
      const key = Buffer.from([0, 0, 0, type]);
      const batch = encodeBatch([{ timestamp: 1, key, value: Buffer.alloc(6) }], {
        ...PRODUCER,
        producerId,
        transactional: true,
      });
      batch.writeInt16BE(0x30, 21);
      return at(base, batch);
    };
    const log = [
      data(0, 1n, 'kept 1'),
      data(1, 2n, 'aborted'),
      marker(2, 1n, 1),
      data(3, 1n, 'kept 2'),
      data(4, 2n, 'aborted too'),
      marker(5, 2n, 0),
      data(6, 2n, 'kept 3'),
      marker(7, 2n, 1),
    ];
    const decoded = decodeBatches(Buffer.concat(log), 0, [{ producerId: 2n, firstOffset: 1 }], 't/0');
    expect(decoded.records.map((r) => Buffer.from(r.value!).toString())).toEqual(['kept 1', 'kept 2', 'kept 3']);
    expect(decoded.nextOffset).toBe(8);
  });

  test.each([
    ['a marker', 0x30],
    ['data', 0x10],
  ])('an emptied batch of %s says nothing and is passed over', (_, attributes) => {
    const at = (base: number, text: string) => {
      const batch = encodeBatch([{ timestamp: 1, key: null, value: Buffer.from(text) }], {
        ...PRODUCER,
        transactional: true,
      });
      batch.writeBigInt64BE(BigInt(base), 0);
      return batch;
    };
    // What Kafka's cleaner leaves where a batch is its producer's last: the header.
    const empty = Buffer.from(at(1, 'gone').subarray(0, 61));
    empty.writeInt32BE(61 - 12, 8);
    empty.writeInt16BE(attributes, 21);
    empty.writeInt32BE(1, 23);
    empty.writeInt32BE(0, 57);
    const inTheMiddle = decodeBatches(Buffer.concat([at(0, 'a'), empty, at(3, 'b')]), 0, [], 't/0');
    expect(inTheMiddle.records.map(({ offset, value }) => [offset, String(value)])).toEqual([
      [0, 'a'],
      [3, 'b'],
    ]);
    expect(decodeBatches(Buffer.concat([at(0, 'a'), empty]), 0, [], 't/0')).toMatchObject({ nextOffset: 3 });
  });
});
