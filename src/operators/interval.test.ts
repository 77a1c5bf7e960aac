import { describe, expect, it } from 'vitest';
import { Random } from '../models/random.ts';
import { baselineForecast, betterBaseline, hindcast } from './baselines.ts';
import { QUANTILE_DEFAULTS, scoredSteps, spreadOverHorizon } from './interval.ts';
import { type IntervalMethod, ROLLING_DEFAULTS, rollingMethod, trackingMethod } from './interval-method.ts';

const METHODS = {
  tracking: (level: number) => trackingMethod({ ...QUANTILE_DEFAULTS, level }),
  rolling: (level: number) => rollingMethod({ ...ROLLING_DEFAULTS, residuals: 300, level }),
};

/** Share of residuals inside, when each is known `step` later and judged by the half-width that went out. */
function coverage(method: IntervalMethod, step: number, count: number, residual: (i: number) => number): number {
  const state = new Float32Array(method.floats);
  method.begin(state, 0, 2);
  const issued: number[] = [];
  let inside = 0;
  for (let i = 0; i < count; i++) {
    if (i >= step) method.track(state, 0, residual(i - step), residual(i - step) > issued[i - step]!, step);
    issued.push(method.halfWidth(state, 0));
    if (residual(i) <= issued[i]!) inside++;
  }
  return inside / count;
}

describe('intervals', () => {
  for (const [name, make] of Object.entries(METHODS)) {
    it(`${name}: cover what they promise, also after the noise has grown tenfold, and when residuals come late`, () => {
      for (const level of [0.8, 0.9, 0.95]) {
        for (const step of [1, 24, 96]) {
          const random = new Random(1);
          const count = 12_000;
          const noise = Float64Array.from(
            { length: count },
            (_, i) => Math.abs(random.normal()) * (2 * i > count ? 10 : 1),
          );
          const found = coverage(make(level), step, count, (i) => noise[i]!);
          expect(Math.abs(found - level), `${level} at step ${step}`).toBeLessThan(0.02);
        }
      }
    });

    it(`${name}: cover residuals that come in long waves as well`, () => {
      const random = new Random(3);
      const noise = Float64Array.from(
        { length: 6000 },
        (_, i) => Math.abs(random.normal()) * (1.2 + Math.sin((i * 2 * Math.PI) / 300)),
      );
      for (const step of [24, 96]) {
        const found = coverage(make(0.9), step, noise.length, (i) => noise[i]!);
        expect(found).toBeGreaterThan(0.88);
        expect(found).toBeLessThan(0.92);
      }
    });

    it(`${name}: take no notice of what is no number, and never go below zero`, () => {
      const method = make(0.9);
      const state = new Float32Array(method.floats);
      method.begin(state, 0, 0.5);
      const before = state.slice();
      method.track(state, 0, Number.NaN, true, 1);
      method.track(state, 0, Number.POSITIVE_INFINITY, true, 1);
      expect(state).toEqual(before);
      for (let i = 0; i < 2000; i++) method.track(state, 0, 0, false, 1);
      expect(method.halfWidth(state, 0)).toBeGreaterThanOrEqual(0);
      expect(method.halfWidth(state, 0)).toBeLessThan(0.5);
    });
  }

  it('rolling: the ring goes round without end', () => {
    const method = METHODS.rolling(0.9);
    const state = new Float32Array(method.floats);
    method.begin(state, 0, 1);
    for (let i = 0; i < 2000; i++) method.track(state, 0, i, false, 1);
    const kept = [...state.subarray(3)].sort((a, b) => a - b);
    expect(kept).toEqual(Array.from({ length: 300 }, (_, i) => 1700 + i));
  });

  it('scores 1, the powers of two and the horizon', () => {
    expect(scoredSteps(24)).toEqual([1, 2, 4, 8, 16, 24]);
    expect(scoredSteps(1)).toEqual([1]);
    expect(scoredSteps(2)).toEqual([1, 2]);
    expect(scoredSteps(96)).toEqual([1, 2, 4, 8, 16, 32, 64, 96]);
  });

  it('is linear between the tracked steps', () => {
    const out = new Float64Array(8);
    spreadOverHorizon([1, 2, 4, 8], (i) => [1, 2, 6, 10][i]!, out);
    expect([...out]).toEqual([1, 2, 4, 6, 7, 8, 9, 10]);
    const single = new Float64Array(1);
    spreadOverHorizon([1], () => 3, single);
    expect([...single]).toEqual([3]);
  });
});

describe('baselines', () => {
  const season = 4;
  const values = Array.from({ length: 16 }, (_, i) => [0, 5, 9, 5][i % 4]! + i / 100);

  it('repeat the last value or the last season', () => {
    expect([...baselineForecast('last-value', values, 3, season)]).toEqual([5.15, 5.15, 5.15]);
    expect([...baselineForecast('seasonal-naive', values, 6, season)]).toEqual([0.12, 5.13, 9.14, 5.15, 0.12, 5.13]);
    expect([...baselineForecast('seasonal-naive', [1, 2], 2, season)]).toEqual([2, 2]);
  });

  it('are chosen by what would have been better', () => {
    expect(betterBaseline(values, [1, 2, 4], season)).toBe('seasonal-naive');
    expect(
      betterBaseline(
        values.map((_, i) => i ** 2),
        [1, 2],
        season,
      ),
    ).toBe('last-value');
    expect(betterBaseline([1, 2, 3], [1], season)).toBe('last-value');
    expect(betterBaseline([1, 2, 3, 4], [1], season)).toBe('seasonal-naive');
  });

  it('say what they would have forecast for the newest value', () => {
    for (const step of [1, 2, 4, 7]) {
      const then = values.slice(0, values.length - step);
      for (const baseline of ['last-value', 'seasonal-naive'] as const) {
        const forecast = baselineForecast(baseline, then, 8, season);
        expect(hindcast(baseline, { values }, step, season)).toBe(forecast[step - 1]);
      }
    }
    expect(hindcast('last-value', { values: [1, 2] }, 2, season)).toBeNaN();
    expect(hindcast('last-value', { values: [1, 2], earlier: [5, 6] }, 2, season)).toBe(6);
  });
});
