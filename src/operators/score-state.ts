import type { StoreCodec } from '../state/store.ts';
import { ByteReader, ByteWriter, versionOf } from './binary.ts';
import { GUARD_FLOATS } from './guard.ts';
import { mixFloats } from './naive-mix.ts';
import { type BlockLayout, blockLayout, SeriesBlocks } from './series-blocks.ts';

/** Roles whose forecasts wait for their actuals: champion and challenger. */
export const SLOTS = 2;

/**
 * What `score` holds of a series: for each slot the forecasts that wait (one ring for each scored step, as long as the
 * step: a few hundred bytes for a day of hours), which model made those of each origin, and the quantile trackers of
 * both models and both baselines.
 */
export interface ScoreLayout extends BlockLayout<ReturnType<typeof fields>> {
  readonly steps: readonly number[];
  readonly horizon: number;
  /** Forecasts that wait in one slot. */
  readonly waiting: number;
  /** Where the ring of each step begins within the slot. */
  readonly ringAt: readonly number[];
  /** Of the interval method, for each tracker and step. */
  readonly floats: number;
}

function fields(waiting: number, horizon: number, steps: number, floats: number) {
  return {
    /** Forecast values `[slot, waiting]`. */
    values: ['f64', SLOTS * waiting],
    /** Half-widths that went out with them, `[slot, waiting]`, and those that the baselines' forecasts would have had. */
    halves: ['f32', (SLOTS + 2) * waiting],
    /** `[tracker, step, floats of the interval method]`: slots, then baselines. */
    trackers: ['f32', (SLOTS + 2) * steps * floats],
    /** See guard.ts; of the model in `guarded`. */
    guard: ['f32', GUARD_FLOATS],
    /** See naive-mix.ts. */
    mix: ['f32', mixFloats(steps)],
    /** End of the newest bucket. */
    origin: ['f64', 1],
    /** Model of each origin, `[slot, horizon]`: number in the device's table, 0 for none. */
    models: ['u8', SLOTS * horizon],
    /** Model that the slot's trackers belong to; for baselines 1 once they have begun. */
    tracked: ['u8', SLOTS + 2],
    /** Model that the guard watches: number in the device's table. */
    guarded: ['u8', 1],
  } as const;
}

/** @param floats of the interval method */
export function scoreLayout(steps: readonly number[], horizon: number, floats: number): ScoreLayout {
  const ringAt: number[] = [];
  let waiting = 0;
  for (const step of steps) {
    ringAt.push(waiting);
    waiting += step;
  }
  return { ...blockLayout(fields(waiting, horizon, steps.length, floats)), steps, horizon, waiting, ringAt, floats };
}

/** State of a device: its series, and the names of the models that they refer to by number (from 1). */
export interface DeviceScores {
  readonly blocks: SeriesBlocks;
  readonly models: string[];
}

export function deviceScoresCodec(layout: ScoreLayout): StoreCodec<DeviceScores> {
  return {
    // Other steps, another horizon or another way to intervals read no old state.
    version: versionOf([3, layout.horizon, layout.steps, layout.floats]),
    encode({ blocks, models }) {
      const writer = new ByteWriter().count(models.length);
      for (const model of models) writer.text(model);
      writer.count(blocks.names.length);
      for (const name of blocks.names) writer.text(name);
      return writer.raw(blocks.u8).done();
    },
    decode(bytes) {
      const reader = new ByteReader(bytes);
      const models = Array.from({ length: reader.count() }, () => reader.text());
      const names = Array.from({ length: reader.count() }, () => reader.text());
      return { blocks: new SeriesBlocks(layout.bytes, names, reader.raw()), models };
    },
  };
}

/** Most names in a device's table; above it, names that no waiting forecast refers to are dropped. */
const MAX_MODELS = 16;

/** Number of the model in the device's table. */
export function modelNumber(layout: ScoreLayout, device: DeviceScores, model: string): number {
  const found = device.models.indexOf(model);
  if (found >= 0) return found + 1;
  if (device.models.length >= MAX_MODELS) forgetUnused(layout, device);
  return device.models.push(model);
}

function forgetUnused(layout: ScoreLayout, device: DeviceScores): void {
  const { blocks, models } = device;
  const used = new Map<number, number>();
  const kept: string[] = [];
  const renumber = (at: number): void => {
    const old = blocks.u8[at]!;
    if (old === 0) return;
    let number = used.get(old);
    if (number === undefined) {
      number = kept.push(models[old - 1]!);
      used.set(old, number);
    }
    blocks.u8[at] = number;
  };
  for (let block = 0; block < blocks.names.length; block++) {
    const base = block * layout.bytes;
    for (let i = 0; i < SLOTS * layout.horizon; i++) renumber(base + layout.at.models + i);
    for (let slot = 0; slot < SLOTS; slot++) renumber(base + layout.at.tracked + slot);
    renumber(base + layout.at.guarded);
  }
  models.splice(0, models.length, ...kept);
}
