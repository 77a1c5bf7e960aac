import { describe, expect, it } from 'vitest';
import { mixDefaults, mixFloats, mixName, mixShares, watchMix } from './naive-mix.ts';

const STEPS = 2;
const config = mixDefaults(6, 12);
const state = () => new Float32Array(mixFloats(STEPS));
const feed = (at: Float32Array, count: number, lastValue: number[], seasonalNaive: number[]) => {
  const errors = { lastValue: Float64Array.from(lastValue), seasonalNaive: Float64Array.from(seasonalNaive) };
  for (let i = 0; i < count; i++) watchMix(config, at, 0, errors);
};
const shares = (at: Float32Array) => mixShares(config, at, 0, STEPS);

describe('mix of the naive forecasts', () => {
  it('says nothing before a span was compared', () => {
    const at = state();
    feed(at, config.least - 1, [1, 1], [1, 1]);
    expect(shares(at)).toBeUndefined();
    feed(at, 1, [1, 1], [1, 1]);
    expect([...shares(at)!]).toEqual([0.5, 0.5]);
  });

  it('weighs both at each horizon step by its own errors', () => {
    const at = state();
    feed(at, 100, [1, 3], [1.2, 2.5]);
    const [near, far] = shares(at)!;
    expect(near).toBeCloseTo(1.2 ** 4 / (1 + 1.2 ** 4), 6);
    expect(far).toBeCloseTo(2.5 ** 4 / (3 ** 4 + 2.5 ** 4), 6);
    expect(mixName(shares(at)!)).toBe('naive-mix');
  });

  it('lets a forecast that is far better go out as it is', () => {
    const last = state();
    feed(last, 100, [1, 1], [3, 4]);
    expect([[...shares(last)!], mixName(shares(last)!)]).toEqual([[1, 1], 'last-value']);
    const seasonal = state();
    feed(seasonal, 100, [1, 1], [0, 0]);
    expect([[...shares(seasonal)!], mixName(shares(seasonal)!)]).toEqual([[0, 0], 'seasonal-naive']);
    const both = state();
    feed(both, 100, [1, 3], [3, 1]);
    expect([[...shares(both)!], mixName(shares(both)!)]).toEqual([[1, 0], 'naive-mix']);
  });

  it('turns to the better one within a span after a change', () => {
    const at = state();
    feed(at, 500, [1, 1], [3, 3]);
    feed(at, config.memory, [3, 3], [1, 1]);
    for (const share of shares(at)!) expect(share).toBeLessThan(0.5);
  });

  it('takes no notice of what is no number, and halves what cannot be told apart', () => {
    const at = state();
    feed(at, 50, [Number.NaN, Number.POSITIVE_INFINITY], [1, 1]);
    expect([...at]).toEqual(new Array(mixFloats(STEPS)).fill(0));
    feed(at, 50, [0, 0], [0, 0]);
    expect([...shares(at)!]).toEqual([0.5, 0.5]);
    const one = state();
    feed(one, 50, [1, Number.NaN], [4, 1]);
    expect([...shares(one)!]).toEqual([1, 0.5]);
  });
});
