import type { PartConfig } from '../mapping/config.ts';
import { noTelemetry, type Preset } from './preset.ts';

export const theThingsStack: Preset = {
  name: 'the-things-stack',
  description:
    'The Things Stack (The Things Network v3): the decoded payload with rssi and snr of the first gateway, by device id, also as the events of its console have it. Payloads that were not decoded need `codec`.',
  base: 'v3',
  rules: ({ base = 'v3', codec }) => {
    const uplink = (at: string): readonly PartConfig[] => {
      const message = `${at}uplink_message`;
      const common: PartConfig = {
        time: { path: `$.${at}received_at`, lenient: true },
        rest: 'numbers',
      };
      return [
        {
          ...common,
          where: message,
          under: `${message}.decoded_payload`,
          values: {
            rssi: { path: `${message}.rx_metadata[0].rssi`, optional: true, lenient: true },
            snr: { path: `${message}.rx_metadata[0].snr`, optional: true, lenient: true },
          },
        },
        {
          ...common,
          where: `!$.${message}.decoded_payload`,
          each: `${message}.normalized_payload[*]`,
          exclude: ['time'],
        },
        ...(codec === undefined
          ? []
          : [
              {
                ...common,
                where: [message, `!${message}.decoded_payload`],
                inner: { path: `${message}.frm_payload`, format: codec },
              },
            ]),
      ];
    };
    return [
      { topic: `${base}/+application/devices/+device/up`, branches: [...uplink(''), ...uplink('data.')] },
      {
        topic: `${base}/+application/devices/+device/location/solved`,
        time: { path: '$.received_at', lenient: true },
        rest: 'numbers',
        under: 'location_solved.location',
        prefix: 'location.',
        exclude: ['accuracy'],
      },
      ...noTelemetry(`${base}/+application/devices/+device/#event`),
    ];
  },
};
