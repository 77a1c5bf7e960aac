import type { RuleConfig } from '../mapping/config.ts';
import { noTelemetry, type Preset } from './preset.ts';

const NUMBERS = ['sensor', 'number'];
const TEXTS = ['text_sensor', 'text', 'select', 'button', 'event'];
const SWITCHES = ['binary_sensor', 'switch', 'light', 'fan'];

export const esphome: Preset = {
  name: 'esphome',
  description:
    'ESPHome: <node>/<component>/<name>/state of sensors and numbers, ON and OFF of binary sensors, switches, lights and fans as 1 and 0, temperatures of climates; the device is the node. Texts and nan are no telemetry.',
  base: undefined,
  rules: ({ base }) => {
    const node = `${base === undefined ? '' : `${base}/`}+device`;
    const state = (topic: string, states?: Readonly<Record<string, number>>): RuleConfig => ({
      topic,
      format: 'json-or-text',
      values: { '{quantity}': { path: '$', lenient: true, ...(states === undefined ? {} : { states }) } },
    });
    return [
      ...noTelemetry(...TEXTS.map((component) => `${node}/${component}/+name/state`)),
      ...NUMBERS.map((component) => state(`${node}/${component}/+quantity/state`)),
      ...SWITCHES.map((component) => state(`${node}/${component}/+quantity/state`, { ON: 1, OFF: 0 })),
      ...['current_temperature', 'target_temperature'].map(
        (what): RuleConfig => ({
          topic: `${node}/climate/+name/${what}/state`,
          format: 'json-or-text',
          values: { [`{name}.${what}`]: { path: '$', lenient: true } },
        }),
      ),
    ];
  },
};
