import { noTelemetry, type Preset } from './preset.ts';

/** Components that measure or switch; `sys`, `wifi`, `cloud`, `mqtt`, `script:1` and the like say how the device is. */
const COMPONENTS = [
  'switch:*',
  'light:*',
  'rgb:*',
  'rgbw:*',
  'rgbcct:*',
  'cct:*',
  'cover:*',
  'input:*',
  'temperature:*',
  'humidity:*',
  'devicepower:*',
  'voltmeter:*',
  'pm1:*',
  'em:*',
  'em1:*',
  'emdata:*',
  'em1data:*',
  'illuminance:*',
  'smoke:*',
  'flood:*',
  'presence:*',
  'presencezone:*',
  'thermostat:*',
  'number:*',
  'boolean:*',
  'bthomedevice:*',
  'bthomesensor:*',
  'blutrv:*',
];

/** Fields that describe, and minutes of the past that come with every telegram. */
const ABOUT = [
  'id',
  '*energy.by_minute.*',
  '*energy.minute_ts',
  'counts.by_minute.*',
  'counts.minute_ts',
  'counts.xby_minute.*',
  'external.present',
  '*timer_*',
  '*_ts',
  'move_*',
  'transition.*',
  'packet_id',
  'schedule_rev',
];
const STATES = ['output', 'state', 'alarm', 'flood', 'presence', 'value', 'mute'];

export const shelly: Preset = {
  name: 'shelly',
  description:
    'Shelly Gen2, Gen3, Gen4, Plus, Pro and BLU behind a gateway: <device>/status/<component> and NotifyStatus on <device>/events/rpc, one quantity for each component and field (switch:0.apower). BLU sensors that a script tells of (events shelly-blu) are devices of their own, by address. Events of buttons and states of the device itself are no telemetry.',
  base: undefined,
  rules: ({ base, perGateway = false }) => {
    const at = base === undefined ? '' : `${base}/`;
    const common = { rest: 'numbers', exclude: ABOUT, booleans: STATES } as const;
    return [
      {
        topic: `${at}+device/status/+component`,
        ...common,
        where: { '{component}': COMPONENTS },
        prefix: '{component}.',
      },
      {
        topic: `${at}+device/events/rpc`,
        ...common,
        time: { path: '$.params.ts', format: 'epoch-s', lenient: true },
        branches: [
          {
            each: 'params.*',
            where: { '{key}': COMPONENTS, '$.method': ['NotifyStatus', 'NotifyFullStatus'] },
            prefix: '{key}.',
          },
          // What the script for BLU sensors tells of them: devices of their own.
          {
            each: 'params.events[*]',
            // By address only: another name could be that of a Shelly.
            where: [{ '$.method': ['NotifyEvent'], event: ['shelly-blu'], 'data.address': ['*:*:*:*:*:*'] }],
            device: perGateway ? '{device}/{data.address}' : '{data.address}',
            under: 'data',
            exclude: [...ABOUT, 'BTHome_version', 'pid', 'button'],
          },
        ],
      },
      ...noTelemetry(`${at}+device/online`),
    ];
  },
};
