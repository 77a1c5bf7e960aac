import { describe, expect, it } from 'vitest';
import { FAST_CLOCK, Fleet, HOUR, STATION, STUCK } from './fleet.ts';
import { SEATTLE_START, seattleWeather } from './seattle.ts';

function hours(fleet: Fleet, count: number) {
  return Array.from({ length: count }, () => fleet.next());
}

describe('the demo fleet', () => {
  it('is the same in each run, and resumes where it was', () => {
    const whole = hours(new Fleet(), 60);
    expect(hours(new Fleet(), 60)).toEqual(whole);
    expect(hours(new Fleet(2), 60)).not.toEqual(whole);
    const resumed = new Fleet();
    resumed.skipTo(40);
    expect(hours(resumed, 20)).toEqual(whole.slice(40));
  });

  it('has one real station and fifty simulated devices', () => {
    const weather = seattleWeather();
    expect(weather).toHaveLength(8759);
    expect(weather[0]).toEqual({ temperature: 4, pressure: 1016.6, wind: 3.8 });
    const fleet = new Fleet();
    const devices = new Set(hours(fleet, 48).flatMap((each) => each.map(({ topic }) => topic)));
    expect([...devices].filter((topic) => topic.startsWith('fleet/'))).toHaveLength(51);
    expect(fleet.deviceCount).toBe(51);
    expect(fleet.time).toBe(SEATTLE_START + 48 * HOUR);
  });

  it('has the faults that real fleets have', () => {
    const fleet = new Fleet();
    const sent = hours(fleet, 500).flat();
    for (const count of Object.values(fleet.faults)) expect(count).toBeGreaterThan(20);
    const bySender = (name: string) =>
      sent.flatMap(({ topic, payload }) => {
        if (topic !== `fleet/${name}`) return [];
        try {
          const values = JSON.parse(payload) as Record<string, number>;
          return (values['time'] ?? 0) > SEATTLE_START - 1 && values['time']! < Date.UTC(2020) ? [values] : [];
        } catch {
          return [];
        }
      });
    const station = bySender(STATION).map((values) => values['time']!);
    expect(station).toEqual(Array.from({ length: 500 }, (_, i) => SEATTLE_START + i * HOUR));
    expect(Math.max(...bySender(FAST_CLOCK).map((values) => values['time']!))).toBe(SEATTLE_START + 500 * HOUR);
    const stuck = bySender(STUCK).map((values) => values['flow']);
    expect(stuck.filter((value, i) => i > 0 && value === stuck[i - 1]).length).toBeGreaterThan(100);
  });
});
