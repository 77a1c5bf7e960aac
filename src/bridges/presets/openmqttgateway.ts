import type { PartConfig } from '../mapping/config.ts';
import { noTelemetry, type Preset } from './preset.ts';

/** Numbers that identify or describe, and texts that look like numbers by chance. */
const ABOUT = [
  'adv_type',
  'brand',
  'cidc',
  'id',
  'mac*',
  'major',
  'manufacturerdata',
  'mfid',
  'minor',
  'model*',
  'name',
  'service*',
  'track',
  'txpower',
  'type*',
  'uuid',
];
const ABOUT_RADIO = [
  'channel',
  'code',
  'count',
  'cmd',
  'delay',
  'duration',
  'exid',
  'flags',
  'freq*',
  'id',
  'length',
  'mic',
  'mod*',
  'msg_type',
  'protocol',
  'raw*',
  'sequence_num',
  'subtype',
  'unit',
];
/** What Pilight's protocols call the sender; of switches there is nothing else but a state. */
const ABOUT_PILIGHT = ['channel', 'code', 'device_id', 'group', 'id', 'key', 'programcode', 'systemcode', 'unit*'];
/** Codes of remote controls, and what is no sensor. */
const CODES = ['2GtoMQTT', '433toMQTT', 'IRtoMQTT', 'RF2toMQTT', 'RFM69toMQTT', 'SRFBtoMQTT', 'WebUItoMQTT'];
/** The receiver's own status comes under the same topic as what it has received. */
const SENSOR = { '!model': ['status'] };
const STATES = ['contact', 'door', 'leak', 'lowbatt', 'motion', 'occupancy', 'open', 'presence', 'tamper', 'window'];

export const openMqttGateway: Preset = {
  name: 'openmqttgateway',
  description:
    'OpenMQTTGateway and Theengs Gateway: Bluetooth and LoRa sensors by address, rtl_433 sensors by model and id, Pilight sensors by protocol and id, sensors on the board by gateway. Numbers may come as text. Codes of remote controls and states of the gateway are no telemetry.',
  base: 'home',
  rules: ({ base = 'home', perGateway = false }) => {
    const gateway = `${base}/+gateway`;
    const behind = perGateway ? '{gateway}/' : '';
    const bluetooth: PartConfig = { rest: 'numbers', numericText: true, booleans: STATES, exclude: ABOUT };
    const lora: PartConfig = { ...bluetooth, exclude: [...ABOUT, 'hex', 'message', 'pferror', 'packetSize'] };
    const radio = (where: NonNullable<PartConfig['where']>, device: string): PartConfig => ({
      where,
      device: behind + device,
    });
    const named = { device: `${behind}{device}` };
    return [
      ...noTelemetry(
        `${gateway}/LWT`,
        `${gateway}/version`,
        `${gateway}/SYStoMQTT`,
        `${gateway}/RLStoMQTT`,
        ...CODES.map((name) => `${gateway}/${name}`),
        `${gateway}/undecoded`,
        `${gateway}/commands/#`,
        `${gateway}/log/#`,
        `${base}/home_presence/#`,
        `${base}/presence/#`,
      ),
      { topic: `${gateway}/BTtoMQTT/+device`, ...bluetooth, ...named },
      { topic: `${gateway}/BTtoMQTT`, ...bluetooth, device: `${behind}{id}` },
      {
        topic: `${gateway}/RTL_433toMQTT/#rest`,
        rest: 'numbers',
        exclude: ABOUT_RADIO,
        branches: [
          radio([SENSOR, 'model', 'id'], '{model}-{id}'),
          radio([SENSOR, 'model', '!id', 'channel'], '{model}-{channel}'),
          radio([SENSOR, 'model', '!id', '!channel'], '{model}'),
        ],
      },
      {
        topic: `${gateway}/PilighttoMQTT`,
        rest: 'numbers',
        numericText: true,
        exclude: ABOUT_PILIGHT,
        // Older versions send the message of the sensor as text.
        inner: { path: 'message', encoding: 'text', format: 'json' },
        branches: [
          radio(['message', 'protocol', 'value'], '{protocol}-{value}'),
          radio(['message', 'protocol', '!value'], '{protocol}'),
        ],
      },
      { topic: `${gateway}/LORAtoMQTT/+device`, ...lora, ...named },
      { topic: `${gateway}/LORAtoMQTT`, ...lora, where: 'id', device: `${behind}{id}` },
      {
        topic: `${gateway}/CLIMAtoMQTT/ds1820/+device`,
        ...bluetooth,
        ...named,
        exclude: [...ABOUT, 'addr', 'res', 'unit'],
        units: { temp: { path: 'unit', to: '°C' } },
      },
      { topic: `${base}/+device/CLIMAtoMQTT/+sensor`, ...bluetooth, prefix: '{sensor}.' },
      { topic: `${base}/+device/+sensor`, format: 'json-or-text', ...bluetooth, prefix: '{sensor}.' },
    ];
  },
};
