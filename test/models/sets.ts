import type { SplitSeries } from '../../bench/accuracy/sets.mjs';
import { Random } from '../../src/models/random.ts';

export { etth1, protocolSet, type SplitSeries, type SplitSet } from '../../bench/accuracy/sets.mjs';

/** Hourly series with a daily cycle whose height and phase differ, a slow drift, and noise. */
export function simulatedSeries(count: number, rows: number, seed: number): SplitSeries {
  const random = new Random(seed);
  const series = Array.from({ length: count }, () => {
    const height = 1 + random.uniform() * 3;
    const phase = random.uniform() * 24;
    let drift = 0;
    return Float64Array.from({ length: rows }, (_, t) => {
      drift = 0.98 * drift + 0.15 * random.normal();
      return 20 + height * Math.sin(((t + phase) * Math.PI) / 12) + drift + 0.1 * random.normal();
    });
  });
  const names = series.map((_, i) => `simulated-${i}`);
  return { names, series, trainEnd: Math.floor(rows * 0.7), validationEnd: Math.floor(rows * 0.85), testEnd: rows };
}
