import type { RuleConfig } from '../mapping/config.ts';
import { noTelemetry, type Preset } from './preset.ts';

const SWITCHES = ['binary_sensor', 'switch', 'light', 'input_boolean', 'fan', 'siren', 'humidifier'];
/** Attributes that say what an entity is, and when it changed. */
const ABOUT = [
  'assumed_state',
  'attribution',
  'device_class',
  'editable',
  'entity_id',
  'entity_picture',
  'friendly_name',
  'icon',
  'id',
  'last_changed',
  'last_reported',
  'last_updated',
  'options',
  'restored',
  'state_class',
  'supported_color_modes',
  'supported_features',
  'unit_of_measurement',
];

/** `a.b` and `c` would be the device of `a` and `b.c`; no domain of Home Assistant has a dot. */
const PLAIN = { '!{domain}': ['*.*'] };

export const homeAssistant: Preset = {
  name: 'home-assistant',
  description:
    'Home Assistant MQTT Statestream: <base>/<domain>/<object>/state and numeric attributes, by entity id; on and off of switches and binary sensors as 1 and 0. unknown, unavailable and texts are no telemetry, and neither is MQTT discovery.',
  base: 'homeassistant',
  rules: ({ base = 'homeassistant' }) => {
    const entity = (states: Readonly<Record<string, number>>) =>
      ({
        format: 'text',
        device: '{domain}.{object}',
        // A unit would mean a text that begins with a number by chance.
        where: [{ unit: [''] }, PLAIN],
        values: { '{attribute}': { path: 'value', lenient: true, states } },
      }) as const;
    return [
      ...noTelemetry(`${base}/status`, ...['config', ...ABOUT].map((name) => `${base}/+domain/+object/${name}`)),
      ...SWITCHES.map(
        (domain): RuleConfig => ({
          topic: `${base}/${domain}/+object/state`,
          format: 'text',
          device: `${domain}.{object}`,
          values: { state: { path: 'value', lenient: true, states: { on: 1, off: 0 } } },
        }),
      ),
      { topic: `${base}/+domain/+object/+attribute`, ...entity({}) },
    ];
  },
};
