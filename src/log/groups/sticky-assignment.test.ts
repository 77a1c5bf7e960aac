import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stickyAssignment } from './sticky-assignment.ts';

function counts(result: readonly string[], members: readonly string[]): number[] {
  return members.map((member) => result.filter((owner) => owner === member).length);
}

const arrangement = fc
  .record({
    partitions: fc.integer({ min: 0, max: 40 }),
    members: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'), { minLength: 1 }),
  })
  .chain(({ partitions, members }) =>
    fc.record({
      partitions: fc.constant(partitions),
      members: fc.constant(members),
      owners: fc.array(fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'gone'), { nil: undefined }), {
        minLength: partitions,
        maxLength: partitions,
      }),
    }),
  );

describe('stickyAssignment', () => {
  test('balances, and does not depend on the order of the members', () => {
    fc.assert(
      fc.property(arrangement, ({ partitions, members, owners }) => {
        const result = stickyAssignment(partitions, members, owners);
        expect(result).toHaveLength(partitions);
        const sizes = counts(result, members);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(sizes.reduce((a, b) => a + b, 0)).toBe(partitions);
        expect(stickyAssignment(partitions, [...members].reverse(), owners)).toEqual(result);
        expect(stickyAssignment(partitions, members, result)).toEqual(result);
      }),
    );
  });

  test('moves no more than balance asks for', () => {
    fc.assert(
      fc.property(arrangement, ({ partitions, members, owners }) => {
        const result = stickyAssignment(partitions, members, owners);
        const moved = result.filter((owner, p) => owners[p] !== owner).length;
        const held = members.map((m) => owners.filter((o) => o === m).length).sort((a, b) => b - a);
        const least = Math.floor(partitions / members.length);
        const extra = partitions % members.length;
        const kept = held.reduce((sum, n, rank) => sum + Math.min(n, least + (rank < extra ? 1 : 0)), 0);
        expect(moved).toBe(partitions - kept);
      }),
    );
  });

  test('a joining member takes its share and leaves the rest where it was', () => {
    const before = stickyAssignment(8, ['a', 'b'], []);
    const after = stickyAssignment(8, ['a', 'b', 'c'], before);
    expect(counts(after, ['c'])).toEqual([2]);
    expect(after.filter((owner, p) => owner !== before[p])).toEqual(['c', 'c']);
  });

  test('nobody gets anything without members', () => {
    expect(stickyAssignment(3, [], ['a', 'a', 'a'])).toEqual([]);
  });
});
