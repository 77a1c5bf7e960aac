import { expect, it } from 'vitest';
import { exp } from './exponential.ts';

it('has an exponential function within 2e-7 of the true one, and results in single precision', () => {
  for (let x = -86; x < 88; x += 0.0137) {
    const single = Math.fround(x);
    expect(Math.abs(exp(single) / Math.exp(single) - 1)).toBeLessThan(2e-7);
    expect(Math.fround(exp(single))).toBe(exp(single));
  }
  expect(exp(1000)).toBe(exp(88));
  expect(exp(-1000)).toBe(exp(-87));
  expect(exp(Number.NaN)).toBeNaN();
});
