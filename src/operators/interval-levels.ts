import type { ForecastInterval } from '../events/records.ts';
import type { StoreCodec } from '../state/store.ts';
import { spreadOverHorizon } from './interval.ts';
import { blockLayout, SeriesBlocks, seriesBlocksCodec } from './series-blocks.ts';

/**
 * Intervals at further levels. Each is the main interval times a ratio that follows the stream as the half-width itself
 * does: it grows where the actual was outside and shrinks a little where it was inside. The main half-width carries what
 * changes fast, the scale of the residuals; the ratio is the shape of their distribution, which changes slowly. That costs
 * one float for each level, model and scored step, and needs no second ring of what went out: an actual is judged by the
 * main half-width that went out with its forecast, times the ratio of now.
 */
export interface LevelsConfig {
  /** Nominal coverage of the main interval. */
  readonly main: number;
  /** Others, in any order; the main level among them is left out. */
  readonly levels: readonly number[];
  readonly steps: readonly number[];
  readonly season: number;
  /** Interval trackers of a series: models and baselines. */
  readonly trackers: number;
}

/** Share of itself that one miss at once known may move a ratio by; chosen with bench/accuracy/intervals.mjs on validation. */
export const LEVEL_RATE = 0.05;
/** A ratio stays within so many times the one that it began with. */
const MOST = 16;

export class IntervalLevels {
  /** Ascending, without the main level. */
  readonly levels: readonly number[];
  readonly codec: StoreCodec<SeriesBlocks>;
  readonly #config: LevelsConfig;
  readonly #layout;
  /**
   * Ratios to begin with: of a Student distribution with 4 degrees of freedom. Forecast errors have heavier tails than a
   * normal distribution; with its ratios, the 99 % level covered .98 until it had learnt that.
   */
  readonly #first: readonly number[];

  constructor(config: LevelsConfig) {
    const { main, levels, steps, trackers } = config;
    this.#config = config;
    this.levels = [...new Set(levels)].filter((level) => level !== main).sort((a, b) => a - b);
    this.#first = this.levels.map((level) => studentHalfWidth(level) / studentHalfWidth(main));
    this.#layout = blockLayout({ ratios: ['f32', trackers * steps.length * this.levels.length] });
    const codec = seriesBlocksCodec(this.#layout, versionOf([main, ...this.levels], steps, trackers));
    // Ratios of other levels are no use: they begin anew, and nothing else of the state is lost.
    this.codec = { ...codec, migrate: () => this.blocks() };
  }

  blocks(): SeriesBlocks {
    return new SeriesBlocks(this.#layout.bytes);
  }

  /** A model's ratios begin anew. */
  begin(blocks: SeriesBlocks, quantity: string, tracker: number): void {
    const at = this.#at(blocks, quantity, tracker, 0);
    blocks.f32.fill(0, at, at + this.#perTracker);
  }

  /** Two models change their trackers. */
  swap(blocks: SeriesBlocks, quantity: string, one: number, other: number): void {
    const [a, b] = [this.#at(blocks, quantity, one, 0), this.#at(blocks, quantity, other, 0)];
    const kept = blocks.f32.slice(a, a + this.#perTracker);
    blocks.f32.copyWithin(a, b, b + this.#perTracker);
    blocks.f32.set(kept, b);
  }

  /**
   * Takes an actual.
   * @param i index of the scored step
   * @param residual absolute, and `half` the main half-width that went out, both in the same unit
   */
  track(blocks: SeriesBlocks, quantity: string, tracker: number, i: number, residual: number, half: number): void {
    if (!Number.isFinite(residual) || !(half > 0)) return;
    const { season, steps } = this.#config;
    const gain = (LEVEL_RATE * season) / (season + steps[i]!);
    const at = this.#at(blocks, quantity, tracker, i);
    this.levels.forEach((level, l) => {
      const ratio = blocks.f32[at + l]! || this.#first[l]!;
      const moved = ratio * (1 + gain * ((residual > half * ratio ? 1 : 0) - (1 - level)));
      const [least, most] = [this.#first[l]! / MOST, this.#first[l]! * MOST];
      blocks.f32[at + l] = Math.min(most, Math.max(least, moved));
    });
  }

  /** The intervals of a forecast, ascending by level; none crosses another. @param halves main half-widths of all steps */
  intervals(
    blocks: SeriesBlocks,
    quantity: string,
    tracker: number,
    values: ArrayLike<number>,
    halves: Float64Array,
  ): ForecastInterval[] {
    const ratios = this.levels.map((_, l) => {
      const out = new Float64Array(halves.length);
      const ratio = (i: number) => blocks.f32[this.#at(blocks, quantity, tracker, i) + l]! || this.#first[l]!;
      spreadOverHorizon(this.#config.steps, ratio, out);
      return out;
    });
    const above = this.levels.findIndex((level) => level > this.#config.main);
    const split = above < 0 ? ratios.length : above;
    for (let h = 0; h < halves.length; h++) {
      for (let l = split - 1, most = 1; l >= 0; l--) most = ratios[l]![h] = Math.min(most, ratios[l]![h]!);
      for (let l = split, least = 1; l < ratios.length; l++) least = ratios[l]![h] = Math.max(least, ratios[l]![h]!);
    }
    return this.levels.map((level, l) => {
      const half = (h: number) => Math.fround(halves[h]! * ratios[l]![h]!);
      return {
        level,
        lower: Array.from(values, (value, h) => value - half(h)),
        upper: Array.from(values, (value, h) => value + half(h)),
      };
    });
  }

  get #perTracker(): number {
    return this.#config.steps.length * this.levels.length;
  }

  #at(blocks: SeriesBlocks, quantity: string, tracker: number, step: number): number {
    const block = blocks.findOrAdd(quantity);
    return (block * this.#layout.bytes) / 4 + tracker * this.#perTracker + step * this.levels.length;
  }
}

/** Changes with everything that the numbers of the state mean. */
function versionOf(levels: readonly number[], steps: readonly number[], trackers: number): number {
  let hash = 2166136261;
  for (const char of JSON.stringify([levels, steps, trackers])) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619);
  return hash >>> 1;
}

/**
 * Half-width, in its own unit, that covers so much of a Student distribution with 4 degrees of freedom: within ±t lies
 * s (3 − s²) / 2 with s = t / √(t² + 4). By bisection for s, in operations whose result every engine gives alike.
 */
export function studentHalfWidth(level: number): number {
  let [low, high] = [0, 1];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if ((middle * (3 - middle * middle)) / 2 < level) low = middle;
    else high = middle;
  }
  const s = (low + high) / 2;
  return (2 * s) / Math.sqrt(1 - s * s);
}
