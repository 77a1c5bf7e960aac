import { noTelemetry, type Preset } from './preset.ts';

/** What Zigbee sensors say with true and false; switches of settings (`child_lock`, `led_indication`) are not among it. */
const STATES = [
  'battery_low',
  'carbon_monoxide',
  'contact',
  'gas',
  'moving',
  'occupancy',
  'power_on',
  'presence',
  'rain',
  'smoke',
  'tamper',
  'vibration',
  'water_leak',
];

/** Fields that describe the device or its firmware. */
const ABOUT = [
  'device.*',
  'elapsed',
  'last_seen',
  'level_config.*',
  'programming_mode.*',
  'schedule*',
  'update.*',
  'update_available',
  '*_options.*',
  'action_*',
  'calibration*',
  '*_calibration',
];

export const zigbee2mqtt: Preset = {
  name: 'zigbee2mqtt',
  description:
    'Zigbee2MQTT: numbers and binary sensors of each device, by friendly name (which may hold slashes), with last_seen as the time where it is sent; output json, attribute or both.',
  base: 'zigbee2mqtt',
  rules: ({ base = 'zigbee2mqtt', zone }) => {
    const common = {
      format: 'json-or-text',
      time: { path: 'last_seen', optional: true, lenient: true, ...(zone === undefined ? {} : { zone }) },
      exclude: ABOUT,
      booleans: STATES,
      rest: 'numbers',
    } as const;
    return [
      ...noTelemetry(
        `${base}/bridge/#`,
        `${base}/#device/availability`,
        `${base}/#device/set`,
        `${base}/#device/set/+attribute`,
        `${base}/#device/get`,
        `${base}/#device/get/+attribute`,
        `${base}/#device/action`,
        ...['last_seen', 'elapsed', 'update', 'update_available', 'device'].map((name) => `${base}/#device/${name}`),
      ),
      { topic: `${base}/+device`, ...common },
      {
        topic: `${base}/#device/+attribute`,
        format: 'json-or-text',
        branches: [
          { ...common, device: '{device}/{attribute}' },
          { values: { '{attribute}': { path: '$', lenient: true } } },
          {
            where: { '{attribute}': STATES },
            values: { '{attribute}': { path: '$', lenient: true, states: { true: 1, false: 0 } } },
          },
        ],
      },
    ];
  },
};
