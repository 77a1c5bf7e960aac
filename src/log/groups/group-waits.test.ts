import { expect, it } from 'vitest';
import { emptyGroup, enter, step, waits } from './group-state.ts';

const SESSION = 10_000;

function groupOf(partitions: number, ...ids: readonly string[]) {
  const state = emptyGroup();
  for (const id of ids) {
    enter(state, id, { incarnation: `run of ${id}`, seenAt: 1_000, sessionMs: SESSION }, partitions);
    step(state, id, `run of ${id}`);
  }
  return state;
}

it('tells a new member which of its partitions another holds, and until when if that was killed', () => {
  const state = groupOf(4, 'first', 'second');
  expect(waits(state, 'first', 2_000)).toEqual([]);
  const share = waits(state, 'second', 2_000);
  expect(share).toHaveLength(2);
  for (const wait of share) expect(wait).toMatchObject({ holder: 'first', until: 11_000 });
  // Where members live and die together, nothing is given up by time.
  expect(waits(state, 'second', undefined)).toEqual(share.map((wait) => ({ ...wait, until: undefined })));
});

it('tells a member without any partition what silent ones hold, also where that is not its share', () => {
  const state = groupOf(1, 'first', 'second');
  expect(waits(state, 'second', 2_000)).toEqual([]);
  expect(waits(state, 'second', 6_000)).toEqual([{ partition: 0, holder: 'first', until: 11_000 }]);
});
