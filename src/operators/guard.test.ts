import { describe, expect, it } from 'vitest';
import { forgetModel, GUARD_FLOATS, guardDefaults, keptInstead, stepWeights, watchModel } from './guard.ts';

const config = guardDefaults(6, 12);
const state = () => new Float32Array(GUARD_FLOATS);
const feed = (at: Float32Array, count: number, model: number, lastValue: number, seasonalNaive: number) => {
  for (let i = 0; i < count; i++) watchModel(config, at, 0, { model, lastValue, seasonalNaive });
};

describe('guard of a series', () => {
  it('lets the model serve while it is better, or not worse by more than chance', () => {
    const good = state();
    feed(good, 500, 0.9, 1, 2);
    expect(keptInstead(good, 0)).toBeUndefined();
    const young = state();
    feed(young, 3, 2, 1, 1);
    expect(keptInstead(young, 0)).toBeUndefined();
    feed(young, 9, 2, 1, 1);
    expect(keptInstead(young, 0)).toBe('last-value');
  });

  it('stops a model that is far off at once', () => {
    const at = state();
    feed(at, 1, 50, 1, 2);
    expect(keptInstead(at, 0)).toBe('last-value');
  });

  it('keeps the better naive forecast, and gives the model back its place when it is better again', () => {
    const at = state();
    feed(at, 100, 2, 3, 1);
    expect(keptInstead(at, 0)).toBe('seasonal-naive');
    feed(at, 300, 0.5, 3, 1);
    expect(keptInstead(at, 0)).toBeUndefined();
  });

  it('does not change its mind for a difference within the margin', () => {
    const at = state();
    feed(at, 100, 1.01, 1, 2);
    expect(keptInstead(at, 0)).toBeUndefined();
    feed(at, 300, 1.1, 1, 2);
    expect(keptInstead(at, 0)).toBe('last-value');
    feed(at, 1000, 1.01, 1, 2);
    expect(keptInstead(at, 0)).toBe('last-value');
  });

  it('begins anew for another model', () => {
    const at = state();
    feed(at, 100, 5, 1, 1);
    expect(keptInstead(at, 0)).toBe('last-value');
    forgetModel(at, 0);
    expect(keptInstead(at, 0)).toBeUndefined();
    expect([...at]).toEqual(new Array(GUARD_FLOATS).fill(0));
  });

  it('takes no notice of what is no number', () => {
    const at = state();
    feed(at, 100, Number.NaN, 1, 1);
    feed(at, 1, 1, Number.POSITIVE_INFINITY, 1);
    expect([...at]).toEqual(new Array(GUARD_FLOATS).fill(0));
  });

  it('weighs the scored steps by the steps that they stand for', () => {
    expect([...stepWeights([1])]).toEqual([1]);
    expect([...stepWeights([1, 2, 4])]).toEqual([1, 1.5, 1.5]);
    const weights = stepWeights([1, 2, 4, 8, 16, 24]);
    expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(24, 12);
  });
});
