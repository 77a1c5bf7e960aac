import { describe, expect, it } from 'vitest';
import { decode, decodeRecord, encode, encodeRecord, schemaOf } from './codec.ts';
import { historyKey, type Reading, seriesKey, splitSeriesKey } from './records.ts';
import { compileSchema, fingerprint } from './schema-registry.ts';

const reading: Reading = {
  type: 'Reading',
  device: 'pump/1',
  time: 1_700_000_000_123,
  values: { temperature: 21.5, pressure: Number.MAX_VALUE },
  retained: false,
  redelivered: true,
  fingerprint: '00ff00ff00ff00ff',
};

describe('codec', () => {
  it('gives back what was encoded', () => {
    expect(decodeRecord(encodeRecord(reading))).toEqual(reading);
    const tick = { type: 'Tick', time: 5 } as const;
    expect(decodeRecord(encodeRecord(tick))).toEqual(tick);
  });

  it('keeps NaN in history', () => {
    const bytes = encode('HistorySegment', {
      device: 'd',
      quantity: 'q',
      start: 0,
      interval: 1,
      values: [Number.NaN, 1],
      counts: [0, 1],
      revision: 0,
      complete: false,
    });
    expect(decode<{ values: number[] }>('HistorySegment', bytes).values).toEqual([Number.NaN, 1]);
  });

  it('grows for records larger than its buffer', () => {
    const values = Array.from({ length: 50_000 }, (_, i) => i / 7);
    const bytes = encode('HistorySegment', {
      device: 'd',
      quantity: 'q',
      start: 0,
      interval: 1,
      values,
      counts: [],
      revision: 0,
      complete: true,
    });
    expect(decode<{ values: number[] }>('HistorySegment', bytes).values).toEqual(values);
  });

  it('names what is wrong', () => {
    expect(() => encode('Tick', { time: 'noon' })).toThrow(expect.objectContaining({ code: 'CODEC_INVALID_VALUE' }));
    expect(() => decodeRecord(Buffer.from('{"a":1}'))).toThrow(
      expect.objectContaining({ code: 'CODEC_UNKNOWN_SCHEMA' }),
    );
    const bytes = encodeRecord(reading);
    expect(() => decodeRecord(bytes.subarray(0, bytes.length - 3))).toThrow(
      expect.objectContaining({ code: 'CODEC_MALFORMED' }),
    );
    expect(() => decodeRecord(Buffer.concat([bytes, Buffer.alloc(1)]))).toThrow(
      expect.objectContaining({ code: 'CODEC_MALFORMED' }),
    );
    expect(schemaOf(bytes)).toBe('Reading');
    expect(schemaOf(Buffer.alloc(0))).toBeUndefined();
  });

  it('does not believe a damaged record that claims billions of items', () => {
    const segment = { device: 'd', quantity: 'q', start: 0, interval: 1, values: [1], counts: [1], revision: 1 };
    const bytes = encodeRecord({ type: 'HistorySegment', ...segment, complete: true });
    const at = bytes.indexOf(Buffer.from([0x02, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]));
    expect(at).toBeGreaterThan(0);
    const claim = (count: number[]) =>
      Buffer.concat([bytes.subarray(0, at), Buffer.from(count), bytes.subarray(at + 1)]);
    const malformed = expect.objectContaining({ code: 'CODEC_MALFORMED' });
    expect(() => decodeRecord(claim([0xfe, 0xff, 0xff, 0xff, 0x7f]))).toThrowError(malformed);
    expect(() => decodeRecord(claim([0xff, 0xff, 0xff, 0xff, 0x7f, 0x02]))).toThrowError(malformed);
    // The count of the readings' map stands before its first key.
    const map = encodeRecord(reading);
    const key = map.indexOf(Buffer.from([22, ...Buffer.from('temperature')])) - 1;
    const long = Buffer.concat([
      map.subarray(0, key),
      Buffer.from([0xfe, 0xff, 0xff, 0xff, 0x7f]),
      map.subarray(key + 1),
    ]);
    expect(() => decodeRecord(long)).toThrowError(malformed);
  });

  it('has the fingerprints of the Avro specification', () => {
    // Value from Avro's own test suite: CRC-64-AVRO of the schema "null" is 7195948357588979594.
    expect(fingerprint(compileSchema('"null"')).readBigInt64LE()).toBe(7195948357588979594n);
    expect(fingerprint(compileSchema('"int"')).readBigInt64LE()).toBe(8247732601305521295n);
  });
});

describe('keys', () => {
  it('splits a series key again, whatever the names hold', () => {
    for (const [device, quantity] of [
      ['a', 'b'],
      ['a/b', 'c%2F/d'],
      ['%', '/'],
      ['ä b', 'PM2.5'],
    ] as const) {
      expect(splitSeriesKey(seriesKey(device, quantity))).toEqual({ device, quantity });
    }
    expect(historyKey('a', 'b', 86_400_000)).toBe('a/b/86400000');
  });
});
