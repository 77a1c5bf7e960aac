import { describe, expect, it } from 'vitest';
import { Random } from '../models/random.ts';
import { buildDataSet } from './data-set.ts';
import { warmWindows } from './warm-start.ts';

const HOUR = 3_600_000;
const shape = { lookback: 12, horizon: 4, season: 6 };

function set() {
  const random = new Random(1);
  const series = ['a', 'b'].map((device) => ({
    device,
    quantity: 'x',
    start: 0,
    interval: HOUR,
    values: Float64Array.from({ length: 400 }, () => random.normal()),
    gaps: [],
  }));
  return buildDataSet(series as never, {
    shape,
    interval: HOUR,
    scaleLength: 24,
    minMeasured: 0.5,
    scaler: 'fixed',
    split: { train: 0.8, validation: 0.1 },
  });
}

describe('warm start', () => {
  it('draws all new windows and as many old ones, the same for the same seed', () => {
    const data = set();
    const border = 250 * HOUR;
    const index = warmWindows(data, HOUR, border, 1);
    const labelEnd = (start: number) => ((start % 400) + shape.lookback + shape.horizon) * HOUR;
    const fresh = [...data.train.starts].filter((start) => labelEnd(start) > border);
    const drawn = [...index.starts];
    expect(fresh.length).toBeGreaterThan(50);
    expect(drawn.filter((start) => labelEnd(start) > border)).toEqual(fresh);
    expect(drawn).toHaveLength(2 * fresh.length);
    expect(new Set(drawn).size).toBe(drawn.length);
    expect(warmWindows(data, HOUR, border, 1)).toEqual(index);
    expect(warmWindows(data, HOUR, border, 2)).not.toEqual(index);
    // Each keeps its own scale.
    const at = new Map([...data.train.starts].map((start, i) => [start, data.train.means[i]]));
    drawn.forEach((start, i) => {
      expect(index.means[i]).toBe(at.get(start));
    });
  });

  it('takes all where nothing is new, and what there is where little is old', () => {
    const data = set();
    expect(warmWindows(data, HOUR, 1e15, 1)).toBe(data.train);
    expect(warmWindows(data, HOUR, 0, 1).starts).toEqual(data.train.starts);
  });
});
