import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { dataFile } from '../../../test/data-folder.ts';
import type { MappingConfig } from '../mapping/config.ts';
import { compileMapping } from '../mapping/mapping.ts';

const path = dataFile('mqtt-payloads.json');
const ARRIVAL = Date.UTC(2026, 10, 23);

interface Item {
  readonly family: string;
  readonly topic: string;
  readonly payload: unknown;
}
type Outcome = readonly { readonly device: string; readonly time?: string; readonly values: object }[] | string;

const MAPPING: MappingConfig = {
  rules: [
    { preset: 'json-value', base: 'homeassistant/thermorasp/sensor' },
    { preset: 'zigbee2mqtt' },
    { preset: 'tasmota', zone: 'Europe/Berlin' },
    { preset: 'openmqttgateway' },
    { preset: 'chirpstack' },
    { preset: 'the-things-stack' },
    { preset: 'loriot' },
    { preset: 'wanesy' },
    { preset: 'ruuvi-gateway' },
    { preset: 'home-assistant' },
    { preset: 'sparkplug' },
    { preset: 'shelly' },
  ],
};

/** Every item of the file in its order: what becomes of it, and a topic where the item has a placeholder only. */
const EXPECTED: readonly (readonly [family: string, outcome: Outcome, topic?: string, payload?: string])[] = [
  ['zigbee2mqtt', [{ device: 'FRIENDLY_NAME', values: { temperature: 27.34, humidity: 44.72 } }]],
  ['zigbee2mqtt', 'no-values'],
  ['zigbee2mqtt', [{ device: 'FRIENDLY_NAME', values: { brightness: 215, color_temp: 325 } }]],
  ['zigbee2mqtt', 'no-values'],
  [
    'zigbee2mqtt',
    [
      {
        device: 'Living Room temperature, humidity and pressure sensor',
        values: {
          battery: 100,
          humidity: 44.43,
          linkquality: 152,
          power_outage_count: 1616,
          pressure: 957.4,
          temperature: 20.74,
          voltage: 3025,
        },
      },
    ],
  ],
  ['tasmota', [{ device: 'tasmota', time: '2017-02-16T09:13:52.000Z', values: { 'DS18B20.Temperature': 20.6 } }]],
  [
    'tasmota',
    [
      {
        device: 'ATC04b555',
        time: '2022-10-28T11:44:23.000Z',
        values: { Temperature: 25.1, Humidity: 56.3, DewPoint: 15.8, Btn: 1, Battery: 54, RSSI: -43 },
      },
    ],
  ],
  [
    'tasmota',
    [
      {
        device: 'plugs/tasmota_t2',
        time: '2024-10-03T10:49:13.000Z',
        values: {
          'ENERGY.Total': 381.701,
          'ENERGY.Yesterday': 0.14,
          'ENERGY.Today': 0.327,
          'ENERGY.Period': 25,
          'ENERGY.Power': 0,
          'ENERGY.ApparentPower': 0,
          'ENERGY.ReactivePower': 0,
          'ENERGY.Factor': 0,
          'ENERGY.Voltage': 239,
          'ENERGY.Current': 0,
        },
      },
    ],
  ],
  [
    'tasmota',
    [
      {
        device: 'wemos1',
        time: '2025-05-09T09:41:50.000Z',
        values: {
          'BME280.Temperature': 21.4,
          'BME280.Humidity': 33.7,
          'BME280.Pressure': 1021.9,
          'BH1750.Illuminance': 0,
          'MHZ19B.CarbonDioxide': 424,
          'MHZ19B.Temperature': 19,
        },
      },
    ],
  ],
  ['tasmota', 'no-values'],
  [
    'tasmota',
    [
      {
        device: '0x662E',
        values: { ZoneStatusChange: 32, ZoneStatusChangeZone: 1, Contact: 0, LinkQuality: 157 },
      },
    ],
  ],
  ['openmqttgateway', [{ device: '4C33A6603C79', values: { hum: 52.6, tempc: 19.2, tempf: 66.56 } }]],
  ['openmqttgateway', [{ device: '45E174126E00', values: { rssi: -89, distance: 21.51847 } }]],
  ['openmqttgateway', [{ device: '58782076BC24', values: { rssi: -79 } }]],
  ['shelly-gen3', [{ device: 'shellyht-livingroom', values: { 'temperature:0.tC': 20.1, 'temperature:0.tF': 68.3 } }]],
  ['shelly-gen3', [{ device: 'shellyht-livingroom', values: { 'humidity:0.rh': 57 } }]],
  [
    'shelly-gen3',
    [
      {
        device: 'shellyht-livingroom',
        values: { 'devicepower:0.battery.V': 5.46, 'devicepower:0.battery.percent': 73 },
      },
    ],
  ],
  ['shelly-gen3', 'no-values'],
  [
    'shelly-gen3',
    [{ device: 'shelly1minig3-54320464f17c', time: '2025-04-26T23:06:05.600Z', values: { 'switch:0.output': 0 } }],
  ],
  [
    'thermorasp',
    [{ device: 'attic', time: '2026-11-22T10:00:00.000Z', values: { temperature: 19.4 } }],
    'homeassistant/thermorasp/sensor/attic/temperature',
    // The file has the shell script's template: this is what the script sends.
    '{"unit": "celsius", "timestamp": "2026-11-22T10:00:00.000000Z", "value": 19.4}',
  ],
  [
    'chirpstack-v4',
    [{ device: '1000000000000001', time: '2023-05-22T07:47:05.404Z', values: { rssi: -35, snr: 11.5 } }],
    'application/ca739e26-7b67-4f14-b69e-d568c22a5a75/device/1000000000000001/event/up',
  ],
  [
    'loriot',
    [{ device: '0102030405060708', time: '2023-08-01T14:47:40.493Z', values: { bat: 143, rssi: -38, snr: 8.5 } }],
    'loriot/uplink',
  ],
  [
    'the-things-stack',
    [
      {
        device: 'rs261-erik-internal',
        time: '2025-11-07T08:52:14.742Z',
        values: { Temperature: 21.83, rssi: -69, snr: 8.25 },
      },
    ],
    'v3/thingsboard-ttn-demo@ttn/devices/rs261-erik-internal/up',
  ],
  [
    'wanesy',
    [
      {
        device: '0000000000006D31',
        time: '2020-01-30T14:30:01.150Z',
        values: { rssi: -40, snr: 12.2, 'T.0': 23.3, 'T.1': 22.7, 'T.2': 22.9, cso: 0, d: 0, bat: 54, tx: 3 },
      },
    ],
    'wanesy/dataUp',
  ],
  ['ruuvi-gateway', 'no-values'],
  [
    'ruuvi-gateway',
    [
      {
        device: 'E6:DC:F8:EC:78:3B',
        time: '2026-07-11T19:49:54.000Z',
        values: {
          rssi: -50,
          temperature: 23.565,
          humidity: 54.9,
          pressure: 100_319,
          'PM1.0': 0.8,
          'PM2.5': 1.5,
          CO2: 499,
          VOC: 130,
          NOx: 1,
        },
      },
    ],
    'ruuvi/CC:F1:A2:8E:F8:8A/E6:DC:F8:EC:78:3B',
  ],
  [
    'sparkplug-json',
    [{ device: 'plant/node/press', time: '2016-11-14T11:37:32.194Z', values: { 'DATA/Speed': 12 } }],
    'spBv1.0/plant/DDATA/node/press',
  ],
];

describe.skipIf(path === undefined)(
  'every item of mqtt-payloads.json (skipped where the test data is not at hand)',
  () => {
    const items = path === undefined ? [] : (JSON.parse(readFileSync(path, 'utf8')) as { items: Item[] }).items;
    const mapping = compileMapping(MAPPING);

    it('has an expectation here', () => {
      expect(EXPECTED.map(([family]) => family)).toEqual(items.map((item) => item.family));
    });

    it.each(EXPECTED.map((row, i) => [i, ...row] as const))('item %i: %s', (i, _, outcome, topic, instead) => {
      const item = items[i]!;
      const text = instead ?? (typeof item.payload === 'string' ? item.payload : JSON.stringify(item.payload));
      const { readings, rejected } = mapping.map(topic ?? item.topic, Buffer.from(text), ARRIVAL);
      if (typeof outcome === 'string') {
        expect(rejected.map((each) => each.reason)).toEqual([outcome]);
        expect(readings).toEqual([]);
        return;
      }
      expect(rejected).toEqual([]);
      expect(
        readings.map(({ device, time, values }) => ({ device, time: new Date(time).toISOString(), values })),
      ).toEqual(outcome.map((each) => ({ time: new Date(ARRIVAL).toISOString(), ...each })));
    });
  },
);
