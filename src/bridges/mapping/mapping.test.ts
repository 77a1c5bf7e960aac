import { describe, expect, it } from 'vitest';
import { DEFAULT_MAPPING, type MappingConfig, type RuleConfig } from './config.ts';
import { compileMapping } from './mapping.ts';

const ARRIVAL = Date.UTC(2024, 5, 1);

function map(rule: RuleConfig | MappingConfig, topic: string, payload: unknown) {
  const mapping = compileMapping('rules' in rule ? rule : { rules: [rule] });
  const bytes = Buffer.isBuffer(payload)
    ? payload
    : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  const { readings, rejected } = mapping.map(topic, bytes, ARRIVAL);
  return { readings, reasons: rejected.map((each) => each.reason), rejected };
}

describe('the default mapping', () => {
  it('takes every field but the time as a quantity', () => {
    expect(map(DEFAULT_MAPPING, 'fleet/pump 1', { time: 1_700_000_000, t: 21.5, p: null, q: -1e-3 }).readings).toEqual([
      { device: 'pump 1', time: 1_700_000_000_000, values: { t: 21.5, q: -0.001 } },
    ]);
  });

  it.each([
    ['a text', { t: 21.5, status: 'ok' }],
    ['true', { t: 21.5, on: true }],
    ['what stands for no value', { t: 21.5, p: 'n/a', q: null }],
    ['a list of texts', { t: 21.5, tags: ['a', 'b'] }],
  ])('takes the numbers beside %s', (_, payload) => {
    const { readings, reasons } = map(DEFAULT_MAPPING, 'fleet/a', payload);
    expect(readings).toEqual([{ device: 'a', time: ARRIVAL, values: { t: 21.5 } }]);
    expect(reasons).toEqual([]);
  });

  it('refuses the whole message where it is to be strict', () => {
    const strict: RuleConfig = { topic: 'fleet/+device', rest: 'strict' };
    expect(map(strict, 'fleet/a', { t: 21.5, status: 'ok' })).toMatchObject({
      readings: [],
      reasons: ['not-a-number'],
    });
  });

  it('takes the arrival where the device has no clock', () => {
    expect(map(DEFAULT_MAPPING, 'fleet/a', { t: 1 }).readings[0]?.time).toBe(ARRIVAL);
  });

  it.each<[unknown, string]>([
    ['{', 'not-json'],
    ['', 'not-json'],
    [Buffer.from([0x7b, 0xff, 0x7d]), 'not-utf8'],
    ['{"t": NaN}', 'not-finite'],
    ['{"t": -Infinity, "text": "NaN"}', 'not-finite'],
    ['{"t": 1e400}', 'not-finite'],
    [{ t: '21' }, 'no-values'],
    [{ t: true }, 'no-values'],
    [{ t: { deep: 'x' } }, 'no-values'],
    ['21.5', 'not-a-number'],
    ['"text"', 'no-values'],
    ['[]', 'no-values'],
    [{}, 'no-values'],
    [{ t: null }, 'no-values'],
    [{ time: 1_700_000_000 }, 'no-values'],
    [{ time: 86_400, t: 1 }, 'time-out-of-range'],
    [{ time: '2090-01-01T00:00:00Z', t: 1 }, 'time-out-of-range'],
    [{ time: 1e300, t: 1 }, 'time-out-of-range'],
    [{ time: [], t: 1 }, 'bad-time'],
    ['x'.repeat(300_000), 'payload-too-large'],
    [Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`v${i}`, i])), 'too-many-values'],
    [`{"t":${'['.repeat(20)}1${']'.repeat(20)}}`, 'too-deep'],
    [`{"t":${'['.repeat(100_000)}1${']'.repeat(100_000)}}`, 'too-deep'],
    ['{"__proto__": 5}', 'bad-quantity-name'],
    [{ 'a\nb': 1 }, 'bad-quantity-name'],
    [{ ['n'.repeat(200)]: 1 }, 'bad-quantity-name'],
  ])('refuses %j as %s', (payload, reason) => {
    const result = map(DEFAULT_MAPPING, 'fleet/a', payload);
    expect(result.readings).toEqual([]);
    expect(result.reasons).toEqual([reason]);
  });

  it.each([
    ['elsewhere/a', 'no-mapping'],
    ['fleet/a/b', 'no-mapping'],
    ['fleet/', 'bad-device-name'],
    ['fleet/ ', 'bad-device-name'],
    ['fleet/\u0007', 'bad-device-name'],
    [`fleet/${'ä'.repeat(200)}`, 'bad-device-name'],
    [`fleet/${'a'.repeat(2000)}`, 'topic-too-long'],
    ['fleet/__proto__', 'bad-device-name'],
  ])('refuses the topic %s as %s', (topic, reason) => {
    expect(map(DEFAULT_MAPPING, topic, { t: 1 }).reasons).toEqual([reason]);
  });
});

describe('rules', () => {
  it('take values and time by path, and the first rule that matches', () => {
    const rules: RuleConfig[] = [
      { topic: 'a/skip', ignore: true },
      {
        topic: 'a/+site/#rest',
        device: '{site}.{$.ids[0].mac}-{rest}',
        time: { path: "meta['t.s']", format: 'epoch-ms' },
        values: {
          power: { path: 'state', states: { ON: 1, OFF: 0 } },
          temperature: { path: 'env.tF', scale: 5 / 9, offset: -160 / 9 },
          humidity: { path: 'env.h', optional: true, numericText: true },
        },
      },
      { topic: '#', ignore: true },
    ];
    const payload = { ids: [{ mac: 7 }], meta: { 't.s': 1_700_000_000_123 }, state: 'ON', env: { tF: 212, h: '40' } };
    const { readings } = map({ rules }, 'a/x/y/z', payload);
    expect(readings).toEqual([
      {
        device: 'x.7-y/z',
        time: 1_700_000_000_123,
        values: { power: 1, temperature: expect.closeTo(100), humidity: 40 },
      },
    ]);
    expect(map({ rules }, 'a/skip', '').reasons).toEqual(['ignored']);
    expect(map({ rules }, 'b', '').reasons).toEqual(['ignored']);
    const broken = (change: object) => map({ rules }, 'a/x/y', { ...payload, ...change }).reasons;
    expect(broken({ state: 'BROKEN' })).toEqual(['not-a-number']);
    expect(broken({ state: undefined })).toEqual(['missing-field']);
    expect(broken({ ids: [] })).toEqual(['missing-field']);
    expect(broken({ meta: {} })).toEqual(['missing-field']);
  });

  it('split a message of many devices, and refuse its bad parts by themselves', () => {
    const rule: RuleConfig = {
      topic: 'gw/+gw',
      each: 'tags.*',
      device: '{gw}/{key}',
      time: { path: '$.ts' },
      values: { t: 'temperature' },
    };
    const { readings, rejected } = map(rule, 'gw/g1', {
      ts: 1_700_000_000,
      tags: { a: { temperature: 1 }, b: { temperature: 'hot' }, c: { temperature: 3 } },
    });
    expect(readings.map((each) => [each.device, each.values['t']])).toEqual([
      ['g1/a', 1],
      ['g1/c', 3],
    ]);
    expect(rejected).toEqual([expect.objectContaining({ reason: 'not-a-number', device: 'g1/b' })]);
    expect(map(rule, 'gw/g1', { tags: Array(10_001).fill({}) }).reasons).toEqual(['too-many-parts']);
  });

  it('take the numbers among the rest, with names left out', () => {
    const rule: RuleConfig = {
      topic: 'z/+device',
      rest: 'numbers',
      booleans: true,
      numericText: true,
      exclude: ['link*', 'update.*'],
    };
    const payload = { t: 1, s: 'ON', n: '2.5', linkquality: 5, contact: true, update: { progress: 3 }, a: { b: [4] } };
    expect(map(rule, 'z/d', payload).readings[0]?.values).toEqual({ t: 1, n: 2.5, contact: 1, 'a.b.0': 4 });
  });

  it.each<[string, string, unknown, Record<string, number> | string]>([
    ['number', '', ' 21.5\n', { value: 21.5 }],
    ['number', '', 'nan', 'not-finite'],
    ['number', '', '0x10', 'not-a-number'],
    ['number', '', '', 'not-a-number'],
    ['text', '', '57 %', { value: 57 }],
    ['text', '', 'online', 'no-values'],
    ['key-value', '', 't=21.5, h:40;name=x', { t: 21.5, h: 40 }],
    ['key-value', '', 'just text', 'malformed'],
  ])('read the format %s', (format, _, payload, expected) => {
    const rule = { topic: '+device', format, rest: 'numbers' } as RuleConfig;
    const result = map(rule, 'd', payload);
    if (typeof expected === 'string') expect(result.reasons).toEqual([expected]);
    else expect(result.readings[0]?.values).toEqual(expected);
  });

  it('bound what a client can make the bridge remember', () => {
    const mapping = compileMapping({ ...DEFAULT_MAPPING, limits: { maxDevices: 3, maxQuantities: 4 } });
    const send = (device: string, quantity: string) =>
      mapping.map(`fleet/${device}`, Buffer.from(`{"${quantity}":1}`), ARRIVAL).rejected[0]?.reason;
    for (let i = 0; i < 3; i++) expect(send(`d${i}`, `q${i}`)).toBeUndefined();
    expect(send('d3', 'q0')).toBe('too-many-devices');
    expect(send('d0', 'q3')).toBeUndefined();
    expect(send('d0', 'q4')).toBe('too-many-quantities');
    expect(send('d0', 'q1')).toBeUndefined();
    for (let i = 0; i < 30_000; i++) send(`x${i}`, `y${i}`);
    expect(mapping.size()).toEqual({ devices: 3, quantities: 4 });
  });

  it.each<[Partial<RuleConfig>, RegExp]>([
    [{ topic: 'a/b+' }, /wildcard/],
    [{ device: '{device' }, /brace/],
    [{ values: { t: 'a..b' } }, /path/],
    [{ values: { t: 'a.*' } }, /wildcard/],
    [{ time: { path: 't', zone: 'Nowhere' } }, /time zone/],
    [{ format: 'xml' as 'json' }, /format "xml"/],
  ])('name what is wrong with %j', (change, message) => {
    expect(() => compileMapping({ rules: [{ topic: 'a/+device', ...change }] })).toThrow(message);
  });
});

describe('what cannot be read', () => {
  const deviceIn = (rule: RuleConfig, topic: string, payload: string) => map(rule, topic, payload).rejected[0]?.device;

  it('has the device where the topic names it, and none where the payload would', () => {
    expect(deviceIn({ topic: 'fleet/+device' }, 'fleet/pump 7', '{')).toBe('pump 7');
    expect(deviceIn({ topic: 'a/+site/+d', device: '{site}/{d}' }, 'a/x/y', '{')).toBe('x/y');
    expect(deviceIn({ topic: 'a/+site', device: '{site}/{mac}' }, 'a/x', '{')).toBe('');
    expect(deviceIn({ topic: 'fleet/+device' }, 'fleet/a\u0001b', '{')).toBe('');
    const rules = [{ topic: 'fleet/+device' }];
    const large = map({ rules, limits: { maxPayloadBytes: 4 } }, 'fleet/p', '{"t":1}').rejected;
    expect(large).toMatchObject([{ reason: 'payload-too-large', device: 'p' }]);
    expect(deviceIn({ topic: 'spBv1.0/#', sparkplug: {} }, 'spBv1.0/g/DDATA/n/d', '\xff')).toBe('g/n/d');
  });

  it('is told beside what could be read', () => {
    const rule: RuleConfig = { topic: 'lora/+device', format: 'milesight' };
    const known = Buffer.from('0175640367f600', 'hex');
    expect(map(rule, 'lora/a', known).reasons).toEqual([]);
    const { readings, rejected } = map(rule, 'lora/a', Buffer.concat([known, Buffer.from('0b99010203', 'hex')]));
    expect(readings).toEqual([{ device: 'a', time: ARRIVAL, values: { battery: 100, temperature: 24.6 } }]);
    expect(rejected).toEqual([
      {
        reason: 'partly-read',
        message: '5 bytes from byte 7 on are no known channel of a Milesight sensor: 0b99010203',
        device: 'a',
      },
    ]);
    // A value that is cut short, and half a channel.
    expect(map(rule, 'lora/a', Buffer.from('0175640367f6', 'hex')).reasons).toEqual(['partly-read']);
    expect(map(rule, 'lora/a', Buffer.from('01756403', 'hex')).reasons).toEqual(['partly-read']);
    const inner: RuleConfig = { topic: 'up/+device', inner: { path: 'data', format: 'milesight', lenient: true } };
    const wrapped = map(inner, 'up/b', { data: Buffer.from('017564ee', 'hex').toString('base64') });
    expect(wrapped.readings[0]?.values).toEqual({ battery: 100 });
    expect(wrapped.rejected).toMatchObject([{ reason: 'partly-read', device: 'b' }]);
  });
});

it('takes what stands beside a time or a value that is nested', () => {
  const rule: RuleConfig = {
    topic: 't/+device',
    time: { path: 'state.reported.ts', format: 'epoch-ms' },
    values: { warmth: 'env.t' },
    rest: 'numbers',
  };
  const payload = { state: { reported: { ts: ARRIVAL, speed: 30 } }, env: { t: 21, h: 40 } };
  expect(map(rule, 't/a', payload).readings[0]?.values).toEqual({
    warmth: 21,
    'state.reported.speed': 30,
    'env.h': 40,
  });
  const whole: RuleConfig = { topic: 't/+device', time: { path: 'time', lenient: true } };
  expect(map(whole, 't/a', { time: { s: 1, ns: 2 }, x: 3 }).readings[0]?.values).toEqual({ x: 3 });
});

it('refuses a policy for a reason that there is not', () => {
  const rules = [{ topic: 'a/+device' }];
  const wrong = { rules, onReject: { 'not-jsn': 'drop' } } as unknown as MappingConfig;
  expect(() => compileMapping(wrong)).toThrow(/no reason is called "not-jsn"; there are .*not-json/);
  expect(compileMapping({ rules, onReject: { 'not-json': 'drop' } }).policy('not-json')).toBe('drop');
});
