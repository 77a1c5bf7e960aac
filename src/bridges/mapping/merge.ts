import type { MappedReading } from './part.ts';

/**
 * Parts of one message that are of one device and one time become one reading, as long as no quantity would be in it
 * twice. Keeps the order of the first of each.
 */
export function mergeReadings(readings: readonly MappedReading[]): MappedReading[] {
  const merged: MappedReading[] = [];
  const places = new Map<string, MappedReading>();
  for (const reading of readings) {
    const place = `${reading.time}/${reading.device}`;
    const same = places.get(place);
    if (same !== undefined && Object.keys(reading.values).every((name) => !Object.hasOwn(same.values, name))) {
      Object.assign(same.values, reading.values);
      continue;
    }
    merged.push(reading);
    places.set(place, reading);
  }
  return merged;
}
