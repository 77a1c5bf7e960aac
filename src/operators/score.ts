import type { Forecast, Score, ScoreEntry } from '../events/records.ts';
import { ARITHMETIC_VERSION } from '../models/arithmetic.ts';
import type { KeyedStore } from '../state/store.ts';
import { type Baseline, hindcast, LAST_VALUE, SEASONAL_NAIVE } from './baselines.ts';
import { FIRST_QUANTILE, type QuantileConfig, spreadOverHorizon, trackQuantile } from './interval.ts';
import { type Candidate, type ForecastCandidates, type SeriesWindow, scaleOf } from './items.ts';
import type { Collector, Operator, OperatorContext, StreamRecord } from './operator.ts';
import {
  type DeviceScores,
  deviceScoresCodec,
  modelNumber,
  type ScoreLayout,
  SLOTS,
  scoreLayout,
} from './score-state.ts';
import { SeriesBlocks } from './series-blocks.ts';

export interface ScoreConfig {
  readonly horizon: number;
  readonly season: number;
  /** Horizon steps that are scored, ascending; the last is the horizon. */
  readonly steps: readonly number[];
  readonly quantile: QuantileConfig;
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
 * calibration of its artefact; a challenger that is promoted takes its trackers along. A score names the role in which a
 * forecast was made, whatever has become of the model since.
 */
export class Scoring implements Operator<ForecastCandidates, Forecast> {
  readonly #config: ScoreConfig;
  readonly #layout: ScoreLayout;
  #devices!: KeyedStore<DeviceScores>;

  constructor(config: ScoreConfig) {
    this.#config = config;
    this.#layout = scoreLayout(config.steps, config.horizon);
  }

  init(context: OperatorContext): void {
    this.#devices = context.keyed('scores', deviceScoresCodec(this.#layout));
  }

  process(record: StreamRecord<ForecastCandidates>, out: Collector<Forecast>): void {
    const { window, candidates } = record.value;
    let device = this.#devices.get(record);
    if (device === undefined) {
      device = { blocks: new SeriesBlocks(this.#layout.bytes), models: [] };
      this.#devices.set(record, device);
    }
    const block = device.blocks.findOrAdd(window.quantity);
    this.#passOver(device, block, window);
    const entries = this.#judge(device, block, window);
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
    for (const candidate of candidates) {
      const halves = this.#await(device, block, window, candidate);
      if (candidate.role === 'champion') out.emit(this.#forecast(record, candidate, halves), window.origin);
    }
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

  #judge(device: DeviceScores, block: number, window: SeriesWindow): ScoreEntry[] {
    const layout = this.#layout;
    const config = this.#config;
    const { blocks } = device;
    const unit = scaleOf(window.deviation);
    const target = Math.round(window.origin / window.interval) - 1;
    const entries: ScoreEntry[] = [];
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
        const tracker = this.#trackerOf(blocks, block, number);
        if (tracker >= 0) this.#track(blocks, block, tracker, i, Math.abs(window.actual - value) / unit);
      }
    }
    for (const [b, model] of BASELINES.entries()) {
      this.#beginBaseline(blocks, block, SLOTS + b);
      for (const [i, step] of config.steps.entries()) {
        const value = hindcast(model, window.values, step, config.season);
        if (Number.isNaN(value)) continue;
        const half = Math.fround(this.#quantile(blocks, block, SLOTS + b, i) * window.deviation);
        entries.push({ model, role: 'baseline', step, value, lower: value - half, upper: value + half });
        this.#track(blocks, block, SLOTS + b, i, Math.abs(window.actual - value) / unit);
      }
    }
    return entries;
  }

  /** Keeps the forecast at the scored steps. @returns the half-widths of its interval */
  #await(device: DeviceScores, block: number, window: SeriesWindow, candidate: Candidate): Float64Array {
    const layout = this.#layout;
    const config = this.#config;
    const { blocks } = device;
    const number = modelNumber(layout, device, candidate.model);
    const slot = candidate.role === 'champion' ? CHAMPION : CHALLENGER;
    const tracker = this.#trackerFor(blocks, block, slot, number, window, candidate);
    const halves = new Float64Array(config.horizon);
    spreadOverHorizon(config.steps, (i) => this.#quantile(blocks, block, tracker, i), halves);
    for (let h = 0; h < halves.length; h++) halves[h] = Math.fround(halves[h]! * window.deviation);
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
    blocks: SeriesBlocks,
    block: number,
    slot: number,
    number: number,
    window: SeriesWindow,
    candidate: Candidate,
  ): number {
    const baseline = BASELINES.indexOf(candidate.model as Baseline);
    if (baseline >= 0) return SLOTS + baseline;
    const layout = this.#layout;
    const config = this.#config;
    const tracked = block * layout.bytes + layout.at.tracked;
    if (blocks.u8[tracked + slot] === number) return slot;
    if (this.#trackerOf(blocks, block, number) >= 0) {
      swap(blocks.f32, (block * layout.bytes) / 4 + layout.at.trackers, layout.steps.length * 2);
      swap(blocks.u8, tracked, 1);
      return slot;
    }
    blocks.u8[tracked + slot] = number;
    for (const [i, step] of config.steps.entries()) {
      const expected = candidate.calibration[step - 1];
      const q = expected === undefined ? FIRST_QUANTILE : (expected * candidate.unit) / scaleOf(window.deviation);
      this.#begin(blocks, block, slot, i, q);
    }
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
    const at = this.#trackerAt(block, tracker, step);
    blocks.f32[at] = q;
    blocks.f32[at + 1] = q;
  }

  #track(blocks: SeriesBlocks, block: number, tracker: number, step: number, residual: number): void {
    trackQuantile(this.#config.quantile, blocks.f32, this.#trackerAt(block, tracker, step), residual);
  }

  #quantile(blocks: SeriesBlocks, block: number, tracker: number, step: number): number {
    return blocks.f32[this.#trackerAt(block, tracker, step)]!;
  }

  #trackerAt(block: number, tracker: number, step: number): number {
    const layout = this.#layout;
    return (block * layout.bytes) / 4 + layout.at.trackers + (tracker * layout.steps.length + step) * 2;
  }

  #forecast(record: StreamRecord<ForecastCandidates>, candidate: Candidate, halves: Float64Array): Forecast {
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
      level: this.#config.quantile.level,
      model: candidate.model,
      inputOffset: record.offset,
      arithmetic: ARITHMETIC_VERSION,
    };
  }
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
