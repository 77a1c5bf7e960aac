import { noTelemetry, type Preset } from './preset.ts';

export const chirpstack: Preset = {
  name: 'chirpstack',
  description:
    'ChirpStack v4 (its MQTT integration set to JSON, not Protobuf): what the codec of the device profile has decoded, with rssi and snr of the first gateway, by DevEUI; battery level and margin from status events. Payloads that were not decoded need `codec` (cayenne-lpp, milesight, cbor …).',
  base: 'application',
  rules: ({ base = 'application', codec }) => {
    const device = `${base}/+application/device/+device`;
    const time = { path: '$.time', lenient: true };
    return [
      {
        topic: `${device}/event/up`,
        time,
        rest: 'numbers',
        branches: [
          {
            under: 'object',
            values: {
              rssi: { path: 'rxInfo[0].rssi', optional: true, lenient: true },
              snr: { path: 'rxInfo[0].snr', optional: true, lenient: true },
            },
          },
          ...(codec === undefined ? [] : [{ where: '!object', inner: { path: 'data', format: codec } }]),
        ],
      },
      {
        topic: `${device}/event/status`,
        time,
        branches: [
          { values: { margin: { path: 'margin', optional: true, lenient: true } } },
          {
            // The level is 0 where there is none to tell.
            where: [{ '!batteryLevelUnavailable': [true] }, { '!externalPowerSource': [true] }],
            values: { battery: { path: 'batteryLevel', optional: true, lenient: true } },
          },
        ],
      },
      {
        topic: `${device}/event/location`,
        time,
        rest: 'numbers',
        under: 'location',
        prefix: 'location.',
        exclude: ['accuracy'],
      },
      ...noTelemetry(`${device}/event/+event`, `${device}/command/+command`),
    ];
  },
};
