import { describe, expect, it } from 'vitest';
import { Reject } from '../mapping/reject.ts';
import { SparkplugHost, type SparkplugResult } from './host.ts';
import { encodePayload, parsePayload } from './payload.ts';

const T = 1_700_000_000_000;
const INT8 = 1;
const INT16 = 2;
const INT32 = 3;
const INT64 = 4;
const UINT64 = 8;
const DOUBLE = 10;
const BOOLEAN = 11;
const STRING = 12;

const nbirth = (bdSeq = 0, timestamp = T) =>
  encodePayload({
    timestamp,
    seq: 0,
    metrics: [
      { name: 'bdSeq', timestamp, datatype: UINT64, longValue: bdSeq },
      { name: 'Node Control/Rebirth', timestamp, datatype: BOOLEAN, booleanValue: false },
      { name: 'load', alias: 1, timestamp, datatype: DOUBLE, doubleValue: 0.5 },
      { name: 'firmware', alias: 2, timestamp, datatype: STRING, stringValue: '1.0' },
    ],
  });
const dbirth = (seq = 1, timestamp = T) =>
  encodePayload({
    timestamp,
    seq,
    metrics: [
      { name: 'temperature', alias: 10, timestamp, datatype: INT16, intValue: 0xffff_ffec },
      { name: 'running', alias: 11, timestamp, datatype: BOOLEAN, booleanValue: true },
    ],
  });
const data = (seq: number, ...metrics: object[]) => encodePayload({ timestamp: T + seq * 1000, seq, metrics });
const ndeath = (bdSeq: number) =>
  encodePayload({ timestamp: T, metrics: [{ name: 'bdSeq', datatype: UINT64, longValue: bdSeq }] });

/** A host whose messages arrive a minute apart, unless said otherwise. */
function host(options = {}) {
  const under = new SparkplugHost(options);
  let arrival = T;
  const send = (topic: string, bytes: Uint8Array, after = 60_000): SparkplugResult => {
    arrival += after;
    return under.receive(`spBv1.0/plant/${topic}`, bytes, arrival);
  };
  return { under, send };
}
const values = ({ readings }: SparkplugResult) => readings.map((each) => [each.device, each.time, each.values]);
const reasons = ({ rejected }: SparkplugResult) => rejected.map((each) => each.reason);

describe('the Sparkplug host', () => {
  it('learns aliases and types from births and reads data with them', () => {
    const { send } = host();
    expect(values(send('NBIRTH/edge', nbirth()))).toEqual([['plant/edge', T, { load: 0.5 }]]);
    expect(values(send('DBIRTH/edge/press', dbirth()))).toEqual([
      ['plant/edge/press', T, { temperature: -20, running: 1 }],
    ]);
    const result = send(
      'DDATA/edge/press',
      data(2, { alias: 10, intValue: 0xfffe }, { alias: 11, booleanValue: false }),
    );
    expect(values(result)).toEqual([['plant/edge/press', T + 2000, { temperature: -2, running: 0 }]]);
    expect(result.commands).toEqual([]);
    expect(values(send('NDATA/edge', data(3, { alias: 1, doubleValue: 0.7 })))).toEqual([
      ['plant/edge', T + 3000, { load: 0.7 }],
    ]);
    expect(reasons(send('NDATA/edge', data(4, { alias: 2, stringValue: '1.1' })))).toEqual(['no-values']);
  });

  it('reads arrays and data sets, and leaves files and texts out', () => {
    const { send } = host();
    const le = (size: number, ...numbers: number[]) => {
      const bytes = Buffer.alloc(size * numbers.length);
      for (const [i, n] of numbers.entries()) bytes.writeIntLE(n, i * size, size);
      return bytes;
    };
    const doubles = Buffer.alloc(16);
    doubles.writeDoubleLE(1.5, 0);
    doubles.writeDoubleLE(Number.NaN, 8);
    const cells = (...row: object[]) => ({ elements: row });
    const birth = encodePayload({
      timestamp: T,
      seq: 0,
      metrics: [
        { name: 'shorts', alias: 1, datatype: 23, bytesValue: le(2, -2, 300) },
        { name: 'flags', datatype: 32, bytesValue: Buffer.from([10, 0, 0, 0, 0b1000_0001, 0b0100_0000]) },
        { name: 'doubles', datatype: 31, bytesValue: doubles },
        { name: 'file', datatype: 18, bytesValue: Buffer.from('whatever') },
        {
          name: 'one',
          datatype: 16,
          datasetValue: {
            columns: ['t', 'name'],
            types: [INT8, STRING],
            rows: [cells({ intValue: 0xff }, { stringValue: 'a' })],
          },
        },
        {
          name: 'two',
          datatype: 16,
          datasetValue: {
            columns: ['t'],
            types: [DOUBLE],
            rows: [cells({ doubleValue: 1 }), cells({ doubleValue: 2 })],
          },
        },
      ],
    });
    const born = send('NBIRTH/edge', birth);
    expect(values(born)).toEqual([
      [
        'plant/edge',
        T,
        {
          'shorts/0': -2,
          'shorts/1': 300,
          ...Object.fromEntries([1, 0, 0, 0, 0, 0, 0, 1, 0, 1].map((bit, i) => [`flags/${i}`, bit])),
          'doubles/0': 1.5,
          'one/t': -1,
          'two/0/t': 1,
          'two/1/t': 2,
        },
      ],
    ]);
    expect(born.rejected).toEqual([]);
    const later = send('NDATA/edge', data(1, { alias: 1, bytesValue: le(2, 7) }));
    expect(values(later)).toEqual([['plant/edge', T + 1000, { 'shorts/0': 7 }]]);
    expect(reasons(send('NDATA/edge', data(2, { alias: 1, bytesValue: Buffer.alloc(3) })))).toEqual(['malformed']);
    expect(reasons(send('NDATA/edge', data(3, { alias: 1, bytesValue: Buffer.alloc(1000) })))).toEqual([
      'too-many-values',
    ]);
    const claims = { name: 'flags', datatype: 32, bytesValue: Buffer.from([255, 255, 255, 255, 1]) };
    expect(reasons(send('NDATA/edge', data(4, claims)))).toEqual(['malformed']);
  });

  it('waits for messages that come late, where it is told to', () => {
    const { send } = host({ reorderMs: 1_000 });
    const one = (seq: number) => data(seq, { alias: 1, doubleValue: seq });
    send('NBIRTH/edge', nbirth());
    expect(send('NDATA/edge', one(3), 10).commands).toEqual([]);
    expect(send('NDATA/edge', one(1), 10).commands).toEqual([]);
    expect(send('NDATA/edge', one(2), 10).commands).toEqual([]);
    expect(send('NDATA/edge', one(4), 5_000).commands).toEqual([]);
    expect(send('NDATA/edge', one(6), 10).commands).toEqual([]);
    expect(send('NDATA/edge', one(7), 1_000).commands).toHaveLength(1);
    expect(send('NDATA/edge', one(8), 60_000).commands).toEqual([]);
    expect(send('NDATA/edge', one(100), 60_000).commands).toHaveLength(1);
  });

  it('takes the time of each metric, historical ones among them', () => {
    const { send } = host();
    send('NBIRTH/edge', nbirth());
    const metrics = [
      { alias: 1, timestamp: T + 5, doubleValue: 2 },
      { alias: 1, timestamp: T - 5, doubleValue: 1, isHistorical: true },
      { alias: 1, isNull: true },
    ];
    expect(values(send('NDATA/edge', data(1, ...metrics)))).toEqual([
      ['plant/edge', T - 5, { load: 1 }],
      ['plant/edge', T + 5, { load: 2 }],
    ]);
  });

  it('asks for a rebirth where an alias is not known, and not more often than it may', () => {
    const { send } = host();
    const first = send('DDATA/edge/press', data(7, { alias: 10, intValue: 1 }));
    expect(reasons(first)).toEqual(['unknown-alias']);
    expect(first.commands.map((each) => each.topic)).toEqual(['spBv1.0/plant/NCMD/edge']);
    expect(parsePayload(first.commands[0]!.payload, 10).metrics).toMatchObject([
      { name: 'Node Control/Rebirth', datatype: BOOLEAN, value: true },
    ]);
    expect(send('DDATA/edge/press', data(8, { alias: 10, intValue: 1 }), 5_000).commands).toEqual([]);
    expect(send('DDATA/edge/press', data(9, { alias: 10, intValue: 1 }), 5_000).commands).toHaveLength(1);
    const silent = host({ rebirth: false });
    expect(silent.send('DDATA/edge/press', data(7, { alias: 10, intValue: 1 })).commands).toEqual([]);
  });

  it('notices a gap in the sequence, which wraps at 256', () => {
    const { send } = host();
    send('NBIRTH/edge', nbirth());
    for (let seq = 1; seq < 600; seq++) {
      expect(send('NDATA/edge', data(seq % 256, { alias: 1, doubleValue: seq })).commands).toEqual([]);
    }
    const after = send('NDATA/edge', data(100, { alias: 1, doubleValue: 9 }));
    expect(after.commands).toHaveLength(1);
    expect(after.readings).toHaveLength(1);
    expect(send('NDATA/edge', data(101, { alias: 1, doubleValue: 9 })).commands).toEqual([]);
  });

  it('marks devices stale at deaths, and only at those of this session', () => {
    const { under, send } = host();
    const online = () => Object.fromEntries(under.devices().map((each) => [each.device, each.online]));
    send('NBIRTH/edge', nbirth(3));
    send('DBIRTH/edge/press', dbirth());
    expect(online()).toEqual({ 'plant/edge': true, 'plant/edge/press': true });
    expect(reasons(send('DDEATH/edge/press', encodePayload({ timestamp: T, seq: 2, metrics: [] })))).toEqual([
      'no-values',
    ]);
    expect(online()).toEqual({ 'plant/edge': true, 'plant/edge/press': false });
    send('DBIRTH/edge/press', dbirth(3));
    send('NDEATH/edge', ndeath(2));
    expect(online()).toEqual({ 'plant/edge': true, 'plant/edge/press': true });
    send('NDEATH/edge', ndeath(3));
    expect(online()).toEqual({ 'plant/edge': false, 'plant/edge/press': false });
    expect(send('DDATA/edge/press', data(4, { alias: 10, intValue: 1 })).commands).toHaveLength(1);
    send('NBIRTH/edge', nbirth(4, T + 1));
    expect(online()).toEqual({ 'plant/edge': true, 'plant/edge/press': false });
  });

  it('forgets the aliases of an earlier birth', () => {
    const { send } = host();
    send('NBIRTH/edge', nbirth(0));
    send('DBIRTH/edge/press', dbirth());
    send('NBIRTH/edge', nbirth(1, T + 1));
    const result = send('DDATA/edge/press', data(1, { alias: 10, intValue: 1 }));
    expect(reasons(result)).toEqual(['unknown-alias']);
    expect(result.commands).toHaveLength(1);
  });

  it('knows after a restart what it knew, whatever the order of its records', () => {
    const { send } = host();
    const kept = new Map<string, Uint8Array>();
    const keep = (result: SparkplugResult) => {
      for (const { key, value } of result.memory) kept.set(key, value);
    };
    keep(send('NBIRTH/edge', nbirth(0)));
    keep(send('DBIRTH/edge/press', dbirth()));
    keep(send('DBIRTH/edge/old', dbirth(2)));
    keep(send('NBIRTH/edge', nbirth(1, T + 1)));
    keep(send('DBIRTH/edge/press', dbirth(1)));
    keep(send('DBIRTH/other/press', dbirth(1)));
    expect([...kept.keys()]).toEqual([
      'sparkplug/plant/edge',
      'sparkplug/plant/edge/press',
      'sparkplug/plant/edge/old',
    ]);
    for (const records of [[...kept.values()], [...kept.values()].reverse()]) {
      const again = host();
      for (const value of records) again.under.restore(value);
      again.under.restore(Buffer.from('{"group":5'));
      for (const damaged of ['{}', 'null', '5', '{"group":"g","node":"n","device":"","birth":"x","metrics":[5]}']) {
        again.under.restore(Buffer.from(damaged));
      }
      const limited = new SparkplugHost({ maxMetrics: 1 });
      for (const value of records) limited.restore(value);
      expect(values(again.send('DDATA/edge/press', data(77, { alias: 10, intValue: 0xfffe })))).toEqual([
        ['plant/edge/press', T + 77_000, { temperature: -2 }],
      ]);
      const online = Object.fromEntries(again.under.devices().map((each) => [each.device, each.online]));
      expect(online).toEqual({ 'plant/edge': true, 'plant/edge/press': true, 'plant/edge/old': false });
    }
  });

  it('reads names without a birth, but not the aliases of one that names them twice', () => {
    const { send } = host();
    const named = { name: 'speed', datatype: INT32, intValue: 0xffff_ffff };
    expect(values(send('DDATA/edge/press', data(5, named)))).toEqual([['plant/edge/press', T + 5000, { speed: -1 }]]);
    const twice = encodePayload({
      timestamp: T,
      seq: 0,
      metrics: [
        { name: 'a', alias: 1, datatype: INT32, intValue: 1 },
        { name: 'b', alias: 1, datatype: INT32, intValue: 2 },
      ],
    });
    expect(values(send('NBIRTH/edge', twice))).toEqual([['plant/edge', T, { a: 1, b: 2 }]]);
    expect(reasons(send('NDATA/edge', data(1, { alias: 1, intValue: 5 })))).toEqual(['unknown-alias']);
  });

  it('reads templates by member, and leaves out what is no number', () => {
    const { send } = host();
    const template = {
      metrics: [
        { name: 'rpm', datatype: DOUBLE, doubleValue: 7 },
        { name: 'id', datatype: STRING, stringValue: 'x' },
      ],
    };
    const result = send(
      'NDATA/edge',
      data(1, { name: 'motor', datatype: 19, templateValue: template }, { name: 'at', datatype: 13, longValue: T }),
    );
    expect(values(result)).toEqual([['plant/edge', T + 1000, { 'motor/rpm': 7 }]]);
  });

  it.each([
    ['NCMD/edge', 'no-values'],
    ['DCMD/edge/press', 'no-values'],
    ['NDEATH/unknown', 'no-values'],
    ['XDATA/edge', 'malformed'],
    ['NDATA/edge/press', 'malformed'],
    ['DDATA/edge', 'malformed'],
    ['DDATA/edge/press/more', 'malformed'],
  ])('answers %s with %s', (topic, reason) => {
    const { send } = host();
    let found: readonly string[];
    try {
      found = reasons(send(topic, data(0)));
    } catch (error) {
      found = [(error as Reject).reason];
    }
    expect(found).toEqual([reason]);
  });

  it('bounds what nodes can make it remember', () => {
    const { under, send } = host({ maxNodes: 3, maxMetrics: 20 });
    for (let i = 0; i < 3; i++) send(`NBIRTH/edge${i}`, nbirth());
    expect(() => send('NBIRTH/edge3', nbirth())).toThrow(expect.objectContaining({ reason: 'too-many-devices' }));
    expect(() => {
      for (let i = 0; i < 10; i++) send(`DBIRTH/edge0/d${i}`, dbirth(i + 1));
    }).toThrow(expect.objectContaining({ reason: 'too-many-quantities' }));
    for (let i = 0; i < 50; i++) send('NBIRTH/edge1', nbirth(i, T + i));
    expect(under.devices().length).toBeLessThan(10);
  });
});

describe('the payload', () => {
  it('has the field numbers of the specification', () => {
    const bytes = Buffer.from(
      '0880b8e5cbbc31 1211 0a0174 1002 1880b8e5cbbc31 2001 50ff01 1805'.replaceAll(' ', ''),
      'hex',
    );
    expect(parsePayload(bytes, 10)).toMatchObject({
      seq: 5,
      metrics: [{ name: 't', alias: '2', datatype: INT8, value: 255n }],
    });
  });
  it.each<[number, object, number]>([
    [INT8, { intValue: 0xff }, -1],
    [INT8, { intValue: 0xffff_ffff }, -1],
    [INT16, { intValue: 0x8000 }, -32_768],
    [INT32, { intValue: 0xffff_fffe }, -2],
    [INT64, { longValue: '18446744073709551615' }, -1],
    [5, { intValue: 0xff }, 255],
    [7, { intValue: 0xffff_ffff }, 4_294_967_295],
    [7, { longValue: 4_294_967_295 }, 4_294_967_295],
    [UINT64, { longValue: '18446744073709551615' }, 2 ** 64],
    [9, { floatValue: 0.5 }, 0.5],
    [BOOLEAN, { booleanValue: true }, 1],
  ])('reads type %d of %j', (datatype, value, expected) => {
    const { send } = host();
    expect(send('NDATA/e', data(0, { name: 'x', datatype, ...value })).readings[0]?.values).toEqual({ x: expected });
  });
  it('reads the JSON form', () => {
    const payload = {
      timestamp: T,
      metrics: [
        { name: 'Status', alias: 1, timestamp: T, dataType: 'String', value: 'Running' },
        { name: 'Speed', alias: 1, timestamp: T, dataType: 'integer', value: 12 },
        { name: 'Old', timestamp: String(T - 5), dataType: 'Double', value: 1.5, isHistorical: true },
        { name: 'None', dataType: 'Double', value: null },
      ],
      seq: 2,
    };
    expect(values(host().send('DDATA/n/d', Buffer.from(JSON.stringify(payload))))).toEqual([
      ['plant/n/d', T - 5, { Old: 1.5 }],
      ['plant/n/d', T, { Speed: 12 }],
    ]);
  });
  it.each([
    '7b',
    '7b226d657472696373223a357d',
    'ff',
    '12ff',
    '08ffffffffffffffffffff',
    '1203 0a',
  ])('refuses %s', (bytes) => {
    expect(() => parsePayload(Buffer.from(bytes.replaceAll(' ', ''), 'hex'), 10)).toThrow(Reject);
  });
  it('refuses more metrics than it may, and templates nested without end', () => {
    expect(() => parsePayload(data(0, ...Array.from({ length: 20 }, () => ({ name: 'x' }))), 10)).toThrow(Reject);
    let bytes = Buffer.from([]);
    const wrap = (tag: number[], inner: Buffer) => {
      const length: number[] = [];
      for (let left = inner.length; ; left >>= 7) {
        length.push(left > 127 ? (left & 127) | 128 : left);
        if (left <= 127) break;
      }
      return Buffer.concat([Buffer.from([...tag, ...length]), inner]);
    };
    for (let i = 0; i < 2_000; i++) bytes = wrap([0x92, 0x01], wrap([0x12], bytes));
    expect(() => parsePayload(wrap([0x12], bytes), 1000)).toThrow(Reject);
    bytes = Buffer.from([]);
    for (let i = 0; i < 12; i++) bytes = wrap([0x92, 0x01], wrap([0x12], bytes));
    expect(() => parsePayload(wrap([0x12], bytes), 1000)).toThrow(expect.objectContaining({ reason: 'too-deep' }));
  });
});
