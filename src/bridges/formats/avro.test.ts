import avro from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reject } from '../mapping/reject.ts';
import { type AvroOptions, avroDecoder } from './avro.ts';
import { DEFAULT_FORMAT_LIMITS } from './bounds.ts';

const SCHEMA = {
  type: 'record',
  name: 'Sample',
  namespace: 'plant',
  fields: [
    { name: 'device', type: 'string' },
    { name: 'time', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'temperature', type: ['null', 'double'] },
    { name: 'level', type: 'float' },
    { name: 'running', type: 'boolean' },
    { name: 'mode', type: { type: 'enum', name: 'Mode', symbols: ['AUTO', 'MANUAL'] } },
    { name: 'last', type: 'Mode' },
    { name: 'values', type: { type: 'map', values: 'int' } },
    { name: 'history', type: { type: 'array', items: 'plant.Mode' } },
    { name: 'id', type: { type: 'fixed', name: 'Id', size: 3 } },
    { name: 'raw', type: 'bytes' },
  ],
} as const;
const decoder = (schema: unknown, framing?: AvroOptions['framing']) =>
  avroDecoder(framing === undefined ? { schema } : { schema, framing }, DEFAULT_FORMAT_LIMITS);
const type = avro.Type.forSchema(structuredClone(SCHEMA) as unknown as avro.Schema);

describe('Avro', () => {
  it('reads whatever avsc writes', () => {
    const decode = decoder(SCHEMA);
    const mode = fc.constantFrom('AUTO', 'MANUAL');
    const bytes = (length: fc.ArrayConstraints) => fc.uint8Array(length as object).map((array) => Buffer.from(array));
    const sample = fc.record({
      device: fc
        .string({ unit: 'binary' })
        .filter((text) => Buffer.from(text).toString() === text && !text.startsWith('\ufeff')),
      time: fc.integer({ min: -(2 ** 51), max: 2 ** 51 }),
      temperature: fc.option(fc.double()),
      level: fc.float(),
      running: fc.boolean(),
      mode,
      last: mode,
      values: fc.dictionary(fc.stringMatching(/^\w{1,5}$/), fc.integer()),
      history: fc.array(mode),
      id: bytes({ minLength: 3, maxLength: 3 }),
      raw: bytes({ maxLength: 5 }),
    });
    fc.assert(
      fc.property(sample, (value) => {
        const found = decode(type.toBuffer(value)) as Record<string, unknown>;
        const inner = found['values'] as object;
        expect({ ...found, values: { ...inner } }).toEqual({ ...value, values: { ...value.values } });
      }),
      { numRuns: 200 },
    );
  });
  it('reads decimals and the headers of other programs', () => {
    const schema = '{"type":"bytes","logicalType":"decimal","precision":6,"scale":2}';
    expect(decoder(schema)(Buffer.from([4, 0xff, 0x38]))).toBe(-2);
    expect(decoder('int', 'registry')(Buffer.from([0, 0, 0, 0, 7, 3]))).toBe(-2);
    expect(decoder('int', 'single-object')(Buffer.from([0xc3, 1, 1, 2, 3, 4, 5, 6, 7, 8, 4]))).toBe(2);
  });
  it('reads longs beyond 2^53 as the nearest number, and refuses more than 64 bits', () => {
    expect(decoder('long')(Buffer.from('feffffffffffffffff01', 'hex'))).toBe(2 ** 63);
    expect(decoder('long')(Buffer.from('ffffffffffffffffff01', 'hex'))).toBe(-(2 ** 63));
    expect(() => decoder('long')(Buffer.from('ffffffffffffffffffff01', 'hex'))).toThrow(Reject);
  });
  it.each([
    ['items of no size', { type: 'array', items: 'null' }, '80bcc19909'],
    ['more items than bytes', { type: 'array', items: 'int' }, '80bcc1990900'],
    ['an endless list', { type: 'record', name: 'L', fields: [{ name: 'n', type: ['null', 'L'] }] }, '02'.repeat(1000)],
    ['the wrong branch', ['null', 'int'], '04'],
    ['bytes that are left', 'int', '0202'],
    ['bytes that are missing', 'double', '00'],
    ['a length below zero', 'string', '01'],
    ['text that is no UTF-8', 'string', '02ff'],
  ])('refuses %s', (_, schema, bytes) => {
    expect(() => decoder(schema)(Buffer.from(bytes, 'hex'))).toThrow(Reject);
  });
  it.each([
    {},
    'nothing',
    { type: 'record', name: 'R' },
    { type: 'enum', name: 'E' },
    3,
    { type: 'array' },
  ])('does not compile %j', (schema) =>
    expect(() => decoder(schema)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' })));
});
