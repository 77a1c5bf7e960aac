import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFleetcastError } from '../errors.ts';
import { numberCodec } from './codecs.ts';
import { jsonCodec } from './json-codec.ts';
import { TaskState } from './task-state.ts';
import { TimerQueue } from './timer-queue.ts';

const at = (row: number) => ({ row });

function sample(): TaskState {
  const state = new TaskState();
  state.addKeyed('count/n', jsonCodec<{ n: number }>());
  state.addSlab('window/ring', { ring: ['f64', 3], at: ['i32', 1], mask: ['u8', 3], mean: ['f32', 1] });
  state.addTimers('window/#timers');
  state.addGlobal('model/id', jsonCodec<string>(), 'none');
  return state;
}

describe('TaskState', () => {
  it('restores every store of a key from its snapshot', () => {
    const from = sample();
    const row = from.keys.rowOf('a');
    const key = at(row);
    const keyed = from.column('count/n') as ReturnType<typeof from.addKeyed>;
    keyed.set(key, { n: 3 });
    const slab = from.column('window/ring') as ReturnType<typeof from.addSlab>;
    slab.create(key);
    slab.f64('ring').set([1, Number.NaN, -0], row * 3);
    slab.i32('at')[row] = -7;
    slab.u8('mask').set([1, 0, 255], row * 3);
    slab.f32('mean')[row] = 0.1;
    (from.column('window/#timers') as TimerQueue).set(key, 1234.5);
    from.globalCell('model/id')!.set('m1');

    const to = sample();
    for (let i = 0; i < 40; i++) to.keys.rowOf(`other-${i}`);
    const restored = to.restoreKey('a', from.snapshotRow(row));
    to.restoreGlobals(from.snapshotGlobals());
    expect(restored).toBe(40);
    expect(to.column('count/n')!.copy(restored)).toEqual({ n: 3 });
    expect(to.column('window/ring')!.copy(restored)).toEqual({
      ring: Float64Array.of(1, Number.NaN, -0),
      at: Int32Array.of(-7),
      mask: Uint8Array.of(1, 0, 255),
      mean: Float32Array.of(0.1),
    });
    expect((to.column('window/#timers') as TimerQueue).get(at(restored))).toBe(1234.5);
    expect(to.globalCell('model/id')!.get()).toBe('m1');
    expect(to.snapshotRow(restored)).toEqual(from.snapshotRow(row));
  });

  it('reads the rows of a former slab layout through its migration, and refuses others', () => {
    const former = { ring: ['f32', 3], at: ['i32', 1] } as const;
    const old = new TaskState();
    const slab = old.addSlab('window/ring', former);
    const row = old.keys.rowOf('a');
    slab.create(at(row));
    slab.f32('ring').set([1, 2, 3], row * 3);
    slab.i32('at')[row] = 2;

    const next = new TaskState();
    const longer = next.addSlab('window/ring', { ring: ['f64', 5], next: ['i32', 1] }, [
      {
        from: former,
        migrate: ({ ring, at }, cells) => {
          cells['ring']!.set([...ring!].reverse());
          cells['next']![0] = at![0]! + 10;
        },
      },
    ]);
    next.keys.rowOf('other');
    const restored = next.restoreKey('a', old.snapshotRow(row));
    expect(longer.copy(restored)).toEqual({ ring: Float64Array.of(3, 2, 1, 0, 0), next: Int32Array.of(12) });
    // What is written from now on is of the new layout, and needs no migration.
    const plain = new TaskState();
    plain.addSlab('window/ring', { ring: ['f64', 5], next: ['i32', 1] });
    plain.restoreKey('a', next.snapshotRow(restored));
    expect(plain.column('window/ring')!.copy(0)).toEqual(longer.copy(restored));
    expect(() => plain.restoreKey('a', old.snapshotRow(row))).toThrow(/no migration/);
  });

  it('hands out the rows of forgotten keys again, empty', () => {
    const state = sample();
    const slab = state.column('window/ring') as ReturnType<typeof state.addSlab>;
    const row = state.keys.rowOf('a');
    slab.create(at(row));
    slab.f64('ring')[row * 3] = 9;
    slab.delete(at(row));
    expect(state.isEmpty(row)).toBe(true);
    state.keys.free(row);
    expect(state.keys.find('a')).toBeUndefined();
    expect(state.keys.rowOf('b')).toBe(row);
    slab.create(at(row));
    expect(slab.f64('ring')[row * 3]).toBe(0);
  });

  it('refuses state of a node that is gone, of another layout, and of another codec without a migration', () => {
    const from = sample();
    const row = from.keys.rowOf('a');
    (from.column('count/n') as ReturnType<typeof from.addKeyed>).set(at(row), { n: 3 });
    const bytes = from.snapshotRow(row);

    const gone = new TaskState();
    expect(() => gone.restoreKey('a', bytes)).toThrowError(
      expect.toSatisfy((e) => isFleetcastError(e, 'STATE_ORPHANED')),
    );

    const newer = new TaskState();
    newer.addKeyed('count/n', jsonCodec<number>(2));
    expect(() => newer.restoreKey('a', bytes)).toThrow(/count\/n has codec version 1, the topology has 2/);

    const migrating = new TaskState();
    migrating.addKeyed(
      'count/n',
      jsonCodec<number>(2, (old) => (old as { n: number }).n),
    );
    const migrated = migrating.restoreKey('a', bytes);
    expect(migrating.column('count/n')!.copy(migrated)).toBe(3);

    const slab = from.column('window/ring') as ReturnType<typeof from.addSlab>;
    slab.create(at(row));
    const other = new TaskState();
    other.addKeyed('count/n', jsonCodec());
    other.addSlab('window/ring', { ring: ['f64', 4], at: ['i32', 1], mask: ['u8', 3], mean: ['f32', 1] });
    expect(() => other.restoreKey('a', from.snapshotRow(row))).toThrow(/window\/ring/);
  });

  it('refuses keyed state for a record that has no key, and a store declared twice', () => {
    const state = sample();
    const keyed = state.column('count/n') as ReturnType<typeof state.addKeyed>;
    expect(() => keyed.set(at(-1), { n: 1 })).toThrow(/belongs to no key/);
    expect(keyed.get(at(-1))).toBeUndefined();
    expect(() => state.addGlobal('count/n', numberCodec, 0)).toThrow(/declared twice/);
  });
});

describe('TimerQueue', () => {
  const key = (row: number) => `key-${(row * 7) % 10}`;

  it('agrees with a plain table for any sequence of sets, clears and ticks', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('set' as const), row: fc.nat(9), time: fc.nat(50) }),
      fc.record({ kind: fc.constant('clear' as const), row: fc.nat(9), time: fc.constant(0) }),
      fc.record({ kind: fc.constant('tick' as const), row: fc.nat(9), time: fc.nat(60) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const queue = new TimerQueue('n/#timers');
        const table = new Map<number, number>();
        for (const { kind, row, time } of steps) {
          if (kind === 'set') {
            queue.set(at(row), time);
            table.set(row, time);
          } else if (kind === 'clear') {
            queue.clear(at(row));
            table.delete(row);
          } else {
            const keep = (r: number) => r === row;
            const wanted = [...table]
              .filter(([r, deadline]) => deadline <= time && !keep(r))
              .sort((a, b) => a[1] - b[1] || (key(a[0]) < key(b[0]) ? -1 : 1))
              .map(([r]) => r);
            expect(queue.due(time, key, keep)).toEqual(wanted);
            for (const r of wanted) {
              queue.clear(at(r));
              table.delete(r);
            }
          }
          expect(queue.get(at(row))).toBe(table.get(row));
        }
      }),
    );
  });
});
