import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOUR } from '../../test/readings.ts';
import { encodeRecord } from '../events/codec.ts';
import { type HistorySegment, historyKey } from '../events/records.ts';
import { History } from '../operators/history.ts';
import type { Bucket } from '../operators/items.ts';
import { TopologyBuilder } from '../topology/builder.ts';
import { TopologyTestDriver } from '../topology/test-driver.ts';
import { historyDigest } from './history-grid.ts';
import { assembleHistory } from './history-reader.ts';
import { readHeldSet, writeHeldSet } from './training-set.ts';

const T0 = Date.UTC(2026, 0, 1);
const CORRECT_FOR = 9 * HOUR;

function pipeline(): TopologyTestDriver {
  const builder = new TopologyBuilder('t');
  const config = { interval: HOUR, segment: 4, correctFor: CORRECT_FOR, flushEvery: 60_000 };
  builder
    .source<Bucket>('buckets', { topic: 'buckets', codec: { decode: () => ({ kind: 'skip', reason: 'unused' }) } })
    .process('history', () => new History(config))
    .sink('segments', { topic: 'segments', encode: () => ({ key: null, value: null }) });
  return new TopologyTestDriver(builder.build());
}

const segments = (driver: TopologyTestDriver) =>
  driver.values<HistorySegment>('segments').filter(({ type }) => type === 'HistorySegment');

/** What compaction leaves: the last record of each key. */
function compacted(list: readonly HistorySegment[]): Map<number, HistorySegment> {
  const last = new Map<string, number>();
  list.forEach(({ device, quantity, start }, i) => {
    last.set(historyKey(device, quantity, start), i);
  });
  return new Map([...last.values()].sort((a, b) => a - b).map((i) => [i, list[i]!]));
}

/** Reads the first `length` records again from what compaction has left of all of them. */
function readAgain(all: readonly HistorySegment[], length: number, held: Uint8Array) {
  const left = compacted(all);
  const of = (inside: boolean) => [...left].filter(([i]) => i < length === inside).map(([, one]) => encodeRecord(one));
  return assembleHistory({ values: of(true), replaced: of(false), skipped: 0 }, { held: readHeldSet(held) });
}

const assembled = (list: readonly HistorySegment[]) =>
  assembleHistory({ values: list.map(encodeRecord), replaced: [], skipped: 0 });

describe('a training set', () => {
  it('is read bit for bit after compaction, wherever its series stood and whatever was corrected since', () => {
    const steps = fc.array(
      fc.record({ device: fc.nat({ max: 2 }), ahead: fc.integer({ min: -8, max: 3 }), write: fc.boolean() }),
      { minLength: 4, maxLength: 80 },
    );
    fc.assert(
      fc.property(steps, steps, (before, after) => {
        const driver = pipeline();
        const ends = [0, 7, 2];
        let n = 0;
        const play = (list: typeof before) => {
          for (const { device, ahead, write } of list) {
            n++;
            const end = ends[device]!;
            // What is behind the end corrects: a bucket that was measured, or one that was not.
            const hour = ahead > 0 ? end + ahead - 1 : end - 1 + ahead;
            const kind = ahead > 0 ? 'closed' : 'corrected';
            if (kind === 'closed') ends[device] = hour + 1;
            const bucket: Bucket = { kind, quantity: 'q', start: T0 + hour * HOUR, value: n, count: n };
            driver.pipe('buckets', `d${device}`, bucket, bucket.start, T0 + n * 1000);
            if (write) driver.tick(T0 + n * 1000 + 60_000);
          }
        };
        play(before);
        driver.broadcast({ type: 'HistoryFlush', id: 'a', time: T0 });
        const { length } = segments(driver);
        const then = assembled(segments(driver));
        const held = writeHeldSet(then.segments, CORRECT_FOR);
        play(after);
        driver.broadcast({ type: 'HistoryFlush', id: 'b', time: T0 });
        const again = readAgain(segments(driver), length, held);
        expect(again.series.map(({ device, start, values, counts }) => ({ device, start, values, counts }))).toEqual(
          then.series.map(({ device, start, values, counts }) => ({ device, start, values, counts })),
        );
        expect(historyDigest(again.series)).toBe(historyDigest(then.series));
      }),
      { numRuns: 300 },
    );
  });

  it('says what cannot be put together any more, and why', () => {
    const driver = pipeline();
    const put = (hour: number, value: number, kind: Bucket['kind'] = 'closed') => {
      const bucket: Bucket = { kind, quantity: 'q', start: T0 + hour * HOUR, value, count: 1 };
      driver.pipe('buckets', 'd', bucket, bucket.start, T0);
    };
    const flush = () => driver.broadcast({ type: 'HistoryFlush', id: 'x', time: T0 });
    for (let hour = 0; hour < 18; hour++) put(hour, hour);
    flush();
    const { length } = segments(driver);
    const held = writeHeldSet(assembled(segments(driver)).segments, CORRECT_FOR);
    const without = segments(driver).filter(({ start }) => start !== T0);
    expect(() => readAgain(without, without.length, held)).toThrow(/1 of its 2 older segments are not on the topic/);
    // Four corrections of each of the four buckets are remembered.
    for (let i = 0; i < 16; i++) {
      put(16, 100 + i, 'corrected');
      flush();
    }
    expect(readAgain(segments(driver), length, held).series[0]!.values.at(-2)).toBe(16);
    put(16, 200, 'corrected');
    flush();
    expect(() => readAgain(segments(driver), length, held)).toThrow(
      expect.objectContaining({
        code: 'NOT_REPRODUCED',
        message: expect.stringMatching(/d\/q: .*2026-01-01T16:00.*corrected it more often/) as string,
      }),
    );
  });

  it('leaves out segments that came later: of new series, and imported into gaps', () => {
    const one = (device: string, hour: number, revision = 0): HistorySegment => {
      const start = T0 + hour * HOUR;
      const common = { type: 'HistorySegment', device, quantity: 'q', start, interval: HOUR, revision } as const;
      return { ...common, values: [1, 2, 3, 4], counts: [1, 1, 1, 1], complete: true };
    };
    const then = [one('a', 0), one('a', 40), one('b', 40)];
    const held = writeHeldSet(assembled(then).segments, CORRECT_FOR);
    const again = readAgain([...then, one('a', 8), one('a', 36), one('c', 0), one('b', 44)], then.length, held);
    expect(historyDigest(again.series)).toBe(historyDigest(assembled(then).series));
    // The artefact has no field for an empty one.
    expect(writeHeldSet(assembled(then).segments, CORRECT_FOR, held.length)).toEqual(held);
    expect(writeHeldSet(assembled(then).segments, CORRECT_FOR, held.length - 1)).toHaveLength(0);
  });
});
