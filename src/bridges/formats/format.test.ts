import { describe, expect, it } from 'vitest';
import { isFleetcastError } from '../../errors.ts';
import { Reject, type RejectReason } from '../mapping/reject.ts';
import { DEFAULT_FORMAT_LIMITS } from './bounds.ts';
import { compileFormat, FORMAT_NAMES, type PayloadFormat } from './format.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const decode = (format: PayloadFormat, payload: string | Uint8Array, limits = DEFAULT_FORMAT_LIMITS): unknown =>
  compileFormat(format, limits)(typeof payload === 'string' ? Buffer.from(payload) : payload);

function refusal(format: PayloadFormat, payload: string | Uint8Array, limits = DEFAULT_FORMAT_LIMITS): RejectReason {
  try {
    decode(format, payload, limits);
  } catch (error) {
    if (error instanceof Reject) return error.reason;
    throw error;
  }
  throw new Error('it was taken');
}

describe('text with a unit', () => {
  it.each([
    ['21.5 °C', 21.5, '°C'],
    ['21,5 °C', 21.5, '°C'],
    ['1,013 hPa', 1013, 'hPa'],
    ['1,013.25 hPa', 1013.25, 'hPa'],
    ['1.013,25 hPa', 1013.25, 'hPa'],
    ['1.013 bar', 1.013, 'bar'],
    ['0,123 mm', 0.123, 'mm'],
    ['1 234.5 kWh', 1234.5, 'kWh'],
    ['1\u202f013 hPa', 1013, 'hPa'],
    ['-40°F', -40, '°F'],
    ['\u22125 °C', -5, '°C'],
    ['57%', 57, '%'],
    ['12 µg/m³', 12, 'µg/m³'],
    ['3.4e3 W', 3400, 'W'],
    ['7', 7, ''],
    ['.5', 0.5, ''],
    ['  22.0\n', 22, ''],
  ])('reads %j', (text, value, unit) => {
    expect(decode('text', text)).toEqual({ value, unit });
  });

  it.each([
    'on',
    '0x1F',
    'unavailable',
    '2024-05-01T05:20:00+00:00',
    '12:30',
    '192.168.1.10',
    '1.2.3',
    '',
    'E5',
  ])('takes %j for text', (text) => expect(decode('text', text)).toEqual({ value: text, unit: '' }));
});

describe('plain number', () => {
  it.each([
    ['21.5', 21.5],
    [' -3 ', -3],
    ['1e3', 1000],
  ])('reads %j', (text, value) => expect(decode('number', text)).toEqual({ value }));
  it.each<[string, RejectReason]>([
    ['NaN', 'not-finite'],
    ['-Infinity', 'not-finite'],
    ['0x10', 'not-a-number'],
    ['', 'not-a-number'],
    ['21,5', 'not-a-number'],
    [`1${'0'.repeat(100)}`, 'not-a-number'],
  ])('refuses %j', (text, reason) => expect(refusal('number', text)).toBe(reason));
});

describe('key=value', () => {
  it.each([
    ['t=21.5,h=40;ok=1', { t: 21.5, h: 40, ok: 1 }],
    ['temp:21.5 hum:40', { temp: 21.5, hum: 40 }],
    ['t = 21.5 & h = 40', { t: 21.5, h: 40 }],
    ['t=21.5\nh=40\n', { t: 21.5, h: 40 }],
    ['name="two, words" t=1', { name: 'two, words', t: 1 }],
    ['t=,h=40', { t: '', h: 40 }],
    ['at=2024-05-01T10:00:00Z t=1', { at: '2024-05-01T10:00:00Z', t: 1 }],
    ['__proto__=1,t=2', { ['__proto__']: 1, t: 2 }],
  ])('reads %j', (text, expected) => {
    const found = decode('key-value', text) as object;
    expect(Object.entries(found)).toEqual(Object.entries(expected));
  });
  it.each(['', 'hello', '=1', 't=1 hello'])('refuses %j', (text) =>
    expect(refusal('key-value', text)).toBe('malformed'));
});

describe('InfluxDB line protocol', () => {
  it('reads tags, fields of every kind and the time as digits', () => {
    const text = String.raw`weather\,all,loc\ ation=us\ mid,k=v temp=82.5,n=-3i,u=7u,ok=t,bad=FALSE,s="a \"b\" c, d=1" 1465839830100400200`;
    expect(decode('line-protocol', text)).toEqual([
      {
        measurement: 'weather,all',
        tags: { 'loc ation': 'us mid', k: 'v' },
        fields: { temp: 82.5, n: -3, u: 7, ok: true, bad: false, s: 'a "b" c, d=1' },
        time: '1465839830100400200',
      },
    ]);
  });
  it('reads several lines, leaving out comments and empty ones', () => {
    const text = '# comment\n\ncpu,host=a load=1\r\n  cpu,host=b load=2 1700000000\n# end\n';
    expect(decode('line-protocol', text)).toMatchObject([
      { tags: { host: 'a' } },
      { tags: { host: 'b' }, time: '1700000000' },
    ]);
  });
  it.each([
    '',
    '# only',
    'cpu',
    'cpu load',
    'cpu load=',
    'cpu load=1 later',
    'cpu,host load=1',
    'cpu load="x',
    'cpu load=0x1',
  ])('refuses %j', (text) => expect(refusal('line-protocol', text)).toBe('malformed'));
});

describe('CSV line', () => {
  it('names columns, leaves out empty cells and unnamed columns', () => {
    const format = { type: 'csv', columns: ['time', 'temp', '', 'hum'] } as const;
    expect(decode(format, '2024-05-01 10:00,21.5,x,\r\n')).toEqual([{ time: '2024-05-01 10:00', temp: 21.5 }]);
  });
  it('reads quotes, other delimiters and decimal commas', () => {
    const format = { type: 'csv', columns: ['name', 'temp'], delimiter: ';', decimalComma: true } as const;
    expect(decode(format, '"a;""b""";21,5\nc;-1')).toEqual([
      { name: 'a;"b"', temp: 21.5 },
      { name: 'c', temp: -1 },
    ]);
  });
  it('numbers the columns without names', () => expect(decode('csv', '1,2')).toEqual([{ 0: 1, 1: 2 }]));
  it.each([
    ['csv', ''],
    ['csv', '"a'],
    ['csv', '"a"b,1'],
    [{ type: 'csv', columns: ['a'] }, '1,2'],
  ] as [PayloadFormat, string][])('%j refuses %j', (format, text) => expect(refusal(format, text)).toBe('malformed'));
  it('does not compile with a delimiter of two characters', () => {
    expect(() => compileFormat({ type: 'csv', delimiter: '::' }, DEFAULT_FORMAT_LIMITS)).toThrow(/cannot separate/);
  });
});

describe('JSON', () => {
  it.each<[string, RejectReason]>([
    ['{"t": NaN}', 'not-finite'],
    ['{"t": -Infinity, "s": "NaN"}', 'not-finite'],
    ['{"t": }', 'not-json'],
    ['online', 'not-json'],
    ['', 'not-json'],
    ['['.repeat(5000) + ']'.repeat(5000), 'too-deep'],
    [`[${'1,'.repeat(200_000)}1]`, 'too-many-values'],
  ])('refuses what is broken, case %#', (text, reason) => expect(refusal('json', text)).toBe(reason));
  it('refuses what is not UTF-8, and takes a byte order mark', () => {
    expect(refusal('json', hex('7b22e422 3a317d'))).toBe('not-utf8');
    expect(decode('json', hex('efbbbf 7b7d'))).toEqual({});
  });
});

describe('relaxed JSON', () => {
  it('reads names without quotes, single quotes, words and a comma too many', () => {
    expect(decode('relaxed-json', `{wid:"6d31",T:[23.3,22.7,-1e1,],ok:true,'a b':'it\\'s',n:null, w:word,}`)).toEqual({
      wid: '6d31',
      T: [23.3, 22.7, -10],
      ok: true,
      'a b': "it's",
      n: null,
      w: 'word',
    });
  });
  it.each<[string, RejectReason]>([
    ['{a:1', 'not-json'],
    ['{a 1}', 'not-json'],
    ['{a:1}}', 'not-json'],
    ['{a:1 b:2}', 'not-json'],
    ['', 'not-json'],
    ['['.repeat(5000), 'too-deep'],
  ])('refuses what is broken, case %#', (text, reason) => expect(refusal('relaxed-json', text)).toBe(reason));
});

describe('MessagePack', () => {
  it('reads maps, numbers, binary and times', () => {
    // {"t": 21.5, "n": -3, "b": <01 02>, "at": timestamp 1700000000}
    const bytes = hex('84 a174 cb4035800000000000 a16e fd a162 c4020102 a26174 d6ff6553f100');
    expect(decode('msgpack', bytes)).toEqual({
      t: 21.5,
      n: -3,
      b: Buffer.from([1, 2]),
      at: new Date(1_700_000_000_000),
    });
  });
  it('refuses lengths that the payload cannot hold, and nesting without end', () => {
    expect(refusal('msgpack', hex('dd ffffffff 00'))).toBe('malformed');
    expect(refusal('msgpack', hex('df ffffffff'))).toBe('malformed');
    expect(refusal('msgpack', Buffer.alloc(100_000, 0x91))).toMatch(/too-deep|malformed/);
    expect(refusal('msgpack', hex('81 a174'))).toBe('malformed');
    expect(refusal('msgpack', hex('01 02'))).toBe('malformed');
  });
});

describe('CBOR', () => {
  it('reads maps with keys of text and number, half floats, tags and big numbers', () => {
    expect(decode('cbor', hex('d9d9f7 a4 6174 f94d60 20 03 6162 c24101 626174 c11a6553f100'))).toEqual({
      t: 21.5,
      '-1': 3,
      b: 1,
      at: new Date(1_700_000_000_000),
    });
  });
  it('reads a list of unknown length', () => expect(decode('cbor', hex('9f 01 02 ff'))).toEqual([1, 2]));
  it('refuses lengths that the payload cannot hold, and nesting without end', () => {
    expect(refusal('cbor', hex('9b 7fffffffffffffff 00'))).toBe('malformed');
    expect(refusal('cbor', hex('5a ffffffff 00'))).toBe('malformed');
    expect(refusal('cbor', Buffer.alloc(100_000, 0x81))).toMatch(/too-deep|malformed/);
    expect(refusal('cbor', hex('a1 80 01'))).toBe('malformed');
    expect(refusal('cbor', hex(''))).toBe('malformed');
  });
});

describe('LoRaWAN payloads', () => {
  it('reads Cayenne LPP', () => {
    expect(decode('cayenne-lpp', hex('03 67 0110 05 67 00ff 01 88 06765f f2960a 0003e8 06 71 04d2 fb2e 0000'))).toEqual(
      {
        temperature_3: 27.2,
        temperature_5: 25.5,
        'gps_1.latitude': 42.3519,
        'gps_1.longitude': -87.9094,
        'gps_1.altitude': 10,
        'accelerometer_6.x': 1.234,
        'accelerometer_6.y': -1.234,
        'accelerometer_6.z': 0,
      },
    );
    expect(refusal('cayenne-lpp', hex('03 67 01'))).toBe('malformed');
    expect(refusal('cayenne-lpp', hex('03 00 01 03 fe'))).toBe('malformed');
    expect(refusal('cayenne-lpp', hex(''))).toBe('no-values');
  });
  it('reads Milesight', () => {
    expect(decode('milesight', hex('01 75 64 03 67 1801 04 68 6d'))).toEqual({
      battery: 100,
      temperature: 28,
      humidity: 54.5,
    });
    expect(decode('milesight', hex('ff 0b ff 03 67 f6ff'))).toEqual({ temperature: -1 });
    expect(refusal('milesight', hex('ff 0b ff'))).toBe('no-values');
    expect(refusal('milesight', hex('ff 0b ff 42 42'))).toBe('malformed');
    const am107 = '01755c 03673401 046865 056a4900 06651c0079001400 077de704 087d0700 09733f27';
    expect(decode('milesight', hex(am107))).toEqual({
      battery: 92,
      temperature: 30.8,
      humidity: 50.5,
      activity: 73,
      illumination: 28,
      infrared_and_visible: 121,
      infrared: 20,
      concentration: 1255,
      concentration_8: 7,
      pressure: 1004.7,
    });
    expect(decode('milesight', hex('03673401 06651c007900'))).toEqual({ temperature: 30.8 });
  });
});

it('knows its names', () => {
  try {
    compileFormat('yaml' as 'json', DEFAULT_FORMAT_LIMITS);
    expect.unreachable();
  } catch (error) {
    expect(isFleetcastError(error, 'CONFIG_INVALID')).toBe(true);
    expect((error as Error).message).toContain('line-protocol');
  }
});

it.each(FORMAT_NAMES.filter((name) => name !== 'avro'))('format %s is done with hostile text at once', (name) => {
  const take = compileFormat(name as 'json', DEFAULT_FORMAT_LIMITS);
  for (const piece of ['\\"', '"\\', '"', "'", 'a=', 'a="', '1,111', ' ', '[', '{"a":', '\\', 'NaN,', '#\n', '-']) {
    for (const start of ['', '"', '{"a":"', 'm f="']) {
      try {
        take(Buffer.from((start + piece.repeat(60_000 / piece.length)).slice(0, 60_000)));
      } catch (error) {
        expect(error).toBeInstanceOf(Reject);
      }
    }
  }
});
