import { FleetcastError } from '../errors.ts';
import { splitSeriesKey } from '../events/records.ts';
import type { EventLog } from '../log/event-log.ts';
import { historyRanges } from './history-reader.ts';
import { scan } from './scan.ts';

/** Keys of the series that the history holds, sorted; read from the keys of its segments alone. */
export async function seriesOnLog(log: EventLog, topic: string, signal?: AbortSignal): Promise<string[]> {
  const found = new Set<string>();
  for (const { partition, from, to } of await historyRanges(log, topic)) {
    for await (const { records } of scan(log, topic, partition, { from, to }, signal)) {
      for (const { key, value } of records) {
        const name = key === null || value === null ? '' : Buffer.from(key).toString('utf8');
        // Series and start of the segment; the records of flushes have no third part.
        if (/^[^/]+\/[^/]*\/-?\d+$/.test(name)) found.add(name.slice(0, name.lastIndexOf('/')));
      }
    }
  }
  return [...found].sort();
}

/** `device/quantity` as the device calls them. */
export function plainName(key: string): string {
  const { device, quantity } = splitSeriesKey(key);
  return `${device}/${quantity}`;
}

/** How each series is shown: by its plain name, or by its key where another has the same plain name. */
export function shownNames(keys: readonly string[]): ReadonlyMap<string, string> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(plainName(key), (counts.get(plainName(key)) ?? 0) + 1);
  return new Map(keys.map((key) => [key, counts.get(plainName(key)) === 1 ? plainName(key) : key]));
}

/**
 * The series that a name means: its key, or its plain name.
 * @returns undefined where there is none
 * @throws USAGE where a plain name is that of several
 */
export function seriesNamed(name: string, keys: readonly string[]): string | undefined {
  if (keys.includes(name)) return name;
  const found = keys.filter((key) => plainName(key) === name);
  if (found.length < 2) return found[0];
  throw new FleetcastError('USAGE', `${name} is the name of several series: say ${found.join(' or ')}`);
}
