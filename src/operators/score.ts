import type { Forecast, Score, ScoreEntry } from '../events/records.ts';
import { ARITHMETIC_VERSION } from '../models/arithmetic.ts';
import type { KeyedStore } from '../state/store.ts';
import { type Baseline, baselineForecast, hindcast, isNaiveName, LAST_VALUE, SEASONAL_NAIVE } from './baselines.ts';
import { forgetModel, type GuardConfig, keptInstead, stepWeights, watchModel } from './guard.ts';
import { FIRST_QUANTILE, spreadOverHorizon } from './interval.ts';
import { IntervalLevels } from './interval-levels.ts';
import type { IntervalMethod } from './interval-method.ts';
import { type Candidate, type ForecastCandidates, type SeriesWindow, scaleOf } from './items.ts';
import { type MixConfig, mixName, mixShares, watchMix } from './naive-mix.ts';
import type { Collector, Operator, OperatorContext, StreamRecord } from './operator.ts';
import {
  type DeviceScores,
  deviceScoresCodec,
  modelNumber,
  type ScoreLayout,
  SLOTS,
  scoreLayout,
} from './score-state.ts';
import { readingBefore } from './score-state-before.ts';
import { SeriesBlocks } from './series-blocks.ts';

export interface ScoreConfig {
  readonly horizon: number;
  readonly season: number;
  /** Horizon steps that are scored, ascending; the last is the horizon. */
  readonly steps: readonly number[];
  /** Nominal coverage of the intervals. */
  readonly level: number;
  readonly intervals: IntervalMethod;
  /** Nominal coverage of further intervals; see interval-levels.ts. */
  readonly levels: readonly number[];
  readonly guard: GuardConfig;
  readonly mix: MixConfig;
}

const BASELINES: readonly Baseline[] = [LAST_VALUE, SEASONAL_NAIVE];
const CHAMPION = 0;
const CHALLENGER = 1;

/**
 * Compares what was forecast with what has now arrived, and gives new forecasts their interval.
 *
 * For each bucket: first the forecasts for it that wait (at the scored steps, of champion and challenger) and the
 * baselines' go to the output `scores`, and the residuals move the quantile trackers; then the new forecasts are put to
 * wait, and the champion's goes to the main output with `lower` and `upper`. A model's intervals begin with the
 * calibration of its artefact. Where a series' champion has lately been worse than the better naive forecast, that one
 * goes out in its place, under its own name (guard.ts); the champion is scored on. Where there is no model, both naive
 * forecasts go out in shares by horizon step (naive-mix.ts). A challenger that is promoted takes its trackers along. A
 * score names the role in which a forecast was made, whatever has become of the model since.
 */
export class Scoring implements Operator<ForecastCandidates, Forecast> {
  readonly #config: ScoreConfig;
  readonly #layout: ScoreLayout;
  readonly #weights: Float64Array;
  readonly #levels: IntervalLevels;
  #devices!: KeyedStore<DeviceScores>;
  #ratios!: KeyedStore<SeriesBlocks>;

  constructor(config: ScoreConfig) {
    this.#config = config;
    const { level: main, levels, steps, season } = config;
    this.#levels = new IntervalLevels({ main, levels, steps, season, trackers: SLOTS + BASELINES.length });
    this.#weights = stepWeights(config.steps);
    this.#layout = scoreLayout(config.steps, config.horizon, config.intervals.floats);
  }

  init(context: OperatorContext): void {
    this.#devices = context.keyed('scores', readingBefore(this.#layout, deviceScoresCodec(this.#layout)));
    this.#ratios = context.keyed('interval-levels', this.#levels.codec);
  }

  process(record: StreamRecord<ForecastCandidates>, out: Collector<Forecast>): void {
    const { window, candidates } = record.value;
    let device = this.#devices.get(record);
    if (device === undefined) {
      device = { blocks: new SeriesBlocks(this.#layout.bytes), models: [] };
      this.#devices.set(record, device);
    }
    const block = device.blocks.findOrAdd(window.quantity);
    const ratios = this.#ratiosOf(record);
    this.#passOver(device, block, window);
    const entries = this.#judge(device, block, window, ratios);
    if (entries.length > 0) {
      const score: Score = {
        type: 'Score',
        device: record.key,
        quantity: window.quantity,
        time: window.origin - window.interval,
        actual: window.actual,
        deviation: window.deviation,
        entries,
        inputOffset: record.offset,
      };
      out.emitTo('scores', score, score.time);
    }
    this.#clearOrigin(device, block, window);
    this.#awaitBaselines(device.blocks, block, window);
    for (const given of candidates) {
      const candidate = this.#mixed(device.blocks, block, window, given);
      const tracker = this.#trackerFor(device, block, window, candidate, ratios);
      const halves = this.#await(device, block, window, candidate, tracker);
      if (candidate.role !== 'champion') continue;
      const kept = this.#kept(device, block, candidate);
      if (kept === undefined) {
        out.emit(this.#forecast(record, candidate, halves, tracker, ratios), window.origin);
      } else {
        out.count('naive-kept');
        out.emit(this.#naive(record, device.blocks, block, kept, ratios), window.origin);
      }
    }
  }

  /** Of the further levels; undefined where there are none. */
  #ratiosOf(record: StreamRecord<ForecastCandidates>): SeriesBlocks | undefined {
    if (this.#levels.levels.length === 0) return undefined;
    let ratios = this.#ratios.get(record);
    if (ratios === undefined) {
      ratios = this.#levels.blocks();
      this.#ratios.set(record, ratios);
    }
    return ratios;
  }

  /** Notes that empty buckets had no forecast. */
  #passOver(device: DeviceScores, block: number, window: SeriesWindow): void {
    const layout = this.#layout;
    const { u8, f64 } = device.blocks;
    const originAt = (block * layout.bytes) / 8 + layout.at.origin;
    const index = Math.round(window.origin / window.interval);
    const empty = index - Math.round(f64[originAt]! / window.interval) - 1;
    for (let slot = 0; slot < SLOTS; slot++) {
      const base = block * layout.bytes + layout.at.models + slot * layout.horizon;
      for (let i = 1; i <= Math.min(layout.horizon, empty); i++) u8[base + modulo(index - i, layout.horizon)] = 0;
    }
    f64[originAt] = window.origin;
  }

  /** The place of the origin that is one horizon old, now judged at its last step, becomes this origin's. */
  #clearOrigin(device: DeviceScores, block: number, window: SeriesWindow): void {
    const layout = this.#layout;
    const index = Math.round(window.origin / window.interval);
    for (let slot = 0; slot < SLOTS; slot++) {
      const base = block * layout.bytes + layout.at.models + slot * layout.horizon;
      device.blocks.u8[base + modulo(index, layout.horizon)] = 0;
    }
  }

  #judge(device: DeviceScores, block: number, window: SeriesWindow, ratios?: SeriesBlocks): ScoreEntry[] {
    const layout = this.#layout;
    const config = this.#config;
    const { blocks } = device;
    const unit = scaleOf(window.deviation);
    const target = Math.round(window.origin / window.interval) - 1;
    const entries: ScoreEntry[] = [];
    const withModel = new WeightedErrors();
    const guarded = blocks.u8[block * layout.bytes + layout.at.guarded]!;
    for (let slot = 0; slot < SLOTS; slot++) {
      for (const [i, step] of config.steps.entries()) {
        const origin = target - step + 1;
        const models = block * layout.bytes + layout.at.models + slot * layout.horizon;
        const number = blocks.u8[models + modulo(origin, layout.horizon)]!;
        if (number === 0) continue;
        const place = slot * layout.waiting + layout.ringAt[i]! + modulo(target, step);
        const value = blocks.f64[(block * layout.bytes) / 8 + layout.at.values + place]!;
        const half = blocks.f32[(block * layout.bytes) / 4 + layout.at.halves + place]!;
        const model = device.models[number - 1]!;
        const role = slot === CHAMPION ? 'champion' : 'challenger';
        entries.push({ model, role, step, value, lower: value - half, upper: value + half });
        const error = Math.abs(window.actual - value) / unit;
        const tracker = this.#trackerOf(blocks, block, number);
        if (tracker >= 0) {
          this.#track(blocks, block, tracker, i, error, error > half / unit);
          if (ratios) this.#levels.track(ratios, window.quantity, tracker, i, error, half / unit);
        }
        if (slot !== CHAMPION || number !== guarded) continue;
        const last = this.#hindcastError(LAST_VALUE, window, step) / unit;
        const seasonal = this.#hindcastError(SEASONAL_NAIVE, window, step) / unit;
        if (!Number.isNaN(last + seasonal)) withModel.add(this.#weights[i]!, last, seasonal, error);
      }
    }
    for (const [b, model] of BASELINES.entries()) {
      this.#beginBaseline(blocks, block, SLOTS + b);
      for (const [i, step] of config.steps.entries()) {
        const value = hindcast(model, window, step, config.season);
        if (Number.isNaN(value)) continue;
        const half = this.#baselineHalf(blocks, block, b, i, target, window);
        entries.push({ model, role: 'baseline', step, value, lower: value - half, upper: value + half });
        const error = Math.abs(window.actual - value) / unit;
        this.#track(blocks, block, SLOTS + b, i, error, error > half / unit);
        if (ratios) this.#levels.track(ratios, window.quantity, SLOTS + b, i, error, half / unit);
      }
    }
    const errorsOf = (baseline: Baseline) =>
      Float64Array.from(config.steps, (step) => this.#hindcastError(baseline, window, step) / unit);
    const naive = { lastValue: errorsOf(LAST_VALUE), seasonalNaive: errorsOf(SEASONAL_NAIVE) };
    watchMix(config.mix, blocks.f32, this.#mixAt(block), naive);
    watchModel(config.guard, blocks.f32, this.#guardAt(block), withModel.means());
    return entries;
  }

  /** The half-width that a baseline's forecast for this bucket was given; that of now where none was made. */
  #baselineHalf(
    blocks: SeriesBlocks,
    block: number,
    baseline: number,
    i: number,
    target: number,
    window: SeriesWindow,
  ): number {
    const layout = this.#layout;
    const step = layout.steps[i]!;
    // Each origin that was forecast from has a champion, if only a naive one.
    const models = block * layout.bytes + layout.at.models + CHAMPION * layout.horizon;
    if (blocks.u8[models + modulo(target - step + 1, layout.horizon)] === 0) {
      return Math.fround(this.#quantile(blocks, block, SLOTS + baseline, i) * window.deviation);
    }
    const place = (SLOTS + baseline) * layout.waiting + layout.ringAt[i]! + modulo(target, step);
    return blocks.f32[(block * layout.bytes) / 4 + layout.at.halves + place]!;
  }

  #awaitBaselines(blocks: SeriesBlocks, block: number, window: SeriesWindow): void {
    const layout = this.#layout;
    const index = Math.round(window.origin / window.interval);
    for (let b = 0; b < BASELINES.length; b++) {
      for (const [i, step] of layout.steps.entries()) {
        const place = (SLOTS + b) * layout.waiting + layout.ringAt[i]! + modulo(index + step - 1, step);
        const half = this.#quantile(blocks, block, SLOTS + b, i) * window.deviation;
        blocks.f32[(block * layout.bytes) / 4 + layout.at.halves + place] = half;
      }
    }
  }

  /** The naive forecast that serves instead of this candidate; a new model begins with a clean slate. */
  #kept(device: DeviceScores, block: number, candidate: Candidate): Baseline | undefined {
    if (isNaiveName(candidate.model)) return undefined;
    const { blocks } = device;
    const at = block * this.#layout.bytes + this.#layout.at.guarded;
    const number = modelNumber(this.#layout, device, candidate.model);
    const guard = this.#guardAt(block);
    if (blocks.u8[at] !== number) {
      blocks.u8[at] = number;
      forgetModel(blocks.f32, guard);
    }
    return keptInstead(blocks.f32, guard);
  }

  /** Where there is no model: both naive forecasts in shares, once it is known how good they are on this series. */
  #mixed(blocks: SeriesBlocks, block: number, window: SeriesWindow, candidate: Candidate): Candidate {
    const { steps, mix, horizon, season } = this.#config;
    if (!isNaiveName(candidate.model) || window.values.length < season) return candidate;
    const shares = mixShares(mix, blocks.f32, this.#mixAt(block), steps.length);
    if (shares === undefined) return candidate;
    const model = mixName(shares);
    if (BASELINES.includes(model as Baseline)) return this.#naiveCandidate(window, model as Baseline);
    const spread = (at: (i: number) => number): Float64Array => {
      const out = new Float64Array(horizon);
      spreadOverHorizon(steps, at, out);
      return out;
    };
    const share = spread((i) => shares[i]!);
    const last = baselineForecast(LAST_VALUE, window.values, horizon, season);
    const seasonal = baselineForecast(SEASONAL_NAIVE, window.values, horizon, season);
    const values = last.map((value, h) => share[h]! * value + (1 - share[h]!) * seasonal[h]!);
    // Its intervals begin between those of both.
    const half = (b: number, i: number) => this.#quantile(blocks, block, SLOTS + b, i);
    const calibration = spread((i) => shares[i]! * half(0, i) + (1 - shares[i]!) * half(1, i));
    return { role: 'champion', model, calibration: Array.from(calibration), unit: scaleOf(window.deviation), values };
  }

  #naiveCandidate(window: SeriesWindow, model: Baseline): Candidate {
    const { horizon, season } = this.#config;
    const values = baselineForecast(model, window.values, horizon, season);
    return { role: 'champion', model, calibration: [], unit: scaleOf(window.deviation), values };
  }

  /** In units; NaN where the window does not reach back so far. */
  #hindcastError(baseline: Baseline, window: SeriesWindow, step: number): number {
    return Math.abs(window.actual - hindcast(baseline, window, step, this.#config.season));
  }

  #naive(
    record: StreamRecord<ForecastCandidates>,
    blocks: SeriesBlocks,
    block: number,
    model: Baseline,
    ratios?: SeriesBlocks,
  ): Forecast {
    const { window } = record.value;
    const candidate = this.#naiveCandidate(window, model);
    const tracker = SLOTS + BASELINES.indexOf(model);
    this.#beginBaseline(blocks, block, tracker);
    const halves = this.#halves(blocks, block, tracker, window);
    return this.#forecast(record, candidate, halves, tracker, ratios);
  }

  #guardAt(block: number): number {
    return (block * this.#layout.bytes) / 4 + this.#layout.at.guard;
  }

  #mixAt(block: number): number {
    return (block * this.#layout.bytes) / 4 + this.#layout.at.mix;
  }

  #halves(blocks: SeriesBlocks, block: number, tracker: number, window: SeriesWindow): Float64Array {
    const halves = new Float64Array(this.#config.horizon);
    spreadOverHorizon(this.#config.steps, (i) => this.#quantile(blocks, block, tracker, i), halves);
    for (let h = 0; h < halves.length; h++) halves[h] = Math.fround(halves[h]! * window.deviation);
    return halves;
  }

  /** Keeps the forecast at the scored steps. @returns the half-widths of its interval */
  #await(
    device: DeviceScores,
    block: number,
    window: SeriesWindow,
    candidate: Candidate,
    tracker: number,
  ): Float64Array {
    const layout = this.#layout;
    const config = this.#config;
    const { blocks } = device;
    const number = modelNumber(layout, device, candidate.model);
    const slot = slotOf(candidate);
    const halves = this.#halves(blocks, block, tracker, window);
    const index = Math.round(window.origin / window.interval);
    blocks.u8[block * layout.bytes + layout.at.models + slot * layout.horizon + modulo(index, layout.horizon)] = number;
    for (const [i, step] of config.steps.entries()) {
      const place = slot * layout.waiting + layout.ringAt[i]! + modulo(index + step - 1, step);
      blocks.f64[(block * layout.bytes) / 8 + layout.at.values + place] = candidate.values[step - 1]!;
      blocks.f32[(block * layout.bytes) / 4 + layout.at.halves + place] = halves[step - 1]!;
    }
    return halves;
  }

  /** The tracker of a candidate; begun with its calibration where the slot's belongs to another model. */
  #trackerFor(
    device: DeviceScores,
    block: number,
    window: SeriesWindow,
    candidate: Candidate,
    ratios?: SeriesBlocks,
  ): number {
    const { blocks } = device;
    const number = modelNumber(this.#layout, device, candidate.model);
    const slot = slotOf(candidate);
    const baseline = BASELINES.indexOf(candidate.model as Baseline);
    if (baseline >= 0) return SLOTS + baseline;
    const layout = this.#layout;
    const config = this.#config;
    const tracked = block * layout.bytes + layout.at.tracked;
    if (blocks.u8[tracked + slot] === number) return slot;
    if (this.#trackerOf(blocks, block, number) >= 0) {
      swap(blocks.f32, (block * layout.bytes) / 4 + layout.at.trackers, layout.steps.length * layout.floats);
      swap(blocks.u8, tracked, 1);
      if (ratios) this.#levels.swap(ratios, window.quantity, CHAMPION, CHALLENGER);
      return slot;
    }
    blocks.u8[tracked + slot] = number;
    for (const [i, step] of config.steps.entries()) {
      const expected = candidate.calibration[step - 1];
      const q = expected === undefined ? FIRST_QUANTILE : (expected * candidate.unit) / scaleOf(window.deviation);
      this.#begin(blocks, block, slot, i, q);
    }
    if (ratios) this.#levels.begin(ratios, window.quantity, slot);
    return slot;
  }

  /** The slot whose tracker belongs to the model, or −1. */
  #trackerOf(blocks: SeriesBlocks, block: number, number: number): number {
    const at = block * this.#layout.bytes + this.#layout.at.tracked;
    return blocks.u8[at + CHAMPION] === number ? CHAMPION : blocks.u8[at + CHALLENGER] === number ? CHALLENGER : -1;
  }

  #beginBaseline(blocks: SeriesBlocks, block: number, tracker: number): void {
    const at = block * this.#layout.bytes + this.#layout.at.tracked + tracker;
    if (blocks.u8[at] === 1) return;
    blocks.u8[at] = 1;
    for (let i = 0; i < this.#config.steps.length; i++) this.#begin(blocks, block, tracker, i, FIRST_QUANTILE);
  }

  #begin(blocks: SeriesBlocks, block: number, tracker: number, step: number, q: number): void {
    this.#config.intervals.begin(blocks.f32, this.#trackerAt(block, tracker, step), q);
  }

  #track(blocks: SeriesBlocks, block: number, tracker: number, i: number, residual: number, missed: boolean): void {
    const at = this.#trackerAt(block, tracker, i);
    this.#config.intervals.track(blocks.f32, at, residual, missed, this.#config.steps[i]!);
  }

  #quantile(blocks: SeriesBlocks, block: number, tracker: number, step: number): number {
    return this.#config.intervals.halfWidth(blocks.f32, this.#trackerAt(block, tracker, step));
  }

  #trackerAt(block: number, tracker: number, step: number): number {
    const layout = this.#layout;
    return (block * layout.bytes) / 4 + layout.at.trackers + (tracker * layout.steps.length + step) * layout.floats;
  }

  #forecast(
    record: StreamRecord<ForecastCandidates>,
    candidate: Candidate,
    halves: Float64Array,
    tracker: number,
    ratios?: SeriesBlocks,
  ): Forecast {
    const { window } = record.value;
    const values = Array.from(candidate.values);
    return {
      type: 'Forecast',
      device: record.key,
      quantity: window.quantity,
      origin: window.origin,
      interval: window.interval,
      values,
      lower: values.map((value, h) => value - halves[h]!),
      upper: values.map((value, h) => value + halves[h]!),
      level: this.#config.level,
      model: candidate.model,
      inputOffset: record.offset,
      arithmetic: ARITHMETIC_VERSION,
      intervals: ratios ? this.#levels.intervals(ratios, window.quantity, tracker, values, halves) : [],
    };
  }
}

/** Means over horizon steps; NaN before the first. */
class WeightedErrors {
  #weight = 0;
  #model = 0;
  #lastValue = 0;
  #seasonalNaive = 0;

  add(weight: number, lastValue: number, seasonalNaive: number, model: number): void {
    this.#weight += weight;
    this.#model += weight * model;
    this.#lastValue += weight * lastValue;
    this.#seasonalNaive += weight * seasonalNaive;
  }

  means() {
    const over = this.#weight;
    return { model: this.#model / over, lastValue: this.#lastValue / over, seasonalNaive: this.#seasonalNaive / over };
  }
}

function slotOf({ role }: Candidate): number {
  return role === 'champion' ? CHAMPION : CHALLENGER;
}

function modulo(value: number, by: number): number {
  return ((value % by) + by) % by;
}

/** Changes the first `length` elements with the `length` after them. */
function swap(array: Float64Array | Float32Array | Uint8Array, at: number, length: number): void {
  for (let i = at; i < at + length; i++) {
    const kept = array[i]!;
    array[i] = array[i + length]!;
    array[i + length] = kept;
  }
}
