import type { PartConfig } from '../mapping/config.ts';
import type { Preset } from './preset.ts';

export const wanesy: Preset = {
  name: 'wanesy',
  description:
    'Kerlink Wanesy: dataUp records by DevEUI, with the signal of the first gateway and the payload where it is JSON (`codec` for other forms); `base` is the topic that the records are pushed to.',
  base: 'wanesy',
  rules: ({ base = 'wanesy', codec = 'relaxed-json' }) => {
    const common: PartConfig = {
      device: '{$.endDevice.devEui}',
      time: { path: '$.recvTime', format: 'epoch-ms', lenient: true },
      rest: 'numbers',
    };
    const payload = (encoding: 'hex' | 'base64', name: string): PartConfig => ({
      ...common,
      where: [{ encodingType: [name] }, 'payload'],
      inner: { path: 'payload', encoding, format: codec, lenient: true },
    });
    return [
      {
        topic: `${base}/#rest`,
        branches: [
          {
            ...common,
            where: 'endDevice.devEui',
            rest: 'ignore',
            values: {
              rssi: { path: 'gwInfo[0].rssi', optional: true, lenient: true },
              snr: { path: 'gwInfo[0].snr', optional: true, lenient: true },
            },
          },
          payload('hex', 'HEXA'),
          payload('base64', 'BASE64'),
        ],
      },
    ];
  },
};
