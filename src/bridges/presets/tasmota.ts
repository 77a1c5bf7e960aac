import type { PartConfig, RuleConfig } from '../mapping/config.ts';
import { noTelemetry, type Preset } from './preset.ts';

const UNITS = {
  '*Temperature': { path: '$.TempUnit', to: '°C' },
  '*DewPoint': { path: '$.TempUnit', to: '°C' },
  '*Pressure': { path: '$.PressureUnit', to: 'hPa' },
  '*Speed*': { path: '$.SpeedUnit', to: 'm/s' },
} as const;

/** Bluetooth sensors that Tasmota passes on name their address: they are devices of their own, as Zigbee ones are. */
const FOREIGN = ['mac', 'MAC'];
const ABOUT = ['Endpoint', 'Group', 'Cluster', 'Manufacturer', 'ModelId', 'Write', '*<*', '*/*'];

export const tasmota: Preset = {
  name: 'tasmota',
  description:
    'Tasmota: SENSOR telegrams and answers to Status 8 and 10, one quantity for each sensor and field (BME280.Temperature); Bluetooth and Zigbee sensors behind it are devices of their own. Local times need `zone`; without it the arrival counts.',
  base: 'tele',
  rules: ({ base = 'tele', zone }) => {
    const sensors = (under?: string): readonly PartConfig[] => {
      const root = under === undefined ? '$' : `$.${under}`;
      const at = under === undefined ? '' : `${under}.`;
      const common = {
        rest: 'numbers',
        time: { path: `${root}.Time`, format: 'iso', lenient: true, ...(zone === undefined ? {} : { zone }) },
        units: Object.fromEntries(
          Object.entries(UNITS).map(([name, unit]) => [name, { ...unit, path: unit.path.replace('$', root) }]),
        ),
      } as const;
      return [
        {
          ...common,
          ...(under === undefined ? {} : { under }),
          skipWith: FOREIGN,
          exclude: [
            'ZbReceived.*',
            'ZbReceived',
            'ZbInfo.*',
            '*.Id',
            '*.Address',
            'IBEACON.*',
            'RfReceived.*',
            'IrReceived.*',
          ],
        },
        ...FOREIGN.map((field) => ({ ...common, each: `${at}*`, where: field, device: '{key}', exclude: ['Time'] })),
        { ...common, each: `${at}ZbReceived.*`, device: '{key}', exclude: ABOUT },
      ];
    };
    const telemetry = (topic: string, under?: string): RuleConfig => ({
      topic,
      format: 'json-or-text',
      branches: sensors(under),
    });
    return [
      telemetry(`${base}/#device/SENSOR`),
      { topic: `${base}/#device/RESULT`, format: 'json-or-text', branches: sensors().slice(-1) },
      ...noTelemetry(`${base}/#device/+kind`),
      // The older order of levels, %topic%/%prefix%/.
      telemetry(`+device/${base}/SENSOR`),
      ...noTelemetry(`+device/${base}/+kind`),
      ...(base === 'tele'
        ? [telemetry('stat/#device/STATUS8', 'StatusSNS'), telemetry('stat/#device/STATUS10', 'StatusSNS')]
        : []),
      ...(base === 'tele' ? noTelemetry('stat/#device/+kind') : []),
    ];
  },
};
