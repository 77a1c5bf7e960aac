import { noTelemetry, type Preset } from './preset.ts';

export const shellyGen1: Preset = {
  name: 'shelly-gen1',
  description:
    'The first generation of Shelly: shellies/<device>/<quantity> with a bare number, such as relay/0/power.',
  base: 'shellies',
  rules: ({ base = 'shellies' }) => [
    ...noTelemetry(
      `${base}/announce`,
      `${base}/command`,
      ...['announce', 'online', 'info', 'command', 'input_event', 'settings'].map((kind) => `${base}/+device/${kind}`),
      `${base}/+device/input_event/+channel`,
      `${base}/#device/command`,
      `${base}/#device/set`,
    ),
    {
      topic: `${base}/+device/#quantity`,
      format: 'json-or-text',
      branches: [
        {
          values: {
            '{quantity}': { path: '$', lenient: true, states: { on: 1, off: 0, true: 1, false: 0, open: 1, close: 0 } },
          },
        },
        { rest: 'numbers', prefix: '{quantity}.' },
      ],
    },
  ],
};
