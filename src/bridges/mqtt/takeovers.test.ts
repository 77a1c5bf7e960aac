import { expect, it } from 'vitest';
import { Takeovers } from './takeovers.ts';

it('believes the broker at once, and forgets it when a connection lasts', () => {
  const takeovers = new Takeovers(60_000);
  takeovers.accepted(0);
  expect(takeovers.closed(10_000, 'taken')).toBe(true);
  takeovers.accepted(20_000);
  expect([takeovers.active(79_999), takeovers.active(80_000), takeovers.count]).toEqual([true, false, 1]);
  expect(takeovers.closed(90_000, 'silent')).toBe(false);
});

it('infers it from three short connections that end in silence, and from any that follow', () => {
  const takeovers = new Takeovers(60_000);
  const live = (from: number, to: number, how: 'silent' | 'explained') => {
    takeovers.accepted(from);
    return takeovers.closed(to, how);
  };
  expect([live(0, 200, 'silent'), live(300, 500, 'silent'), live(600, 700, 'silent')]).toEqual([false, false, true]);
  expect(live(10_000, 40_000, 'silent')).toBe(true);
  expect(takeovers.count).toBe(2);
});

it('does not take a broker that restarts, or a line that breaks, for it', () => {
  const takeovers = new Takeovers(60_000);
  for (let i = 0; i < 20; i++) {
    takeovers.accepted(i * 10_000);
    expect(takeovers.closed(i * 10_000 + 6_000, 'silent')).toBe(false);
    takeovers.accepted(i * 10_000 + 7_000);
    expect(takeovers.closed(i * 10_000 + 7_100, 'explained')).toBe(false);
    expect(takeovers.closed(i * 10_000 + 7_200, 'silent')).toBe(false);
  }
  expect([takeovers.count, takeovers.active(1e9)]).toEqual([0, false]);
});
