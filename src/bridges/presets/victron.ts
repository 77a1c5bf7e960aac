import type { Preset } from './preset.ts';

export const victron: Preset = {
  name: 'victron',
  description:
    'Victron GX devices (Venus OS): N/<portal>/<service>/<instance>/<path> with {"value": …}; the device is <portal>/<service>/<instance>, such as battery/258, the quantity the path, such as Dc/0/Voltage. They publish only while somebody sends keep-alives to R/<portal>/keepalive.',
  base: 'N',
  rules: ({ base = 'N' }) => [
    {
      topic: `${base}/+portal/+service/+instance/#quantity`,
      device: '{portal}/{service}/{instance}',
      values: { '{quantity}': { path: 'value', optional: true, lenient: true } },
    },
  ],
};
