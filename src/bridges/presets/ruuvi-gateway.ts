import { noTelemetry, type Preset } from './preset.ts';

export const ruuviGateway: Preset = {
  name: 'ruuvi-gateway',
  description:
    'Ruuvi Gateway: sensors by address, decoded by the gateway or here (data formats 3, 5, 6, C5 and E1). What other Bluetooth devices advertise is no telemetry.',
  base: 'ruuvi',
  rules: ({ base = 'ruuvi', perGateway = false }) => {
    const common = { time: { path: '$.ts', optional: true, lenient: true }, rest: 'numbers' } as const;
    return [
      ...noTelemetry(`${base}/+gateway/gw_status`),
      {
        topic: `${base}/+gateway/+device`,
        device: perGateway ? '{gateway}/{device}' : '{device}',
        branches: [
          {
            ...common,
            where: 'dataFormat',
            exclude: ['aoa.*', 'ble_*', 'cnt', 'dataFormat', 'gwts', 'ts'],
            booleans: false,
          },
          {
            ...common,
            where: ['!dataFormat', 'data'],
            inner: { path: 'data', encoding: 'hex', format: 'ruuvi' },
            exclude: ['dataFormat'],
            values: { rssi: { path: '$.rssi', optional: true, lenient: true } },
          },
        ],
      },
    ];
  },
};
