import type { PartConfig } from '../mapping/config.ts';
import { noTelemetry, type Preset } from './preset.ts';

/** Source: https://thingsboard.io/docs/reference/gateway-mqtt-api/ */
export const thingsboardGateway: Preset = {
  name: 'thingsboard-gateway',
  description:
    "ThingsBoard's gateway API: telemetry by the device's name in the payload; attributes and RPC are left out. Telemetry of devices of their own (v1/devices/me) names no device and cannot be read.",
  base: 'v1/gateway',
  rules: ({ base = 'v1/gateway' }) => {
    const common: PartConfig = { each: '*.*', device: '{parentKey}', rest: 'numbers', numericText: true };
    return [
      {
        topic: `${base}/telemetry`,
        branches: [
          { ...common, where: 'values', under: 'values', time: { path: 'ts', format: 'epoch-ms', lenient: true } },
          { ...common, where: '!values' },
        ],
      },
      ...noTelemetry(`${base}/#rest`),
    ];
  },
};
