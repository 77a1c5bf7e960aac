import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { dataFile } from '../../../test/data-folder.ts';
import { compileMapping } from '../mapping/mapping.ts';
import { Collector, type Sample } from './collector.ts';
import { discover } from './discover.ts';
import { unitOf } from './fields.ts';

const START = Date.UTC(2026, 0, 1);
type Said = readonly [topic: string, payload: unknown, afterMs?: number];

function samples(said: readonly Said[]): Sample[] {
  return said.map(([topic, payload, after = 0], i) => ({
    topic,
    payload: Buffer.isBuffer(payload)
      ? payload
      : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)),
    arrival: START + i + after,
    retained: false,
  }));
}

/** The same message again and again, with numbers that differ. */
function series(count: number, intervalMs: number, make: (i: number, at: number) => Said): Sample[] {
  return Array.from({ length: count }, (_, i) => {
    const at = START + i * intervalMs;
    const [sample] = samples([make(i, at)]);
    return { ...sample!, arrival: at };
  });
}

describe('discover', () => {
  it('recognises families by their presets, also under another base', () => {
    const found = discover(
      samples([
        ['z2m/bridge/state', 'online'],
        ['z2m/kitchen', { temperature: 21, linkquality: 80 }],
        ['tele/plug/SENSOR', { Time: '2026-01-01T00:00:00', ENERGY: { Power: 5 } }],
        ['tele/plug/LWT', 'Online'],
        ['shellyplus-1/status/switch:0', { id: 0, apower: 5 }],
        ['site/lora/a/device/0102/event/up', { deviceInfo: { devEui: '0102' }, object: { t: 1 } }],
        ['lns/uplink', { cmd: 'rx', EUI: 'E1', ts: START, rssi: -50 }],
        [
          'v1/gateway/telemetry',
          { 'Device A': [{ ts: START, values: { t: 1 } }], 'Device B': [{ ts: START, values: { t: 2 } }] },
        ],
        ['ruuvi/GW/AA', { gw_mac: 'GW', rssi: -60, dataFormat: 5, temperature: 1, ts: START / 1000 }],
      ]),
    );
    expect(
      found.entries.map(({ entry }) => entry).sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
    ).toEqual([
      { preset: 'chirpstack', base: 'site/lora' },
      { preset: 'loriot', base: 'lns' },
      { preset: 'ruuvi-gateway' },
      { preset: 'shelly' },
      { preset: 'tasmota' },
      { preset: 'thingsboard-gateway' },
      { preset: 'zigbee2mqtt', base: 'z2m' },
    ]);
    expect(found.unread).toEqual([]);
    expect(found.devices.map(({ device }) => device)).toEqual(expect.arrayContaining(['Device A', 'Device B']));
    expect(found.outcome).toEqual({ readings: 8, 'no-values': 2 });
    expect(found.entries.find((each) => each.name === 'tasmota')?.notes[0]).toMatch(/zone/);
    for (const entry of found.entries) expect(entry.confidence).toBeGreaterThan(0.7);
  });

  it('finds devices, quantities, units, intervals and times of JSON that nobody knows', () => {
    const heard = ['pump 1', 'pump 2'].flatMap((device, d) =>
      series(20, 60_000, (i, at) => [
        `plant/hall/${device}/data`,
        {
          meta: { measured_at: new Date(at - 1500 - d).toISOString() },
          flow_lpm: 10 + i,
          bearing: { temp: '45.5' },
          seq: i,
          mode: 'auto',
        },
      ]),
    );
    const found = discover(heard);
    expect(found.entries).toHaveLength(1);
    expect(found.entries[0]).toMatchObject({
      name: 'plant/hall/+device/data',
      entry: { time: { path: 'meta.measured_at', format: 'iso', lenient: true }, numericText: true, exclude: ['seq'] },
      time: { path: 'meta.measured_at', confidence: 1 },
      messages: 40,
    });
    expect(found.devices).toMatchObject([
      {
        device: 'pump 1',
        readings: 20,
        intervalMs: 60_000,
        quantities: [
          { name: 'flow_lpm', unit: 'lpm', min: 10, max: 29 },
          { name: 'bearing.temp', unit: '°C', unitConfidence: 0.6 },
        ],
      },
      { device: 'pump 2' },
    ]);
    const { readings } = compileMapping(found.mapping).map('plant/hall/pump 9/data', heard[0]!.payload, START);
    expect(readings[0]).toMatchObject({ device: 'pump 9', time: START - 1500, values: { flow_lpm: 10 } });
  });

  it.each<[string, readonly Said[], object, object]>([
    [
      'bare numbers by quantity',
      [
        ['house/attic/temp', '21.5'],
        ['house/cellar/temp', '11'],
        ['house/attic/hum', '40'],
      ],
      { topic: 'house/+device/+quantity', format: 'number' },
      { device: 'attic', values: { temp: 21.5 } },
    ],
    [
      'text with units',
      [
        ['w/a/temperature', '21.5 °C'],
        ['w/b/temperature', '20 °C'],
      ],
      { topic: 'w/+device/+quantity', format: 'text' },
      { device: 'a', values: { temperature: 21.5 } },
    ],
    [
      'key=value',
      [
        ['kv/a', 't=21.5,h=40'],
        ['kv/b', 't=20,h=41'],
      ],
      { topic: 'kv/+device', format: 'key-value' },
      { device: 'a', values: { t: 21.5, h: 40 } },
    ],
    [
      'line protocol',
      [['influx', `cpu,host=h load=1.5 ${START}000000`]],
      { topic: 'influx', format: 'line-protocol', each: '*', device: '{tags.host}' },
      { device: 'h', values: { load: 1.5 } },
    ],
    [
      'MessagePack',
      [
        ['bin/a', Buffer.from('82a174cb4035800000000000a16802', 'hex')],
        ['bin/b', Buffer.from('81a17402', 'hex')],
      ],
      { format: 'msgpack' },
      { device: 'a', values: { t: 21.5, h: 2 } },
    ],
    [
      'CBOR',
      [
        ['bin/a', Buffer.from('a16174f94d60', 'hex')],
        ['bin/b', Buffer.from('a1617402', 'hex')],
      ],
      { format: 'cbor' },
      { device: 'a', values: { t: 21.5 } },
    ],
    [
      'lists',
      [
        ['gw/1', [{ id: 1, t: 5 }]],
        ['gw/2', [{ id: 2, t: 6 }]],
      ],
      { each: '*', rest: 'numbers' },
      { device: 'gw/1', values: { t: 5 } },
    ],
  ])('reads %s', (_, said, entry, reading) => {
    const heard = samples(said);
    const found = discover(heard);
    expect(found.entries[0]?.entry).toMatchObject(entry);
    const { readings } = compileMapping(found.mapping).map(heard[0]!.topic, heard[0]!.payload, START);
    expect(readings[0]).toMatchObject(reading);
  });

  it('tells kinds apart that share their levels, and takes numbers with and without units together', () => {
    const said: Said[] = ['attic', 'cellar'].flatMap((room): Said[] => [
      [`house/${room}/temperature`, '21.5'],
      [`house/${room}/humidity`, '40.1 %'],
      [`house/${room}/air`, { co2: 400, voc: 3 }],
      [`house/${room}/status`, 'ok'],
    ]);
    const heard = samples(said);
    const found = discover(heard);
    expect(found.entries.map(({ name, confidence }) => [name, confidence > 0.7]).sort()).toEqual([
      ['house/+device/air', true],
      ['house/+device/humidity', true],
      ['house/+device/temperature', true],
    ]);
    const mapping = compileMapping(found.mapping);
    const mapped = heard.flatMap(({ topic, payload }) => mapping.map(topic, payload, START).readings);
    expect(mapped.filter(({ device }) => device === 'attic').map(({ values }) => values)).toEqual([
      { temperature: 21.5 },
      { humidity: 40.1 },
      { co2: 400, voc: 3 },
    ]);
    expect(found.unread).toEqual(['house/attic/status', 'house/cellar/status']);
  });

  it('measures the interval of a device by topic, and how far local clocks are ahead of UTC', () => {
    const local = (at: number) => new Date(at + 19_800_000).toISOString().slice(0, 19);
    const heard = [
      ...series(10, 60_000, (i, at) => ['tele/plug/SENSOR', { Time: local(at), AM2301: { Temperature: 20 + i } }]),
      ...series(10, 60_000, (i) => ['shellyht-1/status/temperature:0', { id: 0, tC: 20 + i }]),
      ...series(10, 60_000, () => ['shellyht-1/status/humidity:0', { id: 0, rh: 50 }]),
    ].sort((a, b) => a.arrival - b.arrival);
    const found = discover(heard.map((each, i) => ({ ...each, arrival: each.arrival + i })));
    expect(found.devices.map(({ intervalMs }) => Math.round(intervalMs! / 1000))).toEqual([60, 60]);
    expect(found.entries.flatMap(({ notes }) => notes)).toEqual([
      'the times say no zone; the clocks show UTC+5:30 now: add `zone` to use them, or the arrival counts',
    ]);
  });

  it('says what it cannot read, and gives a mapping that runs even then', () => {
    const found = discover(
      samples([
        ['noise', 'hello'],
        ['noise/2', Buffer.from([0xff, 0, 1])],
      ]),
    );
    expect(found.entries).toEqual([]);
    expect(found.unread).toEqual(['noise', 'noise/2']);
    expect(() => compileMapping(found.mapping)).not.toThrow();
    expect(discover([]).messages).toBe(0);
  });

  const path = dataFile('mqtt-payloads.json');
  it.skipIf(path === undefined)(
    'finds the presets of the real payloads (skipped where the test data is not at hand)',
    () => {
      const items = (JSON.parse(readFileSync(path!, 'utf8')) as { items: { topic: string; payload: unknown }[] }).items;
      const heard = samples(items.filter((item) => !/[()]/.test(item.topic)).map((item) => [item.topic, item.payload]));
      const names = discover(heard).entries.map((entry) => entry.name);
      expect(names).toEqual(
        expect.arrayContaining(['zigbee2mqtt', 'tasmota', 'openmqttgateway', 'shelly', 'chirpstack', 'ruuvi-gateway']),
      );
    },
  );
});

describe('units by name', () => {
  it.each([
    ['temperature_C', 0, 30, '°C'],
    ['temp_c', 0, 30, '°C'],
    ['tempf', 30, 80, '°F'],
    ['power_outage_count', 0, 30, undefined],
    ['battery_ok', 0, 1, undefined],
    ['wind_avg_km_h', 0, 30, 'km/h'],
    ['BME280.Temperature', 10, 30, '°C'],
    ['pressure', 990, 1020, 'hPa'],
    ['pressure', 99_000, 102_000, 'Pa'],
    ['voltage', 2900, 3100, 'mV'],
    ['count', 0, 5, undefined],
  ])('%s from %d to %d', (name, min, max, unit) => expect(unitOf(name, min, max)?.unit).toBe(unit));
});

describe('the collector', () => {
  it('keeps no more than it may', () => {
    const collector = new Collector({ maxMessages: 50, maxTopics: 10, maxPerTopic: 3 });
    let more = true;
    for (let i = 0; i < 1000 && more; i++) {
      more = collector.add({ topic: `t${i % 100}`, payload: Buffer.from('1'), arrival: i, retained: false });
    }
    expect(collector.samples.length).toBe(30);
    expect(collector.topics).toBe(10);
    expect(collector.heard).toBe(1000);
  });
});
