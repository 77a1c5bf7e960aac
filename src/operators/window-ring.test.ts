import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeriesBlocks } from './series-blocks.ts';
import { ringLayout, WindowRing } from './window-ring.ts';

const config = { interval: 10, lookback: 4, scaleLength: 6 };
const layout = ringLayout(config);

function newRing(): { ring: WindowRing; blocks: SeriesBlocks } {
  const blocks = new SeriesBlocks(layout.bytes);
  blocks.add('other');
  blocks.add('q');
  return { ring: new WindowRing(config), blocks };
}

describe('window ring', () => {
  it('keeps the newest values and fills gaps with the value before them', () => {
    const { ring, blocks } = newRing();
    expect(ring.origin(blocks, 1)).toBeUndefined();
    expect(ring.push(blocks, 1, 100, 1)).toBe(0);
    expect(ring.push(blocks, 1, 130, 2)).toBe(2);
    expect([...ring.values(blocks, 1, 4)]).toEqual([1, 1, 1, 2]);
    expect(ring.measured(blocks, 1, 4)).toBe(2);
    expect(ring.origin(blocks, 1)).toBe(140);
    expect(ring.push(blocks, 1, 130, 9)).toBe(-1);
    // As long a gap as the ring: what was before it says nothing any more.
    expect(ring.push(blocks, 1, 200, 5)).toBe(6);
    expect(ring.countOf(blocks, 1)).toBe(1);
    expect(ring.countOf(blocks, 0)).toBe(0);
  });

  it('takes mean and deviation of what was measured', () => {
    const { ring, blocks } = newRing();
    ring.push(blocks, 1, 0, 1e9 + 1);
    ring.push(blocks, 1, 30, 1e9 + 5);
    expect(ring.scale(blocks, 1)).toEqual({ mean: 1e9 + 3, deviation: 2 });
  });

  it('gives a constant series the deviation zero, exactly', () => {
    fc.assert(
      fc.property(
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.integer({ min: 1, max: 20 }),
        (value, times) => {
          const { ring, blocks } = newRing();
          for (let i = 0; i < times; i++) ring.push(blocks, 1, i * 10, value);
          expect(ring.scale(blocks, 1)).toEqual({ mean: value + 0, deviation: 0 });
        },
      ),
    );
  });

  it('corrects a bucket and the fills after it, as if it had been so from the start', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: -5, max: 5 })), {
          minLength: 2,
          maxLength: 20,
        }),
        fc.nat(),
        fc.integer({ min: -50, max: 50 }),
        (steps, pick, value) => {
          const buckets: [number, number][] = [];
          let start = 0;
          for (const [gap, one] of steps) {
            start += gap * 10;
            buckets.push([start, one]);
            start += 10;
          }
          const changed = newRing();
          for (const [at, one] of buckets) changed.ring.push(changed.blocks, 1, at, one);
          const held = changed.ring.countOf(changed.blocks, 1);
          const end = changed.ring.origin(changed.blocks, 1)!;
          const [at] = buckets[pick % buckets.length]!;
          const inside = at >= end - held * 10;
          expect(changed.ring.correct(changed.blocks, 1, at, value)).toBe(inside);
          if (!inside) return;
          const expected = newRing();
          for (const [bucket, one] of buckets)
            expected.ring.push(expected.blocks, 1, bucket, bucket === at ? value : one);
          expect(changed.ring.values(changed.blocks, 1, held)).toEqual(expected.ring.values(expected.blocks, 1, held));
          expect(changed.ring.scale(changed.blocks, 1)).toEqual(expected.ring.scale(expected.blocks, 1));
        },
      ),
    );
  });

  it('takes a bucket into a gap', () => {
    const { ring, blocks } = newRing();
    ring.push(blocks, 1, 0, 1);
    ring.push(blocks, 1, 30, 4);
    expect(ring.correct(blocks, 1, 10, 2)).toBe(true);
    expect([...ring.values(blocks, 1, 4)]).toEqual([1, 2, 2, 4]);
    expect(ring.measured(blocks, 1, 4)).toBe(3);
  });
});
