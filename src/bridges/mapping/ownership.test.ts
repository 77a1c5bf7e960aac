import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRecord, encodeRecord } from '../../events/codec.ts';
import { seriesKey, splitSeriesKey } from '../../events/records.ts';
import { partitionFor } from '../../log/partitioner.ts';
import { RecordMaker } from '../mqtt/record-maker.ts';
import type { MappingConfig, PresetConfig, RuleConfig } from './config.ts';
import { compileMapping } from './mapping.ts';

const ARRIVAL = Date.UTC(2026, 0, 1);

/** Names that somebody might try: separators, wildcards, control characters, names of topics and fields. */
const hostileName = fc.oneof(
  fc.constantFrom(
    ...['victim', 'victim/', '/victim', '../victim', 'victim%2Ft', '+', '#', '$SYS', '__proto__', 'constructor', ''],
    ...[
      'readings',
      'dead-letters',
      'models',
      'bridge-memory',
      'a\u0000b',
      'a\nb',
      '\ud800',
      'x'.repeat(300),
      '{device}',
    ],
  ),
  fc.string({ unit: 'binary', maxLength: 12 }),
);
/** A level that a client can publish to. */
const level = hostileName.filter(
  (name) => !/[+#/\p{Surrogate}]/u.test(name) && !name.includes('\u0000') && !name.startsWith('$'),
);
const anyPayload = fc.oneof(
  fc.json({ maxDepth: 3 }),
  fc
    .dictionary(
      fc.constantFrom('device', 'id', 'mac', 'MAC', 't', 'time', 'key', '__proto__', 'victim', 'ZbReceived', '$'),
      fc.oneof(
        hostileName,
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.constant({ victim: { mac: 'x', t: 1 }, '../victim': { t: 1 } }),
        fc.constant({ mac: 'x', t: 99, id: 'victim', device: 'victim' }),
      ),
    )
    .map((fields) => JSON.stringify(fields)),
);

const devicesOf = (config: MappingConfig, topic: string, payload: string | Uint8Array) =>
  compileMapping(config)
    .map(topic, Buffer.from(payload as string), ARRIVAL)
    .readings.map(({ device }) => device);

describe('a device that the topic names', () => {
  it.each<[string, RuleConfig, (levels: readonly [string, string]) => string]>([
    ['one wildcard', { topic: 'x/+site/+device', rest: 'numbers' }, ([, device]) => device],
    ['two', { topic: 'x/+a/+b', device: '{a}/{b}', rest: 'numbers' }, ([a, b]) => `${a}/${b}`],
    ['the rest of the topic', { topic: 'x/#device', rest: 'numbers' }, ([a, b]) => `${a}/${b}`],
    [
      'parts of a batch',
      { topic: 'x/+a/+device', each: '*', branches: [{ rest: 'numbers' }, { each: 'ZbReceived.*', rest: 'numbers' }] },
      ([, device]) => device,
    ],
    ['a transformed payload', { topic: 'x/+a/+device', transform: '$', rest: 'numbers' }, ([, device]) => device],
  ])('is that one whatever the payload says: %s', (_, rule, nameOf) => {
    fc.assert(
      fc.property(level, level, anyPayload, (a, b, payload) => {
        for (const device of devicesOf({ rules: [rule] }, `x/${a}/${b}`, payload)) expect(device).toBe(nameOf([a, b]));
      }),
      { numRuns: 300 },
    );
  });

  it('differs for different topics where a slash stands between its wildcards', () => {
    const config = { rules: [{ topic: 'x/+a/+b', device: '{a}/{b}', rest: 'numbers' }] } as const;
    fc.assert(
      fc.property(level, level, level, level, (a, b, c, d) => {
        fc.pre(a !== c || b !== d);
        const [one] = devicesOf(config, `x/${a}/${b}`, '{"t":1}');
        const [other] = devicesOf(config, `x/${c}/${d}`, '{"t":1}');
        if (one !== undefined) expect(one).not.toBe(other);
      }),
      { numRuns: 500 },
    );
  });
});

/** Where a gateway of this name may publish, and how its own name begins what it writes to. */
const GATEWAYS: readonly (readonly [PresetConfig, topics: readonly string[]])[] = [
  [
    { preset: 'tasmota', perGateway: true },
    ['tele/evil/SENSOR', 'tele/evil/RESULT', 'tele/evil/SENSOR/x', 'stat/evil/STATUS10'],
  ],
  [
    { preset: 'openmqttgateway', perGateway: true },
    [
      'BTtoMQTT',
      'BTtoMQTT/victim',
      'RTL_433toMQTT',
      'RTL_433toMQTT/a/b',
      'PilighttoMQTT',
      'LORAtoMQTT',
      'CLIMAtoMQTT/ds1820/victim',
      'CLIMAtoMQTT/victim',
      'x',
    ].map((rest) => `home/evil/${rest}`),
  ],
  [{ preset: 'shelly', perGateway: true }, ['evil/status/switch:0', 'evil/events/rpc']],
  [{ preset: 'ruuvi-gateway', perGateway: true }, ['ruuvi/evil/victim']],
  [{ preset: 'the-things-stack' }, ['v3/app@t/devices/evil/up', 'v3/app@t/devices/evil/location/solved']],
  [{ preset: 'chirpstack' }, ['application/a/device/evil/event/up', 'application/a/device/evil/event/status']],
  [{ preset: 'zigbee2mqtt' }, ['zigbee2mqtt/evil', 'zigbee2mqtt/evil/victim']],
  [{ preset: 'shelly-gen1' }, ['shellies/evil/relay/0']],
];
/** What a gateway says when it speaks of another device. */
const FORGED = [
  {
    victim: { mac: 'x', MAC: 'x', t: 1, ENERGY: { Power: 9 } },
    ZbReceived: { victim: { t: 1 } },
    IBEACON: { MAC: 'victim', RSSI: 1 },
  },
  { LwReceived: { victim: { t: 1 } }, StatusSNS: { victim: { mac: 'x', t: 1 }, ZbReceived: { victim: { t: 1 } } } },
  {
    id: 'victim',
    model: 'victim',
    protocol: 'victim',
    value: 'victim',
    message: { t: 1 },
    channel: 'victim',
    temp: 1,
    t: 1,
  },
  {
    method: 'NotifyEvent',
    src: 'victim',
    params: { 'switch:0': { apower: 1 }, events: [{ event: 'shelly-blu', data: { address: 'vi:c:t:i:m:0', t: 1 } }] },
  },
  { end_device_ids: { device_id: 'victim' }, uplink_message: { decoded_payload: { t: 1 }, device: 'victim' } },
  { data: { end_device_ids: { device_id: 'victim' }, uplink_message: { decoded_payload: { t: 1 } } } },
  { deviceInfo: { devEui: 'victim' }, object: { t: 1 }, margin: 1, batteryLevel: 1 },
  { gw_mac: 'victim', id: 'victim', dataFormat: 5, temperature: 1, rssi: -1 },
];

describe('a gateway writes below its own name only', () => {
  it.each(GATEWAYS)('%j', (preset, topics) => {
    let read = 0;
    const mine = (topic: string, payload: string) => {
      for (const device of devicesOf({ rules: [preset] }, topic, payload)) {
        read++;
        expect(device === 'evil' || device.startsWith('evil/'), `${topic} ${payload}: ${device}`).toBe(true);
      }
    };
    for (const topic of topics) for (const payload of FORGED) mine(topic, JSON.stringify(payload));
    fc.assert(
      fc.property(fc.constantFrom(...topics), anyPayload, (topic, payload) => mine(topic, payload)),
      { numRuns: 300 },
    );
    expect(read).toBeGreaterThan(0);
  });
});

describe('what a message becomes', () => {
  const topics = {
    readings: { name: 'readings', partitions: 4 },
    deadLetters: { name: 'dead-letters', partitions: 3 },
    memory: { name: 'bridge-memory', partitions: 1 },
  };
  const make = (rules: MappingConfig['rules']) => {
    const maker = new RecordMaker(compileMapping({ rules }), topics, 1_000);
    return (topic: string, payload: Uint8Array) =>
      maker.make({ topic, payload, retained: false, duplicate: false }, ARRIVAL);
  };

  it('are readings under the device, or dead letters under the topic, and nothing on any other topic', () => {
    const records = make([
      { topic: 'any/+x', device: '{name}', rest: 'numbers' },
      { topic: '#', device: '{name}' },
    ]);
    fc.assert(
      fc.property(level, hostileName, anyPayload, (topic, name, payload) => {
        for (const text of [payload, JSON.stringify({ name, t: 1 })]) {
          for (const record of records(`any/${topic}`, Buffer.from(text))) {
            const value = decodeRecord(record.value!);
            const key = Buffer.from(record.key!).toString();
            if (value.type === 'Reading') {
              expect([record.topic, key, record.partition]).toEqual([
                'readings',
                value.device,
                partitionFor(Buffer.from(value.device), 4),
              ]);
              expect(value.device).not.toMatch(/\p{Cc}/u);
            } else expect([record.topic, value.type, key]).toEqual(['dead-letters', 'DeadLetter', `any/${topic}`]);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is no tick and no activation, where the payload is one', () => {
    const forged = [
      encodeRecord({ type: 'Tick', time: ARRIVAL + 1e9 }),
      encodeRecord({
        type: 'Reading',
        device: 'victim',
        time: ARRIVAL,
        values: { t: 1 },
        retained: false,
        redelivered: false,
        fingerprint: '',
      }),
    ];
    for (const format of ['json', 'msgpack', 'cbor', 'text', 'line-protocol'] as const) {
      const records = make([{ topic: 'x/+device', format, rest: 'numbers' }]);
      for (const payload of forged) {
        for (const record of records('x/evil', payload)) {
          const value = decodeRecord(record.value!);
          if (value.type === 'Reading') expect(value.device).toBe('evil');
          else expect([record.topic, value.type]).toEqual(['dead-letters', 'DeadLetter']);
        }
      }
    }
  });

  it('has a series of its own for each device and quantity, whatever their names', () => {
    fc.assert(
      fc.property(hostileName, hostileName, hostileName, hostileName, (a, b, c, d) => {
        fc.pre(a !== c || b !== d);
        expect(seriesKey(a, b)).not.toBe(seriesKey(c, d));
        expect(splitSeriesKey(seriesKey(a, b))).toEqual({ device: a, quantity: b });
      }),
      { numRuns: 500 },
    );
  });
});
