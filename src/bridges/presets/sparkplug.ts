import type { Preset } from './preset.ts';

export const sparkplug: Preset = {
  name: 'sparkplug',
  description:
    'Sparkplug B (protobuf, or the JSON form): metrics of edge nodes (<group>/<node>) and devices (<group>/<node>/<device>), with aliases, signed values, historical data, gaps and deaths; asks for rebirths.',
  base: 'spBv1.0',
  rules: ({ base = 'spBv1.0' }) => [{ topic: `${base}/#rest`, sparkplug: {} }],
};
