import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dataFile } from '../../test/data-folder.ts';
import { isFleetcastError } from '../errors.ts';
import { compileFormat, FORMAT_NAMES, type PayloadFormat } from './formats/format.ts';
import { compileMapping, type Mapping } from './mapping/mapping.ts';
import { compilePath } from './mapping/path.ts';
import { Reject } from './mapping/reject.ts';
import { compileTime } from './mapping/time.ts';
import { parseTopicFilter } from './mapping/topic-filter.ts';
import { PRESETS } from './presets/presets.ts';
import { SparkplugHost } from './sparkplug/host.ts';
import { encodePayload } from './sparkplug/payload.ts';
import { converter } from './units.ts';

/**
 * Whatever bytes arrive: an answer or a refusal with a reason, within bounds, and nothing else. The short form runs with
 * the tests; `npm run fuzz:bridge` sets FLEETCAST_FUZZ_RUNS for the long one.
 */
const runs = Number(process.env['FLEETCAST_FUZZ_RUNS'] ?? 150);
const timeout = Math.max(60_000, runs * 20);
const LIMITS = { maxDepth: 16, maxNodes: 5_000 };
const ARRIVAL = Date.UTC(2026, 0, 1);

const AVRO = {
  type: 'record',
  name: 'R',
  fields: [
    { name: 's', type: 'string' },
    { name: 'l', type: { type: 'array', items: ['null', 'long', 'R', { type: 'map', values: 'double' }] } },
    { name: 'n', type: { type: 'array', items: 'null' } },
    { name: 'd', type: { type: 'bytes', logicalType: 'decimal', scale: 2 } },
  ],
};
const FORMATS: readonly PayloadFormat[] = [
  ...(FORMAT_NAMES.filter((name) => name !== 'avro') as PayloadFormat[]),
  { type: 'csv', columns: ['a', 'b'], delimiter: ';', decimalComma: true },
  { type: 'avro', schema: AVRO },
  { type: 'avro', schema: AVRO, framing: 'registry' },
];

const hex = (text: string) => Buffer.from(text, 'hex');
const path = dataFile('mqtt-payloads.json');
const REAL: readonly { readonly topic: string; readonly payload: Buffer }[] =
  path === undefined
    ? []
    : (JSON.parse(readFileSync(path, 'utf8')) as { items: { topic: string; payload: unknown }[] }).items.map(
        (item) => ({
          topic: item.topic,
          payload: Buffer.from(typeof item.payload === 'string' ? item.payload : JSON.stringify(item.payload)),
        }),
      );
const BIRTH = encodePayload({
  timestamp: ARRIVAL,
  seq: 0,
  metrics: [
    { name: 'bdSeq', datatype: 8, longValue: 1 },
    { name: 'a', alias: 1, timestamp: ARRIVAL, datatype: 1, intValue: 255 },
    { name: 't', alias: 2, templateValue: { metrics: [{ name: 'x', doubleValue: 1 }] } },
  ],
});
const SEEDS: readonly Buffer[] = [
  ...REAL.map((each) => each.payload),
  Buffer.from('21.5 °C'),
  Buffer.from('1,013.25 hPa'),
  Buffer.from('t=21.5, h:40;name="x y"'),
  Buffer.from('cpu,host=a\\ b load=1.5,n=2i,s="q\\"x" 1700000000000000000\n# c\nmem free=3u'),
  Buffer.from('"a;""b""";21,5\nc;-1\r\n'),
  Buffer.from('{a:[1,2,],\'b\':"c\\u00e9",d:null}'),
  hex('84a174cb4035800000000000a16efda162c4020102a26174d6ff6553f100'),
  hex('d9d9f7a46174f94d6020036162c24101626174c11a6553f100'),
  hex('0567011003670110'),
  hex('0175640367180104686d'),
  hex('0201061BFF99040512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F'),
  Buffer.from(BIRTH),
  hex('027804020a06020102000000'),
];

const TOKENS = [
  'NaN',
  '1e999',
  '[',
  '{',
  '}',
  '"',
  '\\',
  '\u0000',
  '__proto__',
  '9'.repeat(400),
  '-',
  ',',
  '=',
  '\n',
  '\ufeff',
  '💥',
  'constructor',
];
const edit = fc.record({
  kind: fc.constantFrom('flip', 'cut', 'insert', 'token', 'repeat', 'truncate'),
  at: fc.nat(1000),
  length: fc.nat(40),
  bytes: fc.uint8Array({ maxLength: 9 }),
  token: fc.constantFrom(...TOKENS),
});
type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never;

function apply(bytes: Buffer, { kind, at, length, bytes: more, token }: Edit): Buffer {
  const from = bytes.length === 0 ? 0 : at % (bytes.length + 1);
  const head = bytes.subarray(0, from);
  const tail = bytes.subarray(from);
  if (kind === 'truncate') return head;
  if (kind === 'cut') return Buffer.concat([head, tail.subarray(length)]);
  if (kind === 'insert') return Buffer.concat([head, more, tail]);
  if (kind === 'token') return Buffer.concat([head, Buffer.from(token), tail]);
  if (kind === 'repeat') return Buffer.concat([head, ...Array<Buffer>(length).fill(tail.subarray(0, length)), tail]);
  const copy = Buffer.from(bytes);
  if (copy.length > 0) copy[from % copy.length]! ^= (more[0] ?? 1) || 1;
  return copy;
}

const mutated = fc
  .tuple(fc.constantFrom(...SEEDS), fc.array(edit, { maxLength: 5 }))
  .map(([seed, edits]) => edits.reduce(apply, Buffer.from(seed)));
const payloads = fc.oneof(
  { weight: 3, arbitrary: mutated },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  { weight: 1, arbitrary: fc.json({ maxDepth: 20 }).map((text) => Buffer.from(text)) },
);

function answerOrRefusal<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof Reject) return undefined;
    throw error;
  }
}

function sizeOf(value: unknown): number {
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return 1;
  return Object.values(value).reduce<number>((sum, each) => sum + sizeOf(each), 1);
}

describe('whatever bytes arrive', () => {
  it.each(FORMATS.map((format) => [JSON.stringify(format).slice(0, 30), format] as const))(
    'format %s answers or refuses, within bounds',
    (_, format) => {
      const decode = compileFormat(format, LIMITS);
      fc.assert(
        fc.property(payloads, (payload) => {
          const value = answerOrRefusal(() => decode(payload));
          expect(sizeOf(value)).toBeLessThanOrEqual(2 * LIMITS.maxNodes);
        }),
        { numRuns: runs },
      );
      expect(Object.keys(Object.prototype)).toEqual([]);
    },
    timeout,
  );

  const everything: Mapping = compileMapping({
    rules: [
      { topic: 'jsonata/+device', transform: '{"a": $sum(*), "b": x.y, "c": $string($)}', rest: 'numbers' },
      { topic: 'units/+device', rest: 'numbers', numericText: true, units: { '*': { path: '$.unit', to: '°C' } } },
      { topic: 'each/+device', each: '*.*', device: '{key}', rest: 'strict', time: { path: '$.time' } },
      ...PRESETS.map((preset) => ({ preset: preset.name, zone: 'America/St_Johns', codec: 'cayenne-lpp' as const })),
    ],
    limits: { maxDevices: 50, maxQuantities: 500 },
  });
  const topics = fc.oneof(
    fc.constantFrom(
      ...REAL.map((each) => each.topic),
      ...PRESETS.flatMap((preset) => preset.rules({}).map((rule) => rule.topic.replaceAll(/[+#]\w*/g, 'x'))),
      ...['NBIRTH/n', 'NDATA/n', 'DBIRTH/n/d', 'DDATA/n/d', 'NDEATH/n', 'STATE'].map((kind) => `spBv1.0/g/${kind}`),
      'jsonata/d',
      'units/d',
      'each/d',
    ),
    fc.string({ unit: 'binary' }),
  );

  it(
    'a mapping of every preset gives readings of finite numbers or reasons',
    () => {
      fc.assert(
        fc.property(topics, payloads, (topic, payload) => {
          const { readings, rejected } = everything.map(topic, payload, ARRIVAL);
          for (const { device, time, values } of readings) {
            expect(device).not.toBe('');
            expect(Number.isFinite(time) && time < ARRIVAL + 8 * 86_400_000).toBe(true);
            expect(Object.keys(values).length).toBeGreaterThan(0);
            for (const value of Object.values(values)) expect(Number.isFinite(value)).toBe(true);
          }
          expect(readings.length + rejected.length).toBeGreaterThan(0);
          for (const { reason, message } of rejected) {
            expect(reason).toMatch(/^[a-z0-9-]+$/);
            expect(message.length).toBeLessThan(600);
          }
        }),
        { numRuns: runs * 5 },
      );
      const { devices, quantities } = everything.size();
      expect(devices).toBeLessThanOrEqual(50);
      expect(quantities).toBeLessThanOrEqual(500);
    },
    timeout * 2,
  );

  it(
    'the Sparkplug host answers or refuses, and takes back whatever it is given',
    () => {
      const host = new SparkplugHost({ maxNodes: 20, maxMetrics: 200 });
      const seed = fc.tuple(fc.array(edit, { maxLength: 4 })).map(([edits]) => edits.reduce(apply, Buffer.from(BIRTH)));
      const where = fc.constantFrom(
        'NBIRTH/n',
        'NDATA/n',
        'DBIRTH/n/d',
        'DDATA/n/d',
        'NDEATH/n',
        'DDEATH/n/d',
        'NDATA/m',
      );
      fc.assert(
        fc.property(where, fc.oneof(seed, payloads), (at, payload) => {
          answerOrRefusal(() => host.receive(`spBv1.0/g/${at}`, payload, ARRIVAL));
          answerOrRefusal(() => host.restore(payload));
        }),
        { numRuns: runs * 3 },
      );
      expect(host.devices().length).toBeLessThan(300);
    },
    timeout,
  );
});

describe('whatever a configuration says', () => {
  const compiles = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      if (!isFleetcastError(error, 'CONFIG_INVALID')) throw error;
    }
  };
  const texts = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc
      .array(
        fc.constantFrom(
          'a',
          '.',
          '*',
          '[',
          ']',
          '0',
          "'",
          '"',
          '$',
          '+',
          '#',
          '/',
          '{',
          '}',
          '\\',
          'yyyy',
          'MM',
          'XXX',
          ' ',
        ),
        { maxLength: 12 },
      )
      .map((parts) => parts.join('')),
  );
  it(
    'compiles or is named as wrong',
    () => {
      fc.assert(
        fc.property(texts, texts, (a, b) => {
          compiles(() => compilePath(a));
          compiles(() => parseTopicFilter(a).match(b));
          compiles(() =>
            compileMapping({ rules: [{ topic: 'x/+d', device: a, time: { path: b, format: a, zone: 'UTC' } }] }),
          );
          compiles(() => compileMapping({ rules: [{ topic: a, each: b, where: a, prefix: b, values: { [b]: a } }] }));
          compiles(() => compileMapping({ rules: [{ topic: 'x', transform: a }] }));
          converter(a, b);
        }),
        { numRuns: runs },
      );
    },
    timeout,
  );
  it(
    'reads times or refuses them',
    () => {
      const parsers = ['auto', 'epoch', 'epoch-s', 'epoch-ns', 'iso', 'dd.MM.yyyy HH:mm:ss.S a'].map((format) =>
        compileTime(format, 'Asia/Kathmandu'),
      );
      const values = fc.oneof(
        texts,
        fc.double(),
        fc.bigInt(),
        fc.anything(),
        fc.stringMatching(/^\d{1,30}$/),
        fc.stringMatching(/^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,12})?)?(Z|[+-]\d\d:\d\d)?$/),
      );
      fc.assert(
        fc.property(values, (value) => {
          for (const parse of parsers) answerOrRefusal(() => parse(value));
        }),
        { numRuns: runs * 3 },
      );
    },
    timeout,
  );
});
