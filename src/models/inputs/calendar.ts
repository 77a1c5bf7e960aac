import { cosine } from '../arithmetic.ts';

/** What a model can be told of the time of a segment, in UTC. */
export const CALENDAR = ['hour', 'weekday'] as const;
export type CalendarInput = (typeof CALENDAR)[number];

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
/** The first Monday of the epoch. */
const MONDAY_MS = 4 * DAY_MS;

/** Waves of the day (a period and its half), and of the week (down to a third: enough to tell its days apart). */
const WAVES: Readonly<Record<CalendarInput, { readonly period: number; readonly count: number }>> = {
  hour: { period: DAY_MS, count: 2 },
  weekday: { period: WEEK_MS, count: 3 },
};

/** Numbers that an input is told in. */
export function calendarSize(input: CalendarInput): number {
  return 2 * WAVES[input].count;
}

/**
 * Cosine and sine of each wave at a time. Smooth, so that no hour is a border; computed with our own cosine, the same
 * on every machine.
 * @param time milliseconds since the epoch
 */
export function writeCalendar(input: CalendarInput, time: number, out: Float32Array, at: number): void {
  const { period, count } = WAVES[input];
  for (let wave = 1; wave <= count; wave++) {
    const turns = ((time - MONDAY_MS) * wave) / period;
    out[at + 2 * wave - 2] = cosineOfTurns(turns);
    out[at + 2 * wave - 1] = cosineOfTurns(turns - 0.25);
  }
}

function cosineOfTurns(turns: number): number {
  const part = turns - Math.floor(turns);
  return cosine(2 * Math.PI * Math.min(part, 1 - part));
}
