import { describe, expect, it } from 'vitest';
import { HeapStore } from '../state/heap-store.ts';
import { ROLLING_DEFAULTS, rollingMethod } from './interval-method.ts';
import { deviceScoresCodec, scoreLayout } from './score-state.ts';
import { readingBefore } from './score-state-before.ts';

/** Written by version 2: nine buckets of one series, horizon and season 2, six without a model and three with one. */
const VERSION = 20002004;
const BYTES = Buffer.from(
  'AwAAAAoAAABsYXN0LXZhbHVlDgAAAHNlYXNvbmFsLW5haXZlAgAAAG0xAQAAAAEAAABx2AAAAAAAAAAAABRAAAAAAAAAFkAAAAAAAAAKQAAAAAAAAAAA' +
    'AAAAAAAAAAAAAAAAAAAAAAAAAAAAlMFAkH2PP7sKvz8AAMA/AAAAAAAAAAAAAAAAAOsSQGIT9z/IWPg/1xn0P2IT9z/IWPg/kH2PP+OIAT+7Cr8/sp0' +
    '/PwAAAAAAAAAAAAAAAAAAAAAA6xJAwwiCP2IT9z/+N34/1xn0P/43fj9iE/c//jd+PwAAKkAAADpAAABwPwAAAEAAAIA/807FQEh4G0AAAOBAAwMAAA' +
    'MAAQEDAAAAAAAAAA==',
  'base64',
);
const layout = scoreLayout([1, 2], 2, 2);
const codec = readingBefore(layout, deviceScoresCodec(layout));

describe('state of the scores of the version before', () => {
  it('is read: forecasts that wait, trackers, guard, and the naive errors for every step', () => {
    const { blocks, models } = codec.migrate!(BYTES, VERSION);
    expect(models).toEqual(['last-value', 'seasonal-naive', 'm1']);
    expect(blocks.names).toEqual(['q']);
    expect(blocks.f64[layout.at.origin]).toBe(9000);
    expect([...blocks.f64.subarray(layout.at.values, layout.at.values + 3)]).toEqual([5, 5.5, 3.25]);
    const floats = (at: number, length: number) => [...blocks.f32.subarray(at, at + length)];
    expect(floats(layout.at.halves, 3).map((half) => half.toFixed(4))).toEqual(['1.1210', '1.4925', '1.5000']);
    expect(floats(layout.at.trackers, 4).map((float) => float.toFixed(4))).toEqual([
      '1.1210',
      '0.5060',
      '1.4925',
      '0.7485',
    ]);
    expect(floats(layout.at.guard, 5)).toEqual([2.65625, 2.90625, 0.9375, 2, 1]);
    const pair = [6.165887355804443 / 2, 2.4292163848876953 / 2];
    expect(floats(layout.at.mix, 5)).toEqual([7, ...pair, ...pair].map(Math.fround));
    expect(blocks.u8[layout.at.guarded]).toBe(3);
    expect([...blocks.u8.subarray(layout.at.tracked, layout.at.tracked + 4)]).toEqual([3, 0, 1, 1]);
  });

  it('is what a store reads, and state of other steps, horizons and intervals is not', () => {
    const store = new HeapStore('scores', codec);
    expect(store.reads(VERSION)).toBe(true);
    expect(store.reads(codec.version)).toBe(true);
    for (const other of [VERSION + 1, VERSION + 1000, VERSION + 10_000_000]) {
      expect(store.reads(other)).toBe(false);
      expect(() => store.restore(0, other, BYTES)).toThrow('no migration');
    }
  });

  it('goes through the codec of now', () => {
    const migrated = codec.migrate!(BYTES, VERSION);
    expect(codec.decode(codec.encode(migrated))).toEqual(migrated);
  });

  it('has a version that a snapshot can hold, also with the residuals themselves', () => {
    const { floats } = rollingMethod({ ...ROLLING_DEFAULTS, level: 0.9 });
    expect(deviceScoresCodec(scoreLayout([1, 2], 2, floats)).version).toBeLessThan(2 ** 32);
  });
});
