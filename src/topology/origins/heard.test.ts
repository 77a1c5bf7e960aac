import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ByteWriter } from '../../operators/binary.ts';
import { HeapStore } from '../../state/heap-store.ts';
import { RowUndo } from '../../state/row-undo.ts';
import { type Heard, HeardOrigins } from './heard.ts';
import { HeardSlices } from './heard-slices.ts';

const bytesOf = (heard: Heard): string => {
  const writer = new ByteWriter();
  heard.encode(writer);
  return Buffer.from(writer.done()).toString('hex');
};

const step = fc.record({
  drops: fc.boolean(),
  origin: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  time: fc.integer({ min: 0, max: 200 }),
  ingestTime: fc.integer({ min: 0, max: 200 }),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function play(heard: Heard, steps: readonly Step[]): number[] {
  return steps.map(({ drops, ...hearing }) => {
    if (drops) heard.drop(hearing.ingestTime - 100);
    else heard.hear(hearing, Number.NEGATIVE_INFINITY);
    return heard.lowest(hearing.time - 50);
  });
}

it.each<[string, () => Heard]>([
  ['each origin', () => new HeardOrigins()],
  ['slices', () => new HeardSlices(80)],
])('is as if nothing had happened where a record is taken back (%s)', (_, make) => {
  const some = fc.array(step, { maxLength: 20 });
  fc.assert(
    fc.property(some, some, some, (before, taken, after) => {
      const encode = (): never => {
        throw new Error('it is too large for that');
      };
      const store = new HeapStore<Heard>('n/origins', {
        version: 1,
        encode,
        decode: encode,
        mark: (heard) => heard.mark(),
      });
      const at = { row: 3 };
      const undisturbed = make();
      store.set(at, make());
      for (const heard of [undisturbed, store.get(at)!]) play(heard, before);
      const undo = new RowUndo([store]);
      undo.remember(3);
      // One that went well first: it is not taken back.
      undo.remember(3);
      play(store.get(at)!, taken);
      if (taken.length > 10) store.set(at, make());
      undo.undo();
      expect(bytesOf(store.get(at)!)).toBe(bytesOf(undisturbed));
      expect(play(store.get(at)!, after)).toEqual(play(undisturbed, after));
      expect(bytesOf(store.get(at)!)).toBe(bytesOf(undisturbed));
    }),
    { numRuns: 500 },
  );
});
