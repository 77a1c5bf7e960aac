import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Candidate, decodeAssignment, encodeAssignment, planAssignment } from './membership.ts';

const member = (id: string, held: number[], more: Partial<Candidate> = {}): Candidate => ({
  id,
  name: id,
  startedAt: 0,
  generation: 1,
  held,
  ...more,
});

/** One generation: members keep what they are given and let go of the rest. */
function round(partitions: number, members: readonly Candidate[], generation: number): Candidate[] {
  const plan = planAssignment(partitions, members);
  return members.map((each) => ({ ...each, generation, held: [...plan.get(each.id)!.partitions] }));
}

describe('planAssignment', () => {
  test('gives all partitions to one member', () => {
    expect(planAssignment(4, [member('a', [])])).toEqual(new Map([['a', { partitions: [0, 1, 2, 3], coming: [] }]]));
  });

  test('a partition that moves is nobody’s until its holder has let go', () => {
    const first = round(4, [member('a', [0, 1, 2, 3]), member('b', [])], 2);
    expect(first.map((each) => each.held)).toEqual([[0, 1], []]);
    const { coming } = planAssignment(4, [member('a-1', [0, 1, 2, 3], { name: 'a' }), member('b', [])]).get('b')!;
    expect(coming).toEqual([2, 3].map((partition) => ({ partition, holder: 'a' })));
    const second = round(4, first, 3);
    expect(second.map((each) => each.held)).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  test('tells each member over the wire what it has and what is to come', () => {
    const share = { partitions: [0, 3], coming: [{ partition: 2, holder: 'a' }] };
    expect(decodeAssignment(encodeAssignment(['in', 'table'], share))).toEqual(share);
    const nothing = { partitions: [], coming: [] };
    expect(decodeAssignment(encodeAssignment(['in'], nothing))).toEqual(nothing);
    expect(decodeAssignment(Buffer.alloc(0))).toEqual(nothing);
  });

  test('the later run of a name counts, and the later generation of a claim', () => {
    const plan = planAssignment(2, [
      member('x-1', [0, 1], { name: 'x', startedAt: 1 }),
      member('x-2', [], { name: 'x', startedAt: 2 }),
    ]);
    expect(plan).toEqual(
      new Map([
        ['x-1', { partitions: [], coming: [] }],
        ['x-2', { partitions: [0, 1], coming: [] }],
      ]),
    );
    const claims = [member('a', [0, 1], { generation: 4 }), member('b', [0, 1], { generation: 9 })];
    expect(planAssignment(2, claims).get('a')!.partitions).toEqual([]);
  });

  test('settles within two rounds, and nobody holds what another holds at any time', () => {
    const claims = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1 }).chain((names) =>
      fc.record({
        names: fc.constant(names),
        partitions: fc.integer({ min: 1, max: 24 }),
        owners: fc.array(fc.integer({ min: -1, max: names.length - 1 }), { minLength: 24, maxLength: 24 }),
      }),
    );
    fc.assert(
      fc.property(claims, ({ names, partitions, owners }) => {
        let members = names.map((name, i) =>
          member(
            name,
            owners.slice(0, partitions).flatMap((owner, p) => (owner === i ? [p] : [])),
          ),
        );
        for (let generation = 2; generation <= 3; generation++) {
          members = round(partitions, members, generation);
          const all = members.flatMap((each) => each.held);
          expect(new Set(all).size).toBe(all.length);
        }
        expect(members.flatMap((each) => each.held)).toHaveLength(partitions);
        const sizes = members.map((each) => each.held.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(round(partitions, members, 4).map((each) => each.held)).toEqual(members.map((each) => each.held));
      }),
    );
  });
});
