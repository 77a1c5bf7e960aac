import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FleetcastError } from '../../errors.ts';
import type { EventLog, OutRecord } from '../../log/event-log.ts';
import { AppendLane, type LaneEvent } from './append-lane.ts';

const record = (n: number, size = 1): OutRecord => ({
  topic: 't',
  partition: 0,
  timestamp: n,
  key: null,
  value: Buffer.alloc(size, 'x'),
});

/** A lane onto a log that does what it is told with each append. */
function lane(append: (records: readonly OutRecord[]) => Promise<void> | void, options: object = {}) {
  const written: number[] = [];
  const given: number[] = [];
  const events: LaneEvent[] = [];
  const made = new AppendLane<number>({
    log: {
      append: async (records: readonly OutRecord[]) => {
        await append(records);
        written.push(...records.map((each) => each.timestamp));
        return [];
      },
    } as unknown as EventLog,
    onAppended: (entries) => given.push(...entries.map((entry) => entry.message)),
    asRetry: (each) => ({ ...each, topic: 'retried' }),
    inPlaceOf: (each) => (each.value!.length > 50 ? record(-each.timestamp) : undefined),
    onEvent: (event) => events.push(event),
    retryMs: { min: 1, max: 4 },
    ...options,
  });
  return { lane: made, written, given, events };
}

describe('AppendLane', () => {
  it('keeps the order whatever fails, and gives back only what is written', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 40 }),
        fc.array(fc.boolean(), { maxLength: 30 }),
        fc.integer({ min: 1, max: 10 }),
        async (sizes, moods, maxBatchRecords) => {
          const failures = [...moods];
          const {
            lane: made,
            written,
            given,
          } = lane(
            async (records) => {
              expect(records.length).toBeLessThanOrEqual(Math.max(maxBatchRecords, 3));
              if (failures.pop() === true) throw new FleetcastError('LOG_UNAVAILABLE', 'no');
            },
            { maxBatchRecords },
          );
          let n = 0;
          for (const [i, size] of sizes.entries()) {
            made.offer({ message: i, records: Array.from({ length: size }, () => record(n++)), bytes: size, at: 0 });
            if (size === 0) await new Promise(setImmediate);
          }
          expect(await made.drain(5_000)).toBe(true);
          expect(written).toEqual(Array.from({ length: n }, (_, i) => i));
          expect(given).toEqual(sizes.map((_, i) => i));
          expect(made.pending).toEqual({ entries: 0, bytes: 0 });
        },
      ),
      { numRuns: 30 },
    );
  });

  it('marks what it tries again', async () => {
    const topics: string[] = [];
    let calls = 0;
    const { lane: made, events } = lane((records) => {
      topics.push(records[0]!.topic);
      if (++calls < 3) throw new FleetcastError('LOG_FULL', 'full');
    });
    made.offer({ message: 0, records: [record(0)], bytes: 1, at: 0 });
    await made.drain(1_000);
    expect(topics).toEqual(['t', 'retried', 'retried']);
    expect(events).toEqual([{ type: 'log-down', code: 'LOG_FULL', message: 'full' }, { type: 'log-up' }]);
  });

  it('writes a substitute for the one record that is too large, and everything else', async () => {
    const {
      lane: made,
      written,
      given,
      events,
    } = lane((records) => {
      if (records.some((each) => each.value!.length > 50))
        throw new FleetcastError('LOG_RECORD_TOO_LARGE', 'too large');
    });
    for (let i = 0; i < 20; i++) made.offer({ message: i, records: [record(i, i === 7 ? 100 : 1)], bytes: 1, at: 0 });
    await made.drain(1_000);
    expect(written).toEqual(Array.from({ length: 20 }, (_, i) => (i === 7 ? -7 : i)));
    expect(given).toHaveLength(20);
    expect(events.map((event) => event.type)).toEqual(['record-refused']);
  });

  it('makes late records when their turn has come, once', async () => {
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { lane: made, written } = lane(() => gate);
    let made2 = 0;
    made.offer({ message: 0, records: [record(1)], bytes: 1, at: 0 });
    await new Promise(setImmediate);
    for (let i = 0; i < 5; i++) made.offerLate(() => [record(100 + made2++)]);
    made.offer({ message: 1, records: [record(2)], bytes: 1, at: 0 });
    open();
    await made.drain(1_000);
    await made.stop(100);
    expect(written).toEqual([1, 2, 100]);
  });

  it('stops while the log is away, and says that it could not drain', async () => {
    const { lane: made, given } = lane(() => {
      throw new FleetcastError('LOG_UNAVAILABLE', 'no');
    });
    made.offer({ message: 0, records: [record(0)], bytes: 1, at: 0 });
    expect(await made.drain(20)).toBe(false);
    expect(made.down).toBe(true);
    await made.stop(1_000);
    expect(given).toEqual([]);
  });
});
