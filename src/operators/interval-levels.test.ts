import { describe, expect, it } from 'vitest';
import { Random } from '../models/random.ts';
import { QUANTILE_DEFAULTS, scoredSteps } from './interval.ts';
import { IntervalLevels, studentHalfWidth } from './interval-levels.ts';
import { ROLLING_DEFAULTS, rollingMethod, trackingMethod } from './interval-method.ts';

const MAIN = 0.9;
const LEVELS = [0.5, 0.8, 0.95, 0.99];
const levelsOf = (steps: readonly number[], trackers = 1) =>
  new IntervalLevels({ main: MAIN, levels: LEVELS, steps, season: 24, trackers });

const METHODS = {
  tracking: () => trackingMethod({ ...QUANTILE_DEFAULTS, level: MAIN }),
  rolling: () => rollingMethod({ ...ROLLING_DEFAULTS, residuals: 300, level: MAIN }),
};

/** Share inside each further level's interval, when each residual is known `step` later. */
function coverage(name: keyof typeof METHODS, step: number, noise: Float64Array): number[] {
  const method = METHODS[name]();
  const levels = levelsOf([step]);
  const blocks = levels.blocks();
  const state = new Float32Array(method.floats);
  method.begin(state, 0, 2);
  const issued: number[] = [];
  const inside = LEVELS.map(() => 0);
  for (let i = 0; i < noise.length; i++) {
    if (i >= step) {
      const residual = noise[i - step]!;
      method.track(state, 0, residual, residual > issued[i - step]!, step);
      levels.track(blocks, 'q', 0, 0, residual, issued[i - step]!);
    }
    issued.push(method.halfWidth(state, 0));
    const halves = new Float64Array(step).fill(issued[i]!);
    levels.intervals(blocks, 'q', 0, new Float64Array(step), halves).forEach(({ upper }, l) => {
      if (noise[i]! <= upper[step - 1]!) inside[l]! += 1;
    });
  }
  return inside.map((count) => count / noise.length);
}

describe('further levels', () => {
  for (const name of ['tracking', 'rolling'] as const) {
    it(`${name}: cover what they promise, for noise of any shape, also after it has grown and when it comes late`, () => {
      const shapes = {
        normal: (random: Random) => Math.abs(random.normal()),
        'heavy tails': (random: Random) => Math.abs(random.normal()) / (0.15 + random.uniform()),
        even: (random: Random) => random.uniform(),
      };
      for (const [shape, draw] of Object.entries(shapes)) {
        for (const step of [1, 24]) {
          const random = new Random(5);
          const noise = Float64Array.from({ length: 8000 }, (_, i) => draw(random) * (i > 4000 ? 10 : 1));
          coverage(name, step, noise).forEach((found, l) => {
            expect(Math.abs(found - LEVELS[l]!), `${shape}, ${LEVELS[l]} at step ${step}`).toBeLessThan(
              LEVELS[l]! > 0.9 ? 0.015 : 0.025,
            );
          });
        }
      }
    });
  }

  it('lie in each other, the main interval in its place among them', () => {
    const levels = levelsOf(scoredSteps(24));
    const blocks = levels.blocks();
    const random = new Random(2);
    for (let i = 0; i < 3000; i++) {
      levels.track(blocks, 'q', 0, random.below(6), 3 * random.normal() ** 2, random.uniform());
    }
    const values = new Float64Array(24).fill(7);
    const halves = Float64Array.from({ length: 24 }, (_, h) => Math.fround(1 + h / 10));
    const intervals = levels.intervals(blocks, 'q', 0, values, halves);
    expect(intervals.map(({ level }) => level)).toEqual([0.5, 0.8, 0.95, 0.99]);
    for (let h = 0; h < 24; h++) {
      const uppers = intervals.map(({ upper }) => upper[h]!);
      uppers.splice(2, 0, 7 + halves[h]!);
      expect(uppers).toEqual([...uppers].sort((a, b) => a - b));
      for (const { lower, upper } of intervals) expect(7 - lower[h]!).toBeCloseTo(upper[h]! - 7, 12);
    }
  });

  it('begin with the shape of a distribution with heavy tails, for each series, model and step by itself', () => {
    const levels = levelsOf([1, 2], 3);
    const blocks = levels.blocks();
    const half = (quantity: string, tracker: number) =>
      levels.intervals(blocks, quantity, tracker, [0, 0], Float64Array.of(1, 1)).map(({ upper }) => upper[0]!);
    const first = LEVELS.map((level) => Math.fround(studentHalfWidth(level) / studentHalfWidth(MAIN)));
    expect(half('a', 0)).toEqual(first);
    for (let i = 0; i < 50; i++) levels.track(blocks, 'a', 0, 0, 5, 1);
    const moved = half('a', 0);
    expect(moved[3]).toBeGreaterThan(2 * first[3]!);
    expect([half('a', 1), half('b', 0)]).toEqual([first, first]);
    levels.swap(blocks, 'a', 0, 1);
    expect([half('a', 0), half('a', 1)]).toEqual([first, moved]);
    levels.begin(blocks, 'a', 1);
    expect(half('a', 1)).toEqual(first);
    // A few hundred bytes a series: models and baselines, steps and levels.
    const all = levelsOf(scoredSteps(24), 4);
    const held = all.blocks();
    all.track(held, 'q', 3, 5, 1, 1);
    expect(held.u8.length).toBe(4 * 6 * 4 * 4);
  });

  it('take no notice of what is no number, and of an interval without width', () => {
    const levels = levelsOf([1]);
    const blocks = levels.blocks();
    levels.track(blocks, 'q', 0, 0, Number.NaN, 1);
    levels.track(blocks, 'q', 0, 0, Number.POSITIVE_INFINITY, 1);
    levels.track(blocks, 'q', 0, 0, 1, 0);
    levels.track(blocks, 'q', 0, 0, 1, Number.NaN);
    expect(blocks.f32.every((x) => x === 0)).toBe(true);
    for (let i = 0; i < 10_000; i++) levels.track(blocks, 'q', 0, 0, 1e30, 1e-3);
    expect(blocks.f32.every((x) => Number.isFinite(x) && x < 100)).toBe(true);
  });

  it('are forgotten, and nothing else is, where the setting changes', () => {
    const before = levelsOf([1]);
    const blocks = before.blocks();
    before.track(blocks, 'q', 0, 0, 1, 1);
    const bytes = before.codec.encode(blocks);
    expect(before.codec.decode(bytes).f32).toEqual(blocks.f32);
    const after = new IntervalLevels({ main: MAIN, levels: [0.7], steps: [1], season: 24, trackers: 1 });
    expect(after.codec.version).not.toBe(before.codec.version);
    expect(after.codec.migrate!(bytes, before.codec.version).names).toEqual([]);
  });

  it('know the Student distribution with 4 degrees of freedom', () => {
    for (const [level, half] of [
      [0.5, 0.740697],
      [0.8, 1.533206],
      [0.9, 2.131847],
      [0.95, 2.776445],
      [0.99, 4.604095],
    ] as const) {
      expect(studentHalfWidth(level)).toBeCloseTo(half, 6);
    }
  });
});
