import fc from 'fast-check';
import { expect, it } from 'vitest';
import { OpenLetters } from './open-letters.ts';

it('holds what a set holds, in as few ranges as there are', () => {
  const step = fc.record({ offset: fc.nat(30), remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      let open = new OpenLetters();
      const set = new Set<number>();
      for (const { offset, remove } of steps) {
        if (remove) open.delete(offset);
        else open.add(offset);
        if (remove) set.delete(offset);
        else set.add(offset);
        open = new OpenLetters(open.ranges);
      }
      const sorted = [...set].sort((a, b) => a - b);
      expect(open.ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i))).toEqual(
        sorted,
      );
      for (let offset = 0; offset <= 31; offset++) {
        expect(open.has(offset)).toBe(set.has(offset));
        expect(open.from(offset)).toBe(sorted.find((each) => each >= offset));
      }
      expect(open.ranges.every(([from], i) => i === 0 || open.ranges[i - 1]![1] < from)).toBe(true);
    }),
  );
});

it('gives up the oldest where there are too many, and counts them', () => {
  const open = new OpenLetters([], 2);
  for (const offset of [1, 2, 5, 9]) open.add(offset);
  expect(open.ranges).toEqual([
    [5, 6],
    [9, 10],
  ]);
  expect(open.forgotten).toBe(2);
});
