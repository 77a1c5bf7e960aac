import { expect, it } from 'vitest';
import { compileMapping } from '../mapping/mapping.ts';
import type { Sample } from './collector.ts';
import { discover } from './discover.ts';

const START = Date.UTC(2026, 0, 1);
type Said = readonly [topic: string, payload: unknown];

/** Each message four times, a second apart. */
function heard(said: readonly Said[]): Sample[] {
  return Array.from({ length: 4 }, () => said)
    .flat()
    .map(([topic, payload], i) => ({
      topic,
      payload: Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)),
      arrival: START + i * 1000,
      retained: false,
    }));
}

/** What the mapping that comes out makes of the messages: device to values. */
function understood(said: readonly Said[]) {
  const samples = heard(said);
  const found = discover(samples);
  const mapping = compileMapping(found.mapping);
  const devices: Record<string, Record<string, number>> = {};
  const reasons = new Set<string>();
  for (const { topic, payload } of samples.slice(0, said.length)) {
    const { readings, rejected } = mapping.map(topic, payload, START);
    for (const { device, values } of readings) devices[device] = { ...devices[device], ...values };
    for (const { reason } of rejected) reasons.add(reason);
  }
  return { found, devices, reasons: [...reasons] };
}

it.each<[string, readonly Said[], object]>([
  [
    'quantities that some devices lack',
    [
      ['plant/line1/press3/temperature', '61.5'],
      ['plant/line1/press3/pressure', '2.5'],
      ['plant/line1/press4/temperature', '60'],
      ['plant/line2/oven1/power', '12,5'],
    ],
    {
      'line1/press3': { temperature: 61.5, pressure: 2.5 },
      'line1/press4': { temperature: 60 },
      'line2/oven1': { power: 12.5 },
    },
  ],
  [
    'a quantity in a topic of another kind beside bare numbers',
    [
      ['plant/a/press/temperature', '61.5'],
      ['plant/b/oven/temperature', '60'],
      ['plant/a/press/detail', { x: 1, y: 2 }],
    ],
    { 'a/press': { temperature: 61.5, x: 1, y: 2 }, 'b/oven': { temperature: 60 } },
  ],
  [
    'one value with its unit and time a topic',
    [
      ['solar/inverter/0/ac_power', { value: 1200, unit: 'W', ts: START }],
      ['solar/inverter/0/dc_power', { value: 1250, unit: 'W', ts: START }],
    ],
    { 'inverter/0': { ac_power: 1200, dc_power: 1250 } },
  ],
  [
    'a list of names and values',
    [
      [
        'modbus/plc1/data',
        {
          ts: START,
          battery: 3.3,
          values: [
            { name: 'level', value: 1.5, unit: 'm' },
            { name: 'speed', value: 1450 },
          ],
        },
      ],
    ],
    { plc1: { level: 1.5, speed: 1450, battery: 3.3 } },
  ],
  [
    'SenML',
    [
      [
        'senml/dev1',
        [
          { bn: 'urn:', bt: START / 1000, n: 'temp', v: 20.5 },
          { n: 'hum', v: 50 },
        ],
      ],
    ],
    { dev1: { temp: 20.5, hum: 50 } },
  ],
  [
    'messages whose topic ends with a word that is no device',
    [
      ['awtrix_1/stats', { bat: 80, lux: 10 }],
      ['frigate/stats', { fps: 5 }],
      ['352093086403655/data', { sp: 30 }],
      ['352093086403656/data', { sp: 31 }],
    ],
    {
      awtrix_1: { bat: 80, lux: 10 },
      frigate: { fps: 5 },
      '352093086403655': { sp: 30 },
      '352093086403656': { sp: 31 },
    },
  ],
  [
    'devices that only the payload tells apart',
    [
      ['rtl_433/pi/events', { model: 'Acurite', id: 17, temperature_C: 5 }],
      ['rtl_433/pi/events', { model: 'Acurite', id: 18, temperature_C: 7 }],
    ],
    { 'pi/17': { temperature_C: 5 }, 'pi/18': { temperature_C: 7 } },
  ],
  [
    'lists of devices',
    [
      [
        'gateway/all',
        [
          { mac: 'aa', t: 5 },
          { mac: 'bb', t: 6 },
        ],
      ],
    ],
    { 'all/aa': { t: 5 }, 'all/bb': { t: 6 } },
  ],
  [
    'topics of several lengths',
    [
      ['zwave/node_5/49/0/temperature', { time: START, value: 21 }],
      ['zwave/node_6/50/0/meter/kWh', { time: START, value: 12.5 }],
      ['heat/main/outside', '5'],
      ['heat/s0/watt/1', '120'],
    ],
    {
      'node_5/49/0': { temperature: 21 },
      'node_6/50/0': { kWh: 12.5 },
      main: { outside: 5 },
      's0/1': { watt: 120 },
    },
  ],
  [
    'what stands beside a nested time',
    [
      [
        'deconz/sensors/3',
        { config: { battery: 90 }, state: { temperature: 2150, lastupdated: '2026-01-01T00:00:00Z' } },
      ],
    ],
    { 'sensors/3': { 'config.battery': 90, 'state.temperature': 2150 } },
  ],
  [
    'key=value with spaces',
    [['weather/ws90', 'temperature=21.5 humidity=60']],
    { ws90: { temperature: 21.5, humidity: 60 } },
  ],
  ['a topic that ends with a slash', [['devices/dev1/messages/events/', { t: 5 }]], { dev1: { t: 5 } }],
  [
    'a state behind the quantity',
    [
      ['house/attic/temp/state', '21.5'],
      ['house/cellar/temp/state', '11'],
      ['house/cellar/hum/state', '60'],
    ],
    { attic: { temp: 21.5 }, cellar: { temp: 11, hum: 60 } },
  ],
  [
    'ESPHome',
    [
      ['kitchen/sensor/temp/state', '21.5'],
      ['kitchen/binary_sensor/motion/state', 'ON'],
      ['kitchen/text_sensor/version/state', '2024.1'],
      ['hall/sensor/temp/state', 'nan'],
      ['hall/switch/relay/state', 'OFF'],
    ],
    { kitchen: { temp: 21.5, motion: 1 }, hall: { relay: 0 } },
  ],
  [
    'Victron',
    [
      ['N/c0619ab1f00d/battery/258/Soc', { value: 80.5 }],
      ['N/c0619ab1f00d/battery/258/Dc/0/Voltage', { value: 26.5 }],
      ['N/c0619ab1f00d/battery/258/TimeToGo', { value: null }],
      ['N/c0619ab1f00d/vebus/276/ProductName', { value: 'MultiPlus' }],
    ],
    { 'c0619ab1f00d/battery/258': { Soc: 80.5, 'Dc/0/Voltage': 26.5 } },
  ],
])('finds %s', (_, said, devices) => {
  const found = understood(said);
  expect(found.devices).toEqual(devices);
  // Nothing of it would be a dead letter.
  expect(found.reasons.filter((reason) => reason !== 'no-values')).toEqual([]);
});

it('reads the second of what is numbered as well, when only the first has been heard', () => {
  const { found } = understood([
    ['evcc/loadpoints/1/chargePower', '100'],
    ['evcc/site/pvPower', '5'],
  ]);
  const { readings } = compileMapping(found.mapping).map('evcc/loadpoints/2/chargePower', Buffer.from('7'), START);
  expect(readings).toMatchObject([{ device: 'loadpoints/2', values: { chargePower: 7 } }]);
});

it('leaves texts beside numbers uncounted as faults', () => {
  const { devices, reasons } = understood([
    ['evcc/loadpoints/1/chargePower', '100'],
    ['evcc/loadpoints/1/mode', 'pv'],
  ]);
  expect(devices).toEqual({ 'loadpoints/1': { chargePower: 100 } });
  expect(reasons).toEqual(['no-values']);
});

it('takes no counter of messages for a device', () => {
  const samples = Array.from({ length: 6 }, (_, i) => ({
    topic: 'shop/till',
    payload: Buffer.from(JSON.stringify({ id: i, total: 5 })),
    arrival: START + i,
    retained: false,
  }));
  expect(discover(samples).devices.map(({ device }) => device)).toEqual(['till']);
});

it('keeps what Home Assistant publishes apart from ESPHome', () => {
  const { found, devices } = understood([
    ['ha/sensor/kitchen/state', '21.5'],
    ['ha/sensor/kitchen/last_changed', '2026-01-01T00:00:00Z'],
    ['node/sensor/temp/state', '20'],
  ]);
  expect(found.entries.map(({ name }) => name)).toEqual(['home-assistant', 'esphome']);
  expect(devices).toEqual({ 'sensor.kitchen': { state: 21.5 }, node: { temp: 20 } });
});

it('finds the codec of payloads that the network server left as they were, or says that one is missing', () => {
  const uplink = (hex: string): Said => [
    'v3/app@ttn/devices/soil/up',
    {
      end_device_ids: { device_id: 'soil' },
      received_at: new Date(START).toISOString(),
      uplink_message: { frm_payload: Buffer.from(hex, 'hex').toString('base64'), rx_metadata: [{ rssi: -80, snr: 9 }] },
    },
  ];
  expect(understood([uplink('016700d0')]).devices).toEqual({ soil: { temperature_1: 20.8, rssi: -80, snr: 9 } });
  expect(understood([uplink('0175640367f600')]).devices).toEqual({
    soil: { battery: 100, temperature: 24.6, rssi: -80, snr: 9 },
  });
  const { found } = understood([uplink('deadbeef')]);
  expect(found.entries[0]!.entry).toEqual({ preset: 'the-things-stack' });
  expect(found.entries[0]!.notes).toEqual([expect.stringMatching(/^4 payloads were not decoded.*`codec`/)]);
});
