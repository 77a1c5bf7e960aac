import type { PartConfig, RuleConfig, WhereValues } from '../mapping/config.ts';
import { noTelemetry, type Preset } from './preset.ts';

const UNITS = {
  '*Temperature': { path: '$.TempUnit', to: '°C' },
  '*DewPoint': { path: '$.TempUnit', to: '°C' },
  '*Pressure': { path: '$.PressureUnit', to: 'hPa' },
  '*Speed*': { path: '$.SpeedUnit', to: 'm/s' },
} as const;

/** Bluetooth sensors that Tasmota passes on name their address: they are devices of their own, as Zigbee ones are. */
const FOREIGN = ['mac', 'MAC'];
const BEACON = ['MAC', 'MAJOR', 'MINOR', 'POWER', 'UID'];
const ABOUT = [
  'Events',
  'LastEvent',
  'Node',
  'Endpoint',
  'Group',
  'Cluster',
  'Manufacturer',
  'ModelId',
  'Write',
  '*<*',
  '*/*',
];

export const tasmota: Preset = {
  name: 'tasmota',
  description:
    'Tasmota: SENSOR telegrams and answers to Status 8 and 10, one quantity for each sensor and field (BME280.Temperature); Bluetooth, Zigbee and LoRaWAN sensors behind it are devices of their own. Local times need `zone`; without it the arrival counts.',
  base: 'tele',
  rules: ({ base = 'tele', zone, perGateway = false }) => {
    const sensors = (under?: string, gateway = 'device'): readonly PartConfig[] => {
      const behind = perGateway ? `{${gateway}}/` : '';
      const root = under === undefined ? '$' : `$.${under}`;
      const at = under === undefined ? '' : `${under}.`;
      const common = {
        rest: 'numbers',
        units: Object.fromEntries(
          Object.entries(UNITS).map(([name, unit]) => [name, { ...unit, path: unit.path.replace('$', root) }]),
        ),
      } as const;
      const parts: readonly PartConfig[] = [
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
            'Epoch',
            'IBEACON.*',
            'LwReceived.*',
            'LwReceived',
            'RfReceived.*',
            'IrReceived.*',
          ],
        },
        ...FOREIGN.map((field) => ({
          ...common,
          each: `${at}*`,
          where: [field, { '!{key}': ['IBEACON'] }],
          device: `${behind}{key}`,
        })),
        // One name for all of them: their addresses tell them apart.
        {
          ...common,
          where: `${at}IBEACON.MAC`,
          under: `${at}IBEACON`,
          device: `${behind}{${at}IBEACON.MAC}`,
          exclude: BEACON,
        },
        { ...common, each: `${at}ZbReceived.*`, device: `${behind}{key}`, exclude: ABOUT },
        { ...common, each: `${at}LwReceived.*`, device: `${behind}{key}`, exclude: ABOUT },
      ];
      // `Epoch`, where it is sent, needs no zone.
      const local = { path: `${root}.Time`, format: 'iso', lenient: true, ...(zone === undefined ? {} : { zone }) };
      const epoch = { path: `${root}.Epoch`, format: 'epoch-s', lenient: true };
      return parts.flatMap((part) => [
        { ...part, time: local, where: [...conditions(part.where), `!${root}.Epoch`] },
        { ...part, time: epoch, where: [...conditions(part.where), `${root}.Epoch`] },
      ]);
    };
    const telemetry = (topic: string, under?: string): RuleConfig => ({
      topic,
      format: 'json-or-text',
      branches: sensors(under),
    });
    const passedOn = (gateway?: string) =>
      sensors(undefined, gateway).filter(({ each }) => each !== undefined && each !== '*');
    return [
      telemetry(`${base}/#device/SENSOR`),
      { topic: `${base}/#device/RESULT`, format: 'json-or-text', branches: passedOn() },
      // A topic of its own for each sensor that is passed on.
      { topic: `${base}/#gateway/SENSOR/+sensor`, format: 'json-or-text', branches: passedOn('gateway') },
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

function conditions(where: PartConfig['where']): readonly (string | WhereValues)[] {
  return where === undefined ? [] : Array.isArray(where) ? where : [where as string | WhereValues];
}
