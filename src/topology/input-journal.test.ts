import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from '../events/codec.ts';
import type { StateSnapshot } from '../events/records.ts';
import { InputJournal, type InputRun, type JournalEntry } from './input-journal.ts';

const PLACE = { topic: 'state', partition: 0, task: 'g.a-0' };
const TOPICS = ['a', 'b'];

/** Lengths of an entry's runs, one of each source. */
const lengths = fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: 3 }));

/** Entries that follow each other, as commits make them. */
function entriesOf(all: readonly (readonly [number, number])[]): JournalEntry[] {
  const next = [0, 0];
  let base = 0;
  return all.map((both) => {
    const runs: InputRun[] = both.flatMap((length, source) => {
      const from = next[source]!;
      next[source] = from + length;
      return length === 0 ? [] : [{ source, from, to: from + length }];
    });
    const entry = { base, runs };
    base += both[0] + both[1];
    return entry;
  });
}

const ends = ({ base, runs }: JournalEntry): number => base + runs.reduce((sum, { from, to }) => sum + to - from, 0);

describe('the journal of the inputs', () => {
  it('comes back from its records, however much of it was tombstoned meanwhile', () => {
    fc.assert(
      fc.property(fc.array(lengths, { minLength: 1 }), fc.array(fc.integer({ min: 0, max: 400 })), (all, needless) => {
        const written = new InputJournal(PLACE, TOPICS);
        const restored = new InputJournal(PLACE, TOPICS);
        const entries = entriesOf(all);
        let highest = -1;
        for (const [i, entry] of entries.entries()) {
          highest = Math.max(highest, Math.min(needless[i] ?? -1, entry.base - 1));
          for (const { key, value } of written.append(entry, highest, 0)) {
            const base = Number(String(key).split('/')[1]);
            restored.restore(base, value === null ? undefined : decode<StateSnapshot>('StateSnapshot', value));
          }
          const kept = entries.slice(0, i + 1).filter((one) => one === entry || ends(one) - 1 > highest);
          expect(written.entries).toEqual(kept);
          expect(restored.entries).toEqual(kept);
          expect(restored.end).toBe(ends(entry));
          for (const source of [0, 1]) {
            const runs = kept.flatMap((one) => one.runs).filter((run) => run.source === source);
            expect(written.endOf(source)).toBe(runs.at(-1)?.to);
            expect(restored.startOf(source, 0)).toBe(runs[0]?.from);
          }
        }
      }),
    );
  });

  it('says from where a place within an entry is read: that of a task which had one source begins before it', () => {
    const journal = new InputJournal(PLACE, TOPICS);
    journal.adopt(1, 10, 30);
    journal.append(
      {
        base: 30,
        runs: [
          { source: 0, from: 0, to: 4 },
          { source: 1, from: 30, to: 33 },
        ],
      },
      9,
      0,
    );
    expect([10, 21, 29, 30, 35, 36, 37].map((place) => journal.startOf(1, place))).toEqual([
      10,
      21,
      29,
      30,
      31,
      32,
      undefined,
    ]);
    expect([10, 31, 34].map((place) => journal.startOf(0, place))).toEqual([0, 1, undefined]);
  });

  it('does not look through all of its entries with every commit', () => {
    const journal = new InputJournal(PLACE, TOPICS);
    let looks = 0;
    const count = 2_000;
    for (const { base, runs } of entriesOf(Array.from({ length: count }, (): [number, number] => [1, 1]))) {
      const entry = {
        base,
        get runs() {
          looks++;
          return runs;
        },
      };
      // Half of the entries stay.
      journal.append(entry, Math.floor(base / 2), 0);
    }
    expect(looks).toBeLessThan(20 * count);
  });
});
