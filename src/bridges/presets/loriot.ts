import type { PartConfig } from '../mapping/config.ts';
import type { Preset } from './preset.ts';

export const loriot: Preset = {
  name: 'loriot',
  description:
    'LORIOT: uplinks (cmd rx and gw) by EUI, with what LORIOT has decoded, the battery and the signal of the first gateway; `base` is the topic that the output is set to. Payloads that were not decoded need `codec`.',
  base: 'loriot',
  rules: ({ base = 'loriot', codec }) => {
    const uplink: PartConfig = {
      device: '{$.EUI}',
      time: { path: '$.ts', format: 'epoch-ms', lenient: true },
      rest: 'numbers',
    };
    const cmd = { '$.cmd': ['rx', 'gw'] };
    const number = (path: string) => ({ path, optional: true, lenient: true });
    return [
      {
        topic: `${base}/#rest`,
        branches: [
          {
            ...uplink,
            where: [cmd, '!gws'],
            rest: 'ignore',
            values: { bat: number('bat'), rssi: number('rssi'), snr: number('snr') },
          },
          {
            ...uplink,
            where: [cmd, 'gws'],
            rest: 'ignore',
            values: { bat: number('bat'), rssi: number('gws[0].rssi'), snr: number('gws[0].snr') },
          },
          { ...uplink, where: [cmd, 'decoded.data'], under: 'decoded.data' },
          { ...uplink, where: [cmd, 'decoded', '!decoded.data'], under: 'decoded' },
          ...(codec === undefined
            ? []
            : [
                {
                  ...uplink,
                  where: [cmd, '!decoded'],
                  inner: { path: 'data', encoding: 'hex' as const, format: codec },
                },
              ]),
        ],
      },
    ];
  },
};
