import type { Preset } from './preset.ts';

export const jsonValue: Preset = {
  name: 'json-value',
  description:
    'One quantity a topic, <base>/<device>/<quantity>, with {"value": 21.5} and, where known, "timestamp" (or "time", "ts"): the form of many small scripts. Bare numbers are taken as well.',
  base: 'sensors',
  rules: ({ base = 'sensors', zone }) => {
    const at = (path: string) => ({ path, lenient: true, ...(zone === undefined ? {} : { zone }) });
    const values = { '{quantity}': { path: 'value', numericText: true, lenient: true } };
    return [
      {
        topic: `${base}/#device/+quantity`,
        format: 'json-or-text',
        branches: [
          { where: ['value', 'timestamp'], time: at('timestamp'), values },
          { where: ['value', '!timestamp', 'time'], time: at('time'), values },
          { where: ['value', '!timestamp', '!time'], time: at('ts'), values },
          { values: { '{quantity}': { path: '$', lenient: true } } },
        ],
      },
    ];
  },
};
