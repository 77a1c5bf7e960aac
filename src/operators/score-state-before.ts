import type { StoreCodec } from '../state/store.ts';
import { ByteReader } from './binary.ts';
import { GUARD_FLOATS } from './guard.ts';
import { type DeviceScores, type ScoreLayout, SLOTS } from './score-state.ts';
import { blockLayout, SeriesBlocks } from './series-blocks.ts';

/** Floats of the guard then: those of now, last value and seasonal naive of all buckets, and how many those were. */
const GUARD_BEFORE = 8;
const [LAST_EVER, SEASONAL_EVER, EVER] = [5, 6, 7];

/** Version 2 of the state of `score`: one pair of naive errors for all horizon steps, in the guard. */
function layoutBefore({ waiting, horizon, steps, floats }: ScoreLayout) {
  return blockLayout({
    values: ['f64', SLOTS * waiting],
    halves: ['f32', (SLOTS + 2) * waiting],
    trackers: ['f32', (SLOTS + 2) * steps.length * floats],
    guard: ['f32', GUARD_BEFORE],
    origin: ['f64', 1],
    models: ['u8', SLOTS * horizon],
    tracked: ['u8', SLOTS + 2],
    guarded: ['u8', 1],
  });
}

/** Reads state of version 2 as well, where it has the same steps, horizon and intervals. */
export function readingBefore(layout: ScoreLayout, codec: StoreCodec<DeviceScores>): StoreCodec<DeviceScores> {
  const before = 2 + layout.horizon * 1000 + layout.steps.length + layout.floats * 10_000_000;
  return { ...codec, migrates: (version) => version === before, migrate: (bytes) => scoresBefore(layout, bytes) };
}

/** Every horizon step begins with the errors that all had in common, which remembered twice as many buckets. */
function scoresBefore(layout: ScoreLayout, bytes: Uint8Array): DeviceScores {
  const reader = new ByteReader(bytes);
  const models = Array.from({ length: reader.count() }, () => reader.text());
  const names = Array.from({ length: reader.count() }, () => reader.text());
  const from = layoutBefore(layout);
  const old = new SeriesBlocks(from.bytes, names, reader.raw());
  const blocks = new SeriesBlocks(layout.bytes, [...names], new Uint8Array(names.length * layout.bytes));
  const { waiting, horizon, steps, floats, at } = layout;
  names.forEach((_, block) => {
    const copy = (
      array: 'f64' | 'f32' | 'u8',
      size: number,
      field: keyof typeof at & keyof typeof from.at,
      length: number,
    ) => {
      const begin = (block * from.bytes) / size + from.at[field];
      blocks[array].set(old[array].subarray(begin, begin + length), (block * layout.bytes) / size + at[field]);
    };
    copy('f64', 8, 'values', SLOTS * waiting);
    copy('f64', 8, 'origin', 1);
    copy('f32', 4, 'halves', (SLOTS + 2) * waiting);
    copy('f32', 4, 'trackers', (SLOTS + 2) * steps.length * floats);
    copy('f32', 4, 'guard', GUARD_FLOATS);
    copy('u8', 1, 'models', SLOTS * horizon);
    copy('u8', 1, 'tracked', SLOTS + 2);
    copy('u8', 1, 'guarded', 1);
    const guard = (block * from.bytes) / 4 + from.at.guard;
    const mix = (block * layout.bytes) / 4 + at.mix;
    blocks.f32[mix] = old.f32[guard + EVER]!;
    for (let i = 0; i < steps.length; i++) {
      blocks.f32[mix + 1 + 2 * i] = old.f32[guard + LAST_EVER]! / 2;
      blocks.f32[mix + 2 + 2 * i] = old.f32[guard + SEASONAL_EVER]! / 2;
    }
  });
  return { blocks, models };
}
