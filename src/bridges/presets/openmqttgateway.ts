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
const STATES = ['contact', 'door', 'leak', 'lowbatt', 'motion', 'occupancy', 'open', 'presence', 'tamper', 'window'];

export const openMqttGateway: Preset = {
  name: 'openmqttgateway',
  description:
    'OpenMQTTGateway and Theengs Gateway: Bluetooth sensors by address, rtl_433 sensors by model and id, sensors on the board by gateway. Numbers may come as text. Codes of remote controls and states of the gateway are no telemetry.',
  base: 'home',
  rules: ({ base = 'home' }) => {
    const gateway = `${base}/+gateway`;
    const bluetooth: PartConfig = { rest: 'numbers', numericText: true, booleans: STATES, exclude: ABOUT };
    const radio = (where: NonNullable<PartConfig['where']>, device: string): PartConfig => ({ where, device });
    return [
      ...noTelemetry(
        `${gateway}/LWT`,
        `${gateway}/version`,
        `${gateway}/SYStoMQTT`,
        `${gateway}/RLStoMQTT`,
        `${gateway}/433toMQTT`,
        `${gateway}/IRtoMQTT`,
        `${gateway}/RFM69toMQTT`,
        `${gateway}/undecoded`,
        `${gateway}/commands/#`,
        `${gateway}/log/#`,
        `${base}/home_presence/#`,
        `${base}/presence/#`,
      ),
      { topic: `${gateway}/BTtoMQTT/+device`, ...bluetooth },
      { topic: `${gateway}/BTtoMQTT`, ...bluetooth, device: '{id}' },
      {
        topic: `${gateway}/RTL_433toMQTT/#rest`,
        rest: 'numbers',
        exclude: ABOUT_RADIO,
        branches: [
          radio(['model', 'id'], '{model}-{id}'),
          radio(['model', '!id', 'channel'], '{model}-{channel}'),
          radio(['model', '!id', '!channel'], '{model}'),
        ],
      },
      { topic: `${gateway}/LORAtoMQTT/+device`, ...bluetooth, exclude: [...ABOUT, 'pferror', 'packetSize'] },
      { topic: `${gateway}/CLIMAtoMQTT/ds1820/+device`, ...bluetooth },
      { topic: `${base}/+device/CLIMAtoMQTT/+sensor`, ...bluetooth, prefix: '{sensor}.' },
      { topic: `${base}/+device/+sensor`, format: 'json-or-text', ...bluetooth, prefix: '{sensor}.' },
    ];
  },
};
