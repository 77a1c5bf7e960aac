import { expect, it } from 'vitest';
import { damped } from './damped.ts';

it('tells the same thing once a minute, with how often it was left out', () => {
  let now = 0;
  const told: unknown[] = [];
  const tell = damped<string>(
    (event) => event,
    (event, more) => told.push([event, more]),
    () => now,
  );
  tell('a');
  tell('a');
  tell('b');
  now = 59_999;
  tell('a');
  now = 60_000;
  tell('a');
  tell('a');
  expect(told).toEqual([
    ['a', {}],
    ['b', {}],
    ['a', { leftOut: 2 }],
  ]);
});

it('stays bounded, and lets new things pass once there is room again', () => {
  let now = 0;
  let told = 0;
  const tell = damped<number>(
    String,
    () => told++,
    () => now,
  );
  for (let i = 0; i < 5_000; i++) tell(i);
  expect(told).toBe(1_001);
  now = 60_000;
  tell(9_999);
  expect(told).toBe(1_002);
});
