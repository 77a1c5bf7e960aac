import { describe, expect, it } from 'vitest';
import { Random } from '../models/random.ts';
import { baselineForecast, betterBaseline, hindcast } from './baselines.ts';
import { QUANTILE_DEFAULTS, scoredSteps, spreadOverHorizon, trackQuantile } from './interval.ts';

describe('quantile tracking', () => {
  it('covers what it promises, also after the noise has grown tenfold', () => {
    for (const level of [0.8, 0.9, 0.95]) {
      const random = new Random(1);
      const state = new Float32Array([2, 2]);
      let inside = 0;
      const steps = 20_000;
      for (let i = 0; i < steps; i++) {
        const residual = Math.abs(random.normal()) * (i > steps / 2 ? 10 : 1);
        if (residual <= state[0]!) inside++;
        trackQuantile({ ...QUANTILE_DEFAULTS, level }, state, 0, residual);
      }
      expect(Math.abs(inside / steps - level)).toBeLessThan(0.01);
    }
  });

  it('takes no notice of what is no number, and never goes below zero', () => {
    const state = new Float32Array([0.001, 1]);
    trackQuantile(QUANTILE_DEFAULTS, state, 0, Number.NaN);
    trackQuantile(QUANTILE_DEFAULTS, state, 0, Number.POSITIVE_INFINITY);
    expect([...state]).toEqual([Math.fround(0.001), 1]);
    trackQuantile(QUANTILE_DEFAULTS, state, 0, 0);
    expect(state[0]).toBe(0);
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
        expect(hindcast(baseline, values, step, season)).toBe(forecast[step - 1]);
      }
    }
    expect(hindcast('last-value', [1, 2], 2, season)).toBeNaN();
  });
});
