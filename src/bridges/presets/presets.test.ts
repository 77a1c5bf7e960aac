import { describe, expect, it } from 'vitest';
import type { PresetConfig } from '../mapping/config.ts';
import { compileMapping } from '../mapping/mapping.ts';
import { PRESETS } from './presets.ts';

const ARRIVAL = Date.UTC(2026, 0, 1);
const NOTHING = 'no-values';
type Values = Record<string, number>;
/** Topic, payload, and what becomes of it: device, values and, where it is not the arrival, the time. */
type Row = readonly [topic: string, payload: unknown, outcome: string | readonly [string, Values, number?][]];

function table(preset: PresetConfig, rows: readonly Row[]): void {
  describe(`${preset.preset}${Object.keys(preset).length > 1 ? ` ${JSON.stringify(preset)}` : ''}`, () => {
    const mapping = compileMapping({ rules: [preset] });
    it.each(rows)('%s %j', (topic, payload, outcome) => {
      const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
      const { readings, rejected } = mapping.map(topic, Buffer.from(text), ARRIVAL);
      const reasons = rejected.map((each) => each.reason);
      if (typeof outcome === 'string') expect({ readings, reasons }).toEqual({ readings: [], reasons: [outcome] });
      else {
        expect({ readings, reasons }).toEqual({
          readings: outcome.map(([device, values, time = ARRIVAL]) => ({ device, values, time })),
          reasons: [],
        });
      }
    });
  });
}

table({ preset: 'zigbee2mqtt' }, [
  ['zigbee2mqtt/bridge/state', { state: 'online' }, NOTHING],
  ['zigbee2mqtt/bridge/devices', `[${'{"a":1},'.repeat(40_000)}{}]`, NOTHING],
  ['zigbee2mqtt/bridge/health', { response_time: 5, os: { memory_used_mb: 400 } }, NOTHING],
  ['zigbee2mqtt/bridge/response/device/rename', { data: {}, status: 'ok' }, NOTHING],
  ['zigbee2mqtt/lamp/availability', { state: 'online' }, NOTHING],
  ['zigbee2mqtt/hall/lamp/availability', 'offline', NOTHING],
  ['zigbee2mqtt/lamp/set', { brightness: 255 }, NOTHING],
  ['zigbee2mqtt/lamp/set/brightness', '255', NOTHING],
  ['zigbee2mqtt/hall/lamp/get', { state: '' }, NOTHING],
  ['zigbee2mqtt/button/action', 'single', NOTHING],
  [
    'zigbee2mqtt/button',
    { action: 'brightness_step_up', action_step_size: 32, linkquality: 87 },
    [['button', { linkquality: 87 }]],
  ],
  ['zigbee2mqtt/button', '', NOTHING],
  ['zigbee2mqtt/button', '{"temperature": 2', 'not-json'],
  [
    'zigbee2mqtt/door',
    {
      battery: 97,
      contact: false,
      device_temperature: 24,
      last_seen: '2025-12-31T12:00:00+01:00',
      linkquality: 90,
      update: { state: 'idle', installed_version: 3 },
      update_available: false,
      voltage: 3005,
      child_lock: true,
    },
    [
      [
        'door',
        { battery: 97, contact: 0, device_temperature: 24, linkquality: 90, voltage: 3005 },
        Date.UTC(2025, 11, 31, 11),
      ],
    ],
  ],
  [
    'zigbee2mqtt/pir',
    { occupancy: true, illuminance: 12, last_seen: 1_767_000_000_123 },
    [['pir', { occupancy: 1, illuminance: 12 }, 1_767_000_000_123]],
  ],
  [
    'zigbee2mqtt/bulb',
    { brightness: 254, color: { x: 0.3, y: 0.4, hue: 30 }, color_mode: 'xy', state: 'ON' },
    [['bulb', { brightness: 254, 'color.x': 0.3, 'color.y': 0.4, 'color.hue': 30 }]],
  ],
  [
    'zigbee2mqtt/kitchen/floor/sensor',
    { temperature: 21, humidity: null },
    [['kitchen/floor/sensor', { temperature: 21 }]],
  ],
  ['zigbee2mqtt/sensor/temperature', '21.5', [['sensor', { temperature: 21.5 }]]],
  ['zigbee2mqtt/kitchen/sensor/temperature', '-3', [['kitchen/sensor', { temperature: -3 }]]],
  ['zigbee2mqtt/sensor/occupancy', 'true', [['sensor', { occupancy: 1 }]]],
  ['zigbee2mqtt/sensor/state', 'ON', NOTHING],
  ['zigbee2mqtt/group', { state: 'ON', brightness: 254, color_temp: null }, [['group', { brightness: 254 }]]],
  ['zigbee2mqtt/nulls', { temperature: null, humidity: null }, NOTHING],
  [
    'zigbee2mqtt/radar',
    { targets: [{ x: 1.5 }, { x: 2 }], presence: false, action: null, schedule_monday: '06:00/21.0' },
    [['radar', { 'targets.0.x': 1.5, 'targets.1.x': 2, presence: 0 }]],
  ],
  ['zigbee2mqtt/0x00158d0001', { illuminance: 5 }, [['0x00158d0001', { illuminance: 5 }]]],
  [
    'zigbee2mqtt/plug',
    { power: 12.5, energy: 3.21, current: 0.05, last_seen: null },
    [['plug', { power: 12.5, energy: 3.21, current: 0.05 }]],
  ],
]);
table({ preset: 'zigbee2mqtt', base: 'home/z2m' }, [['home/z2m/a', { t: 1 }, [['a', { t: 1 }]]]]);

table({ preset: 'tasmota' }, [
  [
    'tele/plug/SENSOR',
    { Time: '2025-06-01T12:00:00', ENERGY: { Power: 5, Total: 1.5 } },
    [['plug', { 'ENERGY.Power': 5, 'ENERGY.Total': 1.5 }]],
  ],
  [
    'tele/plug/SENSOR',
    { Time: '2025-06-01T12:00:00+02:00', ENERGY: { Power: [1, 2] } },
    [['plug', { 'ENERGY.Power.0': 1, 'ENERGY.Power.1': 2 }, Date.UTC(2025, 5, 1, 10)]],
  ],
  [
    'tele/new/SENSOR',
    { Time: '1970-01-01T00:00:07', AM2301: { Temperature: 20 }, TempUnit: 'C' },
    [['new', { 'AM2301.Temperature': 20 }]],
  ],
  [
    'tele/us/SENSOR',
    {
      Time: '2025-06-01T12:00:00',
      BME280: { Temperature: 68, DewPoint: 50, Humidity: 40, Pressure: 29.92 },
      TX23: { Speed: { Act: 10 } },
      TempUnit: 'F',
      PressureUnit: 'inHg',
      SpeedUnit: 'km/h',
    },
    [
      [
        'us',
        {
          'BME280.Temperature': 20,
          'BME280.DewPoint': 10,
          'BME280.Humidity': 40,
          'BME280.Pressure': expect.closeTo(1013.2, 1) as never,
          'TX23.Speed.Act': expect.closeTo(2.78, 2) as never,
        },
      ],
    ],
  ],
  [
    'tele/two/SENSOR',
    { 'DS18B20-1': { Id: '01131B', Temperature: 19.9 }, 'DS18B20-2': { Id: '0213', Temperature: 20.1 }, Switch1: 'ON' },
    [['two', { 'DS18B20-1.Temperature': 19.9, 'DS18B20-2.Temperature': 20.1 }]],
  ],
  [
    'tele/esp/SENSOR',
    {
      Time: '2025-06-01T12:00:00',
      ESP32: { Temperature: 50 },
      'MJ_HT_V1-d5f3e1': { mac: '582d34d5f3e1', Temperature: 22, RSSI: -70 },
      TempUnit: 'C',
    },
    [
      ['esp', { 'ESP32.Temperature': 50 }],
      ['MJ_HT_V1-d5f3e1', { Temperature: 22, RSSI: -70 }],
    ],
  ],
  [
    'tele/zb/0x1A2B/SENSOR',
    {
      ZbReceived: {
        '0x1A2B': {
          Device: '0x1A2B',
          Name: 'Bedroom',
          Temperature: 21.37,
          Humidity: 55.1,
          Endpoint: 1,
          LinkQuality: 70,
        },
      },
    },
    [['0x1A2B', { Temperature: 21.37, Humidity: 55.1, LinkQuality: 70 }]],
  ],
  ['tele/zb/RESULT', { ZbReceived: { '0x1A2B': { Pressure: 990, Endpoint: 1 } } }, [['0x1A2B', { Pressure: 990 }]]],
  [
    'tele/core2/SENSOR',
    {
      LwReceived: {
        '0x4AD6': { Node: 1, Device: '0x4AD6', RSSI: -50, SNR: 12, Events: 0, LastEvent: 0, DoorOpen: 1, Battery: 3 },
      },
    },
    [['0x4AD6', { RSSI: -50, SNR: 12, DoorOpen: 1, Battery: 3 }]],
  ],
  [
    'tele/LWG/SENSOR/A840414E4F5CAE3D',
    { LwReceived: { '0xAE3D': { Node: 1, Temperature: 21.5 } } },
    [['0xAE3D', { Temperature: 21.5 }]],
  ],
  [
    'tele/ibeacon/SENSOR',
    {
      Time: '2021-01-02T12:08:40',
      IBEACON: { UID: 'E2C5', MAJOR: '0001', MINOR: '0002', MAC: 'A4C1387FC1E1', RSSI: -56, STATE: 'ON' },
    },
    [['A4C1387FC1E1', { RSSI: -56 }]],
  ],
  [
    'tele/sleeper/SENSOR',
    { Time: '2019-09-04T13:08:48', Epoch: 1_567_595_328, ANALOG: { A0: 8 } },
    [['sleeper', { 'ANALOG.A0': 8 }, 1_567_595_328_000]],
  ],
  [
    'tele/phases/SENSOR',
    {
      Time: '2025-06-01T12:00:00+00:00',
      ENERGY: { TotalStartTime: '2024-01-01T00:00:00', Total: 381.7, Power: [100, 0, 5.5], Factor: [0.9, 0, 1] },
    },
    [
      [
        'phases',
        {
          'ENERGY.Total': 381.7,
          'ENERGY.Power.0': 100,
          'ENERGY.Power.1': 0,
          'ENERGY.Power.2': 5.5,
          'ENERGY.Factor.0': 0.9,
          'ENERGY.Factor.1': 0,
          'ENERGY.Factor.2': 1,
        },
        Date.UTC(2025, 5, 1, 12),
      ],
    ],
  ],
  ['tele/ir/SENSOR', { Time: '2025-06-01T12:00:00', IrReceived: { Protocol: 'NEC', Bits: 32, Repeat: 0 } }, NOTHING],
  ['tele/zb/RESULT', { POWER: 'ON', Dimmer: 50 }, NOTHING],
  ['tele/plug/LWT', 'Online', NOTHING],
  ['tele/plug/STATE', { UptimeSec: 5, Wifi: { RSSI: 80 } }, NOTHING],
  ['tele/plug/INFO3', { Info3: { RestartReason: 'x', BootCount: 5 } }, NOTHING],
  ['tele/plug/SENSOR', { Time: '2025-06-01T12:00:00', Switch1: 'OFF' }, NOTHING],
  ['plug/tele/SENSOR', { AM2301: { Temperature: 1 } }, [['plug', { 'AM2301.Temperature': 1 }]]],
  [
    'stat/plug/STATUS10',
    { StatusSNS: { Time: '2025-06-01T12:00:00+00:00', SHT3X: { Temperature: 50 }, TempUnit: 'F' } },
    [['plug', { 'SHT3X.Temperature': 10 }, Date.UTC(2025, 5, 1, 12)]],
  ],
  ['stat/plug/POWER', 'ON', NOTHING],
]);
table({ preset: 'tasmota', zone: 'America/New_York' }, [
  ['tele/a/SENSOR', { Time: '2025-07-01T12:00:00', S: { T: 1 } }, [['a', { 'S.T': 1 }, Date.UTC(2025, 6, 1, 16)]]],
  ['tele/a/SENSOR', { Time: '2025-01-01T12:00:00', S: { T: 1 } }, [['a', { 'S.T': 1 }, Date.UTC(2025, 0, 1, 17)]]],
]);

table({ preset: 'tasmota', perGateway: true }, [
  [
    'tele/esp/SENSOR',
    { ESP32: { Temperature: 50 }, plug: { mac: 'x', ENERGY: { Power: 9 } }, ZbReceived: { lamp: { Power: 3 } } },
    [
      ['esp', { 'ESP32.Temperature': 50 }],
      ['esp/plug', { 'ENERGY.Power': 9 }],
      ['esp/lamp', { Power: 3 }],
    ],
  ],
  ['tele/a/b/SENSOR/c', { ZbReceived: { lamp: { Power: 3 } } }, [['a/b/lamp', { Power: 3 }]]],
]);

table({ preset: 'openmqttgateway', perGateway: true }, [
  ['home/gw/BTtoMQTT/AABB', { id: 'AA:BB', tempc: 3 }, [['gw/AABB', { tempc: 3 }]]],
  ['home/gw/RTL_433toMQTT', { model: 'X', id: 5, temperature_C: 4 }, [['gw/X-5', { temperature_C: 4 }]]],
  ['home/gw/DHTtoMQTT', { temp: 21.5 }, [['gw', { 'DHTtoMQTT.temp': 21.5 }]]],
]);
table({ preset: 'openmqttgateway' }, [
  [
    'home/gw/PilighttoMQTT',
    {
      message: { id: 2592, channel: 1, temperature: 21.5, humidity: 49, battery: 1 },
      protocol: 'nexus',
      value: '2592',
      repeats: 2,
      status: 2,
    },
    [['nexus-2592', { temperature: 21.5, humidity: 49, battery: 1 }]],
  ],
  [
    'home/gw/PilighttoMQTT',
    { message: '{"id":17,"temperature":-3.2}', protocol: 'tfa', value: '17', repeats: 1, status: 2 },
    [['tfa-17', { temperature: -3.2 }]],
  ],
  [
    'home/gw/PilighttoMQTT',
    { message: { temperature: 4 }, protocol: 'auriol', status: 2 },
    [['auriol', { temperature: 4 }]],
  ],
  [
    'home/gw/PilighttoMQTT',
    { message: { systemcode: 12, unitcode: 22, state: 'on' }, protocol: 'elro_400_switch', value: '12', status: 2 },
    NOTHING,
  ],
  ['home/gw/PilighttoMQTT', { format: 'RAW', rawlen: 106, pulsesString: 'c:0102;p:521,944@' }, NOTHING],
  [
    'home/gw/RTL_433toMQTT',
    { model: 'status', protocol: 'debug', debug: 0, duration: 11_799_327, rssi: -38, pulses: 0, freeMem: 112_880 },
    NOTHING,
  ],
  ['home/gw/SRFBtoMQTT', { raw: '2B66', value: '59365', delay: '1111', val_Thigh: '390', val_Tlow: '1070' }, NOTHING],
  ['home/gw/RF2toMQTT', { unit: 0, groupBit: 0, period: 273, address: 8_233_228, switchType: 0 }, NOTHING],
  [
    'home/gw/LORAtoMQTT/AABBCCDDEEFF',
    { id: 'AA:BB:CC:DD:EE:FF', rssi: -16, snr: 9.25, pferror: -3598, packetSize: 9, tempc: '55.3' },
    [['AABBCCDDEEFF', { rssi: -16, snr: 9.25, tempc: 55.3 }]],
  ],
  ['home/gw/LORAtoMQTT', { rssi: -121, snr: -11.75, pferror: -29_116, packetSize: 3, hex: '001234' }, NOTHING],
  [
    'home/gw/CLIMAtoMQTT/ds1820/0x28616411907650bc',
    { temp: 77, unit: 'F', type: 'DS18B20', res: '12bit\n', addr: '0x28616411907650bc' },
    [['0x28616411907650bc', { temp: 25 }]],
  ],
]);
table({ preset: 'openmqttgateway' }, [
  [
    'home/gw/BTtoMQTT/AABB',
    {
      id: 'AA:BB',
      name: 'LYWSD03MMC',
      rssi: -60,
      brand: 'Xiaomi',
      model: 'TH Sensor',
      model_id: 'LYWSD03MMC_ATC',
      type: 'THB',
      tempc: 21.1,
      tempf: 69.98,
      hum: 45,
      batt: 80,
      volt: 2.9,
      mac: 'AA:BB',
      servicedata: '0011',
      mfid: '1502',
    },
    [['AABB', { rssi: -60, tempc: 21.1, tempf: 69.98, hum: 45, batt: 80, volt: 2.9 }]],
  ],
  ['home/gw/BTtoMQTT/AABB', { id: 'AA:BB', open: true, rssi: -60 }, [['AABB', { open: 1, rssi: -60 }]]],
  ['home/TheengsGateway/BTtoMQTT/AABB', { id: 'AA:BB', tempc: '-3' }, [['AABB', { tempc: -3 }]]],
  ['home/gw/BTtoMQTT', { id: 'AA:BB', tempc: 3 }, [['AA:BB', { tempc: 3 }]]],
  [
    'home/gw/RTL_433toMQTT/Acurite-Tower/A/1234',
    {
      model: 'Acurite-Tower',
      id: 1234,
      channel: 'A',
      battery_ok: 1,
      temperature_C: 20.5,
      humidity: 45,
      mic: 'CHECKSUM',
      protocol: 'Acurite',
      rssi: -80,
      duration: 1_000_000,
    },
    [['Acurite-Tower-1234', { battery_ok: 1, temperature_C: 20.5, humidity: 45, rssi: -80 }]],
  ],
  [
    'home/gw/RTL_433toMQTT',
    { model: 'Rubicson', channel: 2, temperature_C: 4 },
    [['Rubicson-2', { temperature_C: 4 }]],
  ],
  ['home/gw/RTL_433toMQTT', { model: 'X', temperature_C: 4 }, [['X', { temperature_C: 4 }]]],
  ['home/gw/433toMQTT', { value: 1_315_156, protocol: 1, length: 24, delay: 317 }, NOTHING],
  ['home/gw/SYStoMQTT', { uptime: 120, freemem: 100_000, rssi: -60, tempc: 50 }, NOTHING],
  ['home/gw/LWT', 'online', NOTHING],
  ['home/gw/version', '1.7.0', NOTHING],
  ['home/gw/DHTtoMQTT', { hum: 40.1, temp: '21.5' }, [['gw', { 'DHTtoMQTT.hum': 40.1, 'DHTtoMQTT.temp': 21.5 }]]],
  ['home/gw/CLIMAtoMQTT/ds1820/28FF', { temp: 21.5 }, [['28FF', { temp: 21.5 }]]],
  ['home/gw/CLIMAtoMQTT/bme', { tempc: 21.5, pa: 100_000 }, [['gw', { 'bme.tempc': 21.5, 'bme.pa': 100_000 }]]],
]);

table({ preset: 'shelly' }, [
  [
    'shellyplus1pm-1/status/switch:0',
    {
      id: 0,
      source: 'timer',
      output: true,
      apower: 12.3,
      voltage: 230.1,
      current: 0.05,
      aenergy: { total: 11.6, by_minute: [1, 2, 3], minute_ts: 1_700_000_000 },
      temperature: { tC: 50.1, tF: 122.2 },
      timer_started_at: 1_700_000_000.5,
    },
    [
      [
        'shellyplus1pm-1',
        {
          'switch:0.output': 1,
          'switch:0.apower': 12.3,
          'switch:0.voltage': 230.1,
          'switch:0.current': 0.05,
          'switch:0.aenergy.total': 11.6,
          'switch:0.temperature.tC': 50.1,
          'switch:0.temperature.tF': 122.2,
        },
      ],
    ],
  ],
  [
    'pro3em/status/em:0',
    { id: 0, a_current: 4.03, a_act_power: 951.2, n_current: null, total_act_power: 2484, user_calibrated_phase: [] },
    [['pro3em', { 'em:0.a_current': 4.03, 'em:0.a_act_power': 951.2, 'em:0.total_act_power': 2484 }]],
  ],
  [
    'pro3em/events/rpc',
    {
      src: 'shellypro3em-x',
      dst: 'pro3em/events',
      method: 'NotifyStatus',
      params: {
        ts: 1_700_000_000.25,
        'em:0': { id: 0, a_current: 4 },
        'emdata:0': { id: 0, total_act: 5 },
        sys: { uptime: 5 },
      },
    },
    [['pro3em', { 'em:0.a_current': 4, 'emdata:0.total_act': 5 }, 1_700_000_000_250]],
  ],
  [
    'ht/events/rpc',
    { method: 'NotifyFullStatus', params: { ts: null, 'temperature:0': { id: 0, tC: 20 }, wifi: { rssi: -60 } } },
    [['ht', { 'temperature:0.tC': 20 }]],
  ],
  [
    'b/events/rpc',
    {
      method: 'NotifyEvent',
      params: { ts: 1_700_000_000, events: [{ component: 'input:0', id: 0, event: 'single_push' }] },
    },
    NOTHING,
  ],
  [
    'gw/events/rpc',
    {
      src: 'shellyplus1-x',
      dst: 'gw/events',
      method: 'NotifyEvent',
      params: {
        ts: 1_700_000_000.5,
        events: [
          {
            component: 'script:1',
            id: 1,
            event: 'shelly-blu',
            ts: 1_700_000_000.5,
            data: {
              encryption: false,
              BTHome_version: 2,
              pid: 118,
              battery: 97,
              illuminance: 12,
              window: 1,
              rssi: -61,
              address: '3c:2e:f5:00:00:01',
            },
          },
        ],
      },
    },
    [['3c:2e:f5:00:00:01', { battery: 97, illuminance: 12, window: 1, rssi: -61 }, 1_700_000_000_500]],
  ],
  ['a/status/input:0', { id: 0, state: null }, NOTHING],
  ['a/status/input:100', { id: 100, percent: 11.5, xpercent: null }, [['a', { 'input:100.percent': 11.5 }]]],
  ['a/status/wifi', { sta_ip: '10.0.0.5', rssi: -60 }, NOTHING],
  [
    'a/status/cover:0',
    { id: 0, state: 'open', apower: 0, current_pos: 100, pos_control: true },
    [['a', { 'cover:0.apower': 0, 'cover:0.current_pos': 100 }]],
  ],
  ['a/online', 'true', NOTHING],
  [
    'em/status/em1:1',
    {
      id: 1,
      current: 4.1,
      voltage: 230.1,
      act_power: 900.2,
      aprt_power: 950,
      pf: 0.95,
      freq: 50,
      calibration: 'factory',
    },
    [
      [
        'em',
        {
          'em1:1.current': 4.1,
          'em1:1.voltage': 230.1,
          'em1:1.act_power': 900.2,
          'em1:1.aprt_power': 950,
          'em1:1.pf': 0.95,
          'em1:1.freq': 50,
        },
      ],
    ],
  ],
  [
    'em/status/em1data:1',
    { id: 1, total_act_energy: 2776.18, total_act_ret_energy: 0 },
    [['em', { 'em1data:1.total_act_energy': 2776.18, 'em1data:1.total_act_ret_energy': 0 }]],
  ],
  [
    'pm/status/pm1:0',
    {
      id: 0,
      voltage: 235,
      current: 0.1,
      apower: 8.5,
      freq: 50,
      aenergy: { total: 5, by_minute: [1, 2, 3], minute_ts: 5 },
    },
    [
      [
        'pm',
        { 'pm1:0.voltage': 235, 'pm1:0.current': 0.1, 'pm1:0.apower': 8.5, 'pm1:0.freq': 50, 'pm1:0.aenergy.total': 5 },
      ],
    ],
  ],
  [
    'blugw/status/bthomedevice:200',
    { id: 200, rssi: -61, battery: 97, packet_id: 55, last_updated_ts: 1_700_000_000, paired: true, rpc: false },
    [['blugw', { 'bthomedevice:200.rssi': -61, 'bthomedevice:200.battery': 97 }]],
  ],
  [
    'blugw/status/bthomesensor:201',
    { id: 201, value: 21.2, last_updated_ts: 1_700_000_000 },
    [['blugw', { 'bthomesensor:201.value': 21.2 }]],
  ],
  // A name that could be another Shelly's.
  [
    'gw/events/rpc',
    {
      method: 'NotifyEvent',
      params: { events: [{ event: 'shelly-blu', data: { address: 'pro3em', 'em:0': { a_current: 1 } } }] },
    },
    NOTHING,
  ],
]);
table({ preset: 'shelly', perGateway: true }, [
  [
    'gw/events/rpc',
    {
      method: 'NotifyEvent',
      params: { events: [{ event: 'shelly-blu', data: { address: '3c:2e:f5:00:00:01', temperature: 20 } }] },
    },
    [['gw/3c:2e:f5:00:00:01', { temperature: 20 }]],
  ],
]);
table({ preset: 'shelly', base: 'home/shelly' }, [
  ['home/shelly/a/status/humidity:0', { id: 0, rh: 5 }, [['a', { 'humidity:0.rh': 5 }]]],
]);

table({ preset: 'shelly-gen1' }, [
  ['shellies/shellyplug-s-1/relay/0/power', '12.34', [['shellyplug-s-1', { 'relay/0/power': 12.34 }]]],
  ['shellies/shellyplug-s-1/relay/0', 'on', [['shellyplug-s-1', { 'relay/0': 1 }]]],
  ['shellies/shellyht-1/sensor/temperature', '21.5', [['shellyht-1', { 'sensor/temperature': 21.5 }]]],
  ['shellies/shellyplug-s-1/online', 'true', NOTHING],
  ['shellies/announce', { id: 'x' }, NOTHING],
  ['shellies/shellyplug-s-1/relay/0/command', 'on', NOTHING],
]);

const up = {
  time: '2025-01-02T03:04:05.678901+00:00',
  deviceInfo: { devEui: '0102' },
  rxInfo: [{ rssi: -50, snr: 7 }],
};
table({ preset: 'chirpstack' }, [
  [
    'application/a/device/0102/event/up',
    { ...up, object: { temperature: 21.5, status: 'ok', air: { co2: 400 } } },
    [['0102', { temperature: 21.5, 'air.co2': 400, rssi: -50, snr: 7 }, Date.UTC(2025, 0, 2, 3, 4, 5, 678)]],
  ],
  ['application/a/device/0102/event/up', { deviceInfo: {}, fCnt: 1, object: {} }, NOTHING],
  [
    'application/a/device/0102/event/status',
    {
      margin: 7,
      externalPowerSource: false,
      batteryLevelUnavailable: false,
      batteryLevel: 75.5,
      time: '2025-01-02T03:04:05Z',
    },
    [['0102', { battery: 75.5, margin: 7 }, Date.UTC(2025, 0, 2, 3, 4, 5)]],
  ],
  [
    'application/a/device/0102/event/status',
    { margin: 7, externalPowerSource: true, batteryLevelUnavailable: false, batteryLevel: 0 },
    [['0102', { margin: 7 }]],
  ],
  [
    'application/a/device/0102/event/status',
    { margin: 7, externalPowerSource: false, batteryLevelUnavailable: true, batteryLevel: 0 },
    [['0102', { margin: 7 }]],
  ],
  [
    'application/a/device/0102/event/up',
    { ...up, object: { channels: [{ t: 1 }, { t: 2.5 }], list: [3, 4] } },
    [
      [
        '0102',
        { 'channels.0.t': 1, 'channels.1.t': 2.5, 'list.0': 3, 'list.1': 4, rssi: -50, snr: 7 },
        Date.UTC(2025, 0, 2, 3, 4, 5, 678),
      ],
    ],
  ],
  // Protobuf instead of JSON.
  ['application/a/device/0102/event/up', '\n$7f000001-0000-0000-0000-000000000000\u0012\u000b', 'not-json'],
  ['application/a/device/0102/event/join', { ...up, devAddr: '01' }, NOTHING],
  ['application/a/device/0102/event/txack', { fCntDown: 5 }, NOTHING],
  ['application/a/device/0102/command/down', { fPort: 10, data: '' }, NOTHING],
  [
    'application/a/device/0102/event/location',
    { location: { latitude: 1, longitude: 2, altitude: 3 } },
    [['0102', { 'location.latitude': 1, 'location.longitude': 2, 'location.altitude': 3 }]],
  ],
]);
table({ preset: 'chirpstack', codec: 'milesight' }, [
  [
    'application/a/device/0102/event/up',
    { ...up, data: 'AXVkA2cYAQRobQ==' },
    [
      [
        '0102',
        { rssi: -50, snr: 7, battery: 100, temperature: 28, humidity: 54.5 },
        Date.UTC(2025, 0, 2, 3, 4, 5, 678),
      ],
    ],
  ],
]);

const ids = { device_id: 'dev-1', application_ids: { application_id: 'app' }, dev_eui: '01' };
const ttn = (uplink: object) => ({
  end_device_ids: ids,
  received_at: '2025-01-02T03:04:05.678901234Z',
  uplink_message: { f_port: 1, f_cnt: 5, rx_metadata: [{ rssi: -80, snr: 5 }], ...uplink },
});
const at = Date.UTC(2025, 0, 2, 3, 4, 5, 678);
table({ preset: 'the-things-stack' }, [
  [
    'v3/app@ttn/devices/dev-1/up',
    ttn({ decoded_payload: { t: 21.5, ok: true } }),
    [['dev-1', { t: 21.5, rssi: -80, snr: 5 }, at]],
  ],
  [
    'v3/app@ttn/devices/dev-1/up',
    ttn({ normalized_payload: [{ air: { temperature: 20 } }] }),
    [['dev-1', { rssi: -80, snr: 5, 'air.temperature': 20 }, at]],
  ],
  // A simulated uplink is one that somebody wants to see arrive.
  [
    'v3/app@ttn/devices/dev-1/up',
    { ...ttn({ decoded_payload: { t: 21.5 } }), simulated: true },
    [['dev-1', { t: 21.5, rssi: -80, snr: 5 }, at]],
  ],
  // Whoever may publish for one device writes to no other.
  [
    'v3/app@ttn/devices/dev-1/up',
    { ...ttn({ decoded_payload: { t: 1 } }), end_device_ids: { device_id: 'dev-2' } },
    [['dev-1', { t: 1, rssi: -80, snr: 5 }, at]],
  ],
  [
    'v3/app@ttn/devices/dev-1/location/solved',
    {
      end_device_ids: ids,
      received_at: '2025-01-02T03:04:05.678901234Z',
      location_solved: { service: 'gls', location: { latitude: 52.5, longitude: 13.4, altitude: 30, accuracy: 20 } },
    },
    [['dev-1', { 'location.latitude': 52.5, 'location.longitude': 13.4, 'location.altitude': 30 }, at]],
  ],
  ['v3/app@ttn/devices/dev-1/join', { end_device_ids: ids, join_accept: {} }, NOTHING],
  ['v3/app@ttn/devices/dev-1/down/sent', { f_cnt: 5 }, NOTHING],
]);
table({ preset: 'the-things-stack', codec: 'cayenne-lpp' }, [
  [
    'v3/app@ttn/devices/dev-1/up',
    ttn({ frm_payload: 'A2cBEA==' }),
    [['dev-1', { rssi: -80, snr: 5, temperature_3: 27.2 }, at]],
  ],
]);

table({ preset: 'loriot' }, [
  [
    'loriot/app',
    {
      cmd: 'rx',
      EUI: 'E1',
      ts: 1_700_000_000_123,
      fcnt: 1,
      rssi: -51,
      snr: 9.2,
      bat: 255,
      data: '01',
      decoded: { success: true, data: { temperature: 21 } },
    },
    [['E1', { bat: 255, rssi: -51, snr: 9.2, temperature: 21 }, 1_700_000_000_123]],
  ],
  ['loriot/app', { cmd: 'txd', EUI: 'E1', seqdn: 5, seqq: 0 }, NOTHING],
  ['loriot/app', { cmd: 'cq', total: 3, page: 1 }, NOTHING],
]);
table({ preset: 'loriot', codec: 'milesight', base: 'lora' }, [
  [
    'lora/a/b',
    { cmd: 'gw', EUI: 'E1', ts: 1_700_000_000_123, gws: [{ rssi: -38, snr: 8.5 }], data: '0175640367180104686D' },
    [['E1', { rssi: -38, snr: 8.5, battery: 100, temperature: 28, humidity: 54.5 }, 1_700_000_000_123]],
  ],
]);

table({ preset: 'ruuvi-gateway' }, [
  ['ruuvi/GW/gw_status', { state: 'online' }, NOTHING],
  [
    'ruuvi/GW/CB:B8:33:4C:88:4F',
    {
      gw_mac: 'GW',
      rssi: -60,
      aoa: [],
      gwts: '1700000001',
      ts: '1700000000',
      data: '0201061BFF99040512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F',
      coords: '',
    },
    [
      [
        'CB:B8:33:4C:88:4F',
        {
          temperature: 24.3,
          humidity: 53.49,
          pressure: 100_044,
          accelX: 0.004,
          accelY: -0.004,
          accelZ: 1.036,
          voltage: 2.977,
          txPower: 4,
          movementCounter: 66,
          measurementSequenceNumber: 205,
          rssi: -60,
        },
        1_700_000_000_000,
      ],
    ],
  ],
  [
    'ruuvi/GW/CB:B8:33:4C:88:4F',
    { gw_mac: 'GW', rssi: -60, ts: 1_700_000_000, data: '02010615FF9904C512FC5394C37CAC364200CDCBB8334C884F' },
    [
      [
        'CB:B8:33:4C:88:4F',
        {
          temperature: 24.3,
          humidity: 53.49,
          pressure: 100_044,
          voltage: 2.977,
          txPower: 4,
          movementCounter: 66,
          measurementSequenceNumber: 205,
          rssi: -60,
        },
        1_700_000_000_000,
      ],
    ],
  ],
  ['ruuvi/GW/AA', { gw_mac: 'GW', rssi: -60, cnt: 5, data: '0201061BFF99040512FC', coords: '' }, 'malformed'],
  [
    'ruuvi/GW/AA',
    { gw_mac: 'GW', rssi: -60, cnt: 7, dataFormat: 5, temperature: 1, id: 'AA' },
    [['AA', { rssi: -60, temperature: 1 }]],
  ],
]);

table({ preset: 'home-assistant' }, [
  ['homeassistant/sensor/living_temp/state', '21.5', [['sensor.living_temp', { state: 21.5 }]]],
  ['homeassistant/sensor/living_temp/state', 'unavailable', NOTHING],
  ['homeassistant/sensor/living_temp/state', 'unknown', NOTHING],
  ['homeassistant/sensor/next_alarm/state', '2024-05-01T05:20:00+00:00', NOTHING],
  ['homeassistant/sensor/uptime/state', '7 days', NOTHING],
  ['homeassistant/sensor/living_temp/unit_of_measurement', '"°C"', NOTHING],
  ['homeassistant/sensor/living_temp/last_changed', '2024-05-01T05:20:00+00:00', NOTHING],
  ['homeassistant/climate/hall/current_temperature', '20.5', [['climate.hall', { current_temperature: 20.5 }]]],
  ['homeassistant/climate/hall/hvac_modes', '["heat", "off"]', NOTHING],
  ['homeassistant/binary_sensor/door/state', 'on', [['binary_sensor.door', { state: 1 }]]],
  ['homeassistant/light/hall/state', 'off', [['light.hall', { state: 0 }]]],
  ['homeassistant/sun/sun/elevation', '-12.3', [['sun.sun', { elevation: -12.3 }]]],
  ['homeassistant/sensor/abc/config', { name: 'x', state_topic: 'y' }, NOTHING],
  ['homeassistant/status', 'online', NOTHING],
  ['homeassistant/sensor.living/temp/state', '21.5', NOTHING],
  ['homeassistant/climate/hall/hvac_action', '"heating"', NOTHING],
  ['homeassistant/light/hall/brightness', '128', [['light.hall', { brightness: 128 }]]],
  ['homeassistant/light/hall/rgb_color', '[255, 0, 0]', NOTHING],
  ['homeassistant/light/hall/brightness', 'null', NOTHING],
]);

table({ preset: 'json-value', base: 'plant' }, [
  [
    'plant/hall/a/temperature',
    { value: '21.5', time: 1_700_000_000 },
    [['hall/a', { temperature: 21.5 }, 1_700_000_000_000]],
  ],
  ['plant/a/temperature', { value: 21.5, unit: 'celsius' }, [['a', { temperature: 21.5 }]]],
  ['plant/a/temperature', '21.5', [['a', { temperature: 21.5 }]]],
  ['plant/a/temperature', 'broken', NOTHING],
]);

describe('presets', () => {
  it('have names of their own and compile with every option', () => {
    const names = PRESETS.map((preset) => preset.name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name } of PRESETS) {
      const options = { base: 'x/y', zone: 'Asia/Tokyo', codec: 'cbor', qos: 2 } as const;
      expect(compileMapping({ rules: [{ preset: name, ...options }] }).subscriptions[0]?.qos).toBe(2);
    }
    expect(() => compileMapping({ rules: [{ preset: 'tasmato' }] })).toThrow(
      /no preset is called "tasmato"; there are zigbee2mqtt/,
    );
  });

  it('never turn a payload of another kind into an exception', () => {
    const payloads = [
      '',
      '5',
      'true',
      'null',
      '[]',
      '{}',
      '"x"',
      '[[1]]',
      '{"params":5}',
      '{"data":{"a":1}}',
      '\u0000',
    ];
    for (const preset of PRESETS) {
      const mapping = compileMapping({ rules: [{ preset: preset.name }] });
      for (const { topic } of preset.rules({})) {
        for (const payload of payloads) mapping.map(topic.replaceAll(/[+#]\w*/g, 'x'), Buffer.from(payload), ARRIVAL);
      }
    }
  });
});

table({ preset: 'thingsboard-gateway' }, [
  [
    'v1/gateway/telemetry',
    {
      'Device A': [
        { ts: 1_767_000_000_000, values: { temperature: 42, humidity: '80', mode: 'auto' } },
        { ts: 1_767_000_001_000, values: { temperature: 43 } },
      ],
      'Device B': [{ ts: 1_767_000_000_000, values: { temperature: 7 } }],
      'Device C': [{ temperature: 5 }],
      'Device D': [],
    },
    [
      ['Device A', { temperature: 42, humidity: 80 }, 1_767_000_000_000],
      ['Device A', { temperature: 43 }, 1_767_000_001_000],
      ['Device B', { temperature: 7 }, 1_767_000_000_000],
      ['Device C', { temperature: 5 }],
    ],
  ],
  ['v1/gateway/telemetry', {}, NOTHING],
  ['v1/gateway/telemetry', '{"Device A": [', 'not-json'],
  ['v1/gateway/attributes', { 'Device A': { firmware: 2 } }, NOTHING],
  ['v1/gateway/connect', { device: 'Device A', type: 'pump' }, NOTHING],
  ['v1/gateway/rpc', { device: 'Device A', id: 1, data: { success: true } }, NOTHING],
]);
