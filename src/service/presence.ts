import type { SparkplugDevice } from '../bridges/sparkplug/host.ts';
import type { PresencePart } from './status.ts';

const SHOWN = 100;

/** How many devices are there, and which have gone. */
export function presenceOf(devices: readonly SparkplugDevice[]): PresencePart {
  const gone = devices.filter(({ online }) => !online);
  gone.sort((a, b) => b.since - a.since || (a.device < b.device ? -1 : 1));
  return {
    online: devices.length - gone.length,
    offline: gone.length,
    gone: gone.slice(0, SHOWN).map(({ device, since }) => ({ device, since })),
  };
}
