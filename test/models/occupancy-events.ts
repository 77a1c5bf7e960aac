import { readFileSync } from 'node:fs';

/** Codes of what the sensors of a room report; 0 is never used, so that it can stand for a missing event. */
export const EVENTS = [
  'none',
  'light on',
  'light off',
  'somebody came',
  'everybody left',
  'warmer',
  'colder',
  'more CO2',
  'less CO2',
  'moister',
] as const;

/**
 * The events of a room from the occupancy data set: a sensor reports when its value has moved by a step since its last
 * report, light when it is switched, presence when it changes.
 */
export function occupancyEvents(file: string): number[] {
  const rows = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split(',').slice(2).map(Number));
  const events: number[] = [];
  let [temperature, humidity, light, co2, , occupied] = rows[0] as [number, number, number, number, number, number];
  let lit = light > 100;
  for (const row of rows) {
    const [t, h, l, c, , o] = row as [number, number, number, number, number, number];
    if (l > 100 !== lit) {
      lit = !lit;
      events.push(lit ? 1 : 2);
    }
    if (o !== occupied) {
      occupied = o;
      events.push(o === 1 ? 3 : 4);
    }
    if (Math.abs(t - temperature) >= 0.2) {
      events.push(t > temperature ? 5 : 6);
      temperature = t;
    }
    if (Math.abs(c - co2) >= 25) {
      events.push(c > co2 ? 7 : 8);
      co2 = c;
    }
    if (Math.abs(h - humidity) >= 0.5) {
      if (h > humidity) events.push(9);
      humidity = h;
    }
  }
  return events;
}

/** Every stretch of `steps` events with the one that follows it. */
export function nextEventSamples(events: readonly number[], steps: number) {
  const count = events.length - steps;
  const x = new Float32Array(count * steps);
  const y = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    x.set(events.slice(i, i + steps), i * steps);
    y[i] = events[i + steps]!;
  }
  return { count, x, y, steps };
}
