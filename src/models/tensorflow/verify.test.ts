import { expect, it } from 'vitest';
import { compare } from './verify.ts';

const of = (...values: number[]) => Float32Array.from(values);

it('allows rounding of the size of the outputs, and no more', () => {
  expect(compare('m', of(0.5, 1), of(0.5, 1.00005))).toBeCloseTo(0.00005);
  // One unit in the last place of 5,000.
  expect(compare('raw', of(5000.0005, 1), of(5000, 1))).toBeCloseTo(0.0005);
  expect(() => compare('m', of(0.5, 1), of(0.5, 1.0002))).toThrow('model m differs from TensorFlow.js by');
  expect(() => compare('raw', of(5001), of(5000))).toThrow('differs');
});

it.each([
  [Number.NaN, 0],
  [0, Number.NaN],
  [0, Number.POSITIVE_INFINITY],
  [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
])('refuses %s for %s', (served, reference) => {
  expect(() => compare('m', of(served), of(reference))).toThrow('differs');
});
