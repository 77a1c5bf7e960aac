import { describe, expect, it } from 'vitest';
import type { RuleConfig } from './config.ts';
import { compileMapping } from './mapping.ts';

const ARRIVAL = Date.UTC(2024, 5, 1);

function map(rules: RuleConfig | readonly RuleConfig[], topic: string, payload: unknown) {
  const mapping = compileMapping({ rules: Array.isArray(rules) ? rules : [rules as RuleConfig] });
  const bytes = Buffer.isBuffer(payload)
    ? payload
    : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload));
  const { readings, rejected } = mapping.map(topic, bytes, ARRIVAL);
  return { readings, reasons: rejected.map((each) => each.reason) };
}

describe('a # before the last level', () => {
  const rules: RuleConfig[] = [
    { topic: 'tele/#device/SENSOR', rest: 'numbers' },
    { topic: 'tele/#device/+kind', rest: 'numbers', prefix: '{kind}.' },
  ];
  it('stands for one level or more', () => {
    expect(map(rules, 'tele/a/b/SENSOR', { t: 1 }).readings).toMatchObject([{ device: 'a/b', values: { t: 1 } }]);
    expect(map(rules, 'tele/a/b/c/STATE', { t: 1 }).readings).toMatchObject([
      { device: 'a/b/c', values: { 'STATE.t': 1 } },
    ]);
    expect(map(rules, 'tele/SENSOR', { t: 1 }).reasons).toEqual(['no-mapping']);
  });
  it('is subscribed to once, as MQTT can', () => {
    const subscriptions = (list: RuleConfig[]) => compileMapping({ rules: list }).subscriptions;
    expect(subscriptions(rules)).toEqual([{ filter: 'tele/#', qos: 1 }]);
    expect(
      subscriptions([{ topic: 'a/+x/c' }, { topic: 'a/b/c', qos: 2 }, { topic: 'a/+/+' }, { topic: 'b' }]),
    ).toEqual([
      { filter: 'a/+/+', qos: 2 },
      { filter: 'b', qos: 1 },
    ]);
    expect(subscriptions([{ topic: '#' }, { topic: '$SYS/#' }, { topic: 'a' }])).toEqual([
      { filter: '#', qos: 1 },
      { filter: '$SYS/#', qos: 1 },
    ]);
  });
});

describe('branches', () => {
  const rule: RuleConfig = {
    topic: 'gw/+device',
    rest: 'numbers',
    branches: [
      { exclude: ['id'], skipWith: ['mac'] },
      { each: '*', where: 'mac', device: '{key}' },
    ],
  };
  it('take several kinds of parts from one message', () => {
    const payload = { board: { t: 40 }, A1: { mac: 'x', t: 1 }, B2: { mac: 'y', t: 2 } };
    expect(map(rule, 'gw/g', payload).readings).toEqual([
      { device: 'g', time: ARRIVAL, values: { 'board.t': 40 } },
      { device: 'A1', time: ARRIVAL, values: { t: 1 } },
      { device: 'B2', time: ARRIVAL, values: { t: 2 } },
    ]);
  });
  it('have no values only where none of them has', () => {
    expect(map(rule, 'gw/g', { A1: { mac: 'x', t: 1 } })).toMatchObject({ readings: [{ device: 'A1' }], reasons: [] });
    expect(map(rule, 'gw/g', { A1: { mac: 'x', t: 'hot' } }).reasons).toEqual(['no-values']);
  });
  it('make one reading of parts of one device and time, unless a quantity would be twice in it', () => {
    const metrics: RuleConfig = {
      topic: '+device',
      each: 'metrics[*]',
      values: { '{name}': { path: 'value', lenient: true } },
      time: { path: 'ts' },
    };
    const payload = {
      metrics: [
        { name: 'a', value: 1, ts: 1_700_000_000 },
        { name: 'b', value: 2, ts: 1_700_000_000 },
        { name: 'c', value: 'on', ts: 1_700_000_000 },
        { name: 'a', value: 3, ts: 1_700_000_000 },
        { name: 'a', value: 4, ts: 1_700_000_001 },
      ],
    };
    expect(map(metrics, 'd', payload).readings.map((each) => each.values)).toEqual([
      { a: 1, b: 2 },
      { a: 3 },
      { a: 4 },
    ]);
  });
});

describe('where', () => {
  const take = (where: RuleConfig['where'], payload: unknown, topic = 'x/d') =>
    map({ topic: '+kind/+device', rest: 'numbers', ...(where === undefined ? {} : { where }) }, topic, payload).reasons;
  it.each<[NonNullable<RuleConfig['where']>, unknown, boolean]>([
    ['t', { t: 1 }, true],
    ['t', { t: null, u: 1 }, false],
    ['!t', { u: 1 }, true],
    ['!t', { t: 1 }, false],
    [{ cmd: ['rx', 'gw'] }, { cmd: 'gw', t: 1 }, true],
    [{ cmd: ['rx', 'gw'] }, { cmd: 'tx', t: 1 }, false],
    [{ ok: [true], n: [1, 2] }, { ok: true, n: 2 }, true],
    [{ '{kind}': ['x*'] }, { t: 1 }, true],
    [{ '{kind}': ['y'] }, { t: 1 }, false],
    [{ '{nothing}': ['y'] }, { t: 1 }, false],
    [['t', { cmd: ['rx'] }], { cmd: 'rx', t: 1 }, true],
    [['t', { cmd: ['rx'] }], { cmd: 'rx', u: 1 }, false],
  ])('%j of %j: %s', (where, payload, taken) => expect(take(where, payload)).toEqual(taken ? [] : ['no-values']));
});

describe('inner payloads', () => {
  const rule = (inner: NonNullable<RuleConfig['inner']>): RuleConfig => ({
    topic: '+device',
    time: { path: '$.ts' },
    rest: 'numbers',
    inner,
  });
  it.each<[NonNullable<RuleConfig['inner']>, unknown]>([
    [{ path: 'p', format: 'cayenne-lpp' }, 'A2cBEA=='],
    [{ path: 'p', encoding: 'hex', format: 'cayenne-lpp' }, '03670110'],
    [{ path: 'p', encoding: 'text', format: 'relaxed-json' }, '{temperature_3:27.2}'],
  ])('are read as %j', (inner, p) => {
    expect(map(rule(inner), 'd', { ts: 1_700_000_000, p }).readings).toEqual([
      { device: 'd', time: 1_700_000_000_000, values: { temperature_3: 27.2 } },
    ]);
  });
  it.each([
    ['', 'no-values'],
    [undefined, 'no-values'],
    [5, 'malformed'],
    ['not base64!', 'malformed'],
  ])('%j is refused as %s', (p, reason) => {
    expect(map(rule({ path: 'p', format: 'cayenne-lpp' }), 'd', { ts: 1_700_000_000, p }).reasons).toEqual([reason]);
  });
});

describe('units', () => {
  const rule: RuleConfig = {
    topic: '+device',
    rest: 'numbers',
    units: { '*Temperature': { path: '$.TempUnit', to: '°C' }, p: { from: 'Pa', to: 'hPa' } },
  };
  it('are converted from what the payload or the mapping says, and stay where nobody says', () => {
    expect(map(rule, 'd', { TempUnit: 'F', A: { Temperature: 68 }, p: 101_325 }).readings[0]?.values).toEqual({
      'A.Temperature': 20,
      p: 1013.25,
    });
    expect(map(rule, 'd', { Temperature: 20 }).readings[0]?.values).toEqual({ Temperature: 20 });
  });
  it('refuse a unit of another kind', () => {
    expect(map(rule, 'd', { TempUnit: 'bar', Temperature: 1 }).reasons).toEqual(['unknown-unit']);
    expect(() => compileMapping({ rules: [{ ...rule, units: { a: { from: 'Pa', to: '°C' } } }] })).toThrow(/Pa cannot/);
  });
});

describe('a lenient time', () => {
  const rule: RuleConfig = { topic: '+device', rest: 'numbers', time: { path: 'Time', format: 'iso', lenient: true } };
  it.each([
    ['2024-05-01T10:00:00+02:00', Date.UTC(2024, 4, 1, 8)],
    ['2024-05-01T10:00:00', ARRIVAL],
    ['1970-01-01T00:00:07Z', ARRIVAL],
    ['2090-01-01T00:00:07Z', ARRIVAL],
    ['soon', ARRIVAL],
    [undefined, ARRIVAL],
  ])('%s', (Time, time) => expect(map(rule, 'd', { Time, t: 1 }).readings[0]?.time).toBe(time));
});

describe('JSONata', () => {
  const rule = (transform: string): RuleConfig => ({
    topic: 'a/+room',
    transform,
    device: '{device}',
    rest: 'numbers',
  });
  it('gives the payload another form, with the wildcards at hand', () => {
    const transform = '{"device": $room & "-" & id, "mean": $average(samples), "low": $min(samples)}';
    expect(map(rule(transform), 'a/x', { id: 7, samples: [1, 2, 6] }).readings).toEqual([
      { device: 'x-7', time: ARRIVAL, values: { mean: 3, low: 1 } },
    ]);
  });
  it('refuses what fails, what gives nothing and what never ends', () => {
    expect(map(rule('$number(id)'), 'a/x', { id: 'x' }).reasons).toEqual(['expression-failed']);
    expect(map(rule('nothing'), 'a/x', {}).reasons).toEqual(['no-values']);
    expect(map(rule('($f := function($n) { $f($n + 1) + 1 }; $f(0))'), 'a/x', {}).reasons).toEqual([
      'expression-failed',
    ]);
    expect(map(rule('($f := function($n) { $f($n + 1) }; $f(0))'), 'a/x', {}).reasons).toEqual(['expression-failed']);
    for (const hostile of [
      '{"t": $match(text, /^(a+)+$/) ? 1 : 2}',
      '{"t": $sum([1..9999999])}',
      '{"t": $sum($map([1..9999999], function($n) { $n }))}',
      '{"t": $eval("$sum([1..9999999])")}',
    ]) {
      expect(map(rule(hostile), 'a/x', { text: `${'a'.repeat(40)}b` }).reasons).toEqual(['expression-failed']);
    }
    expect(
      map(rule('{"device": "d", "t": [1..3][1], "s": $match(a, /b/).index}'), 'a/x', { a: 'ab' }).readings,
    ).toEqual([{ device: 'd', time: ARRIVAL, values: { t: 2, s: 1 } }]);
    expect(() => compileMapping({ rules: [rule('{')] })).toThrow(/mapping of a\/\+room: JSONata/);
  });
});

describe('formats of their own', () => {
  it.each<[string, RuleConfig, unknown, Record<string, unknown>]>([
    [
      'line protocol',
      {
        topic: '#',
        format: 'line-protocol',
        each: '*',
        device: '{tags.host}',
        time: { path: 'time', optional: true, format: 'epoch-ns' },
        under: 'fields',
        rest: 'numbers',
        prefix: '{measurement}.',
      },
      'cpu,host=h load=1,idle=2i 1700000000123456789\nmem,host=h free=3 1700000000123456789',
      { device: 'h', time: 1_700_000_000_123, values: { 'cpu.load': 1, 'cpu.idle': 2, 'mem.free': 3 } },
    ],
    [
      'CSV',
      { topic: '#device', format: { type: 'csv', columns: ['ts', 't', 'h'] }, each: '*', time: { path: 'ts' } },
      '1700000000,21.5,40',
      { device: 'x/y', time: 1_700_000_000_000, values: { t: 21.5, h: 40 } },
    ],
    [
      'CBOR',
      { topic: '#device', format: 'cbor', time: { path: 'at' } },
      Buffer.from('a26174f94d60626174c11a6553f100', 'hex'),
      { device: 'x/y', time: 1_700_000_000_000, values: { t: 21.5 } },
    ],
    [
      'Avro',
      {
        topic: '#device',
        format: { type: 'avro', schema: { type: 'record', name: 'R', fields: [{ name: 't', type: 'int' }] } },
      },
      Buffer.from([0x2a]),
      { device: 'x/y', time: ARRIVAL, values: { t: 21 } },
    ],
  ])('%s', (_, rule, payload, expected) => {
    expect(map(rule, 'x/y', payload)).toEqual({ readings: [expected], reasons: [] });
  });
});
