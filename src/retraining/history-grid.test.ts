import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOUR } from '../../test/readings.ts';
import { encodeRecord } from '../events/codec.ts';
import { seriesKey } from '../events/records.ts';
import { buildDataSet, type DataSetOptions } from './data-set.ts';
import { eachMeasured, gridLength, historyDigest, indexOf } from './history-grid.ts';
import { assembleHistory, type HistorySeries } from './history-reader.ts';

const SEGMENT = 24;
const T0 = Date.UTC(2000, 0, 1);

interface Measured {
  readonly quantity: string;
  readonly bucket: number;
  readonly value: number;
}

function assembled(list: readonly Measured[]): readonly HistorySeries[] {
  const segments = new Map<string, { quantity: string; start: number; values: number[]; counts: number[] }>();
  for (const { quantity, bucket, value } of list) {
    const first = Math.floor(bucket / SEGMENT) * SEGMENT;
    const start = T0 + first * HOUR;
    const empty = { values: new Array<number>(SEGMENT).fill(Number.NaN), counts: new Array<number>(SEGMENT).fill(0) };
    const segment = segments.get(`${quantity}/${first}`) ?? { quantity, start, ...empty };
    segments.set(`${quantity}/${first}`, segment);
    segment.values[bucket - first] = value;
    segment.counts[bucket - first] = 1 + (bucket % 5);
  }
  const rest = { type: 'HistorySegment', device: 'd', interval: HOUR, revision: 0, complete: true } as const;
  const values = [...segments.values()].map((one) => encodeRecord({ ...rest, ...one }));
  return assembleHistory({ values, replaced: [], skipped: 0 }).series;
}

/** A grid with nothing left out, straight from what was measured. */
function dense(list: readonly Measured[]): readonly HistorySeries[] {
  return [...new Set(list.map(({ quantity }) => quantity))].sort().map((quantity) => {
    const own = list.filter((one) => one.quantity === quantity);
    const places = own.map(({ bucket }) => bucket);
    const first = Math.min(...places);
    const values = new Float64Array(Math.max(...places) - first + 1).fill(Number.NaN);
    const counts = new Int32Array(values.length);
    for (const { bucket, value } of own) {
      values[bucket - first] = value;
      counts[bucket - first] = 1 + (bucket % 5);
    }
    const start = T0 + first * HOUR;
    return {
      device: 'd',
      quantity,
      start,
      interval: HOUR,
      values,
      counts,
      gaps: [],
      segments: 0,
      revision: 0,
      leftOut: 0,
    };
  });
}

function digestOf(series: readonly HistorySeries[]): string {
  const hash = createHash('sha256');
  for (const { device, quantity, start, interval, values } of series) {
    hash.update(`${seriesKey(device, quantity)} ${start} ${interval} ${values.length}\n`);
    hash.update(new Uint8Array(values.buffer));
  }
  return hash.digest('hex');
}

const runs = fc.array(
  fc.record({
    quantity: fc.constantFrom('p', 'q'),
    skip: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 900, max: 9000 })),
    length: fc.integer({ min: 1, max: 60 }),
    seed: fc.integer({ min: 1, max: 1000 }),
  }),
  { minLength: 1, maxLength: 12 },
);

const measurements = runs.map((list) => {
  const next = new Map<string, number>();
  return list.flatMap(({ quantity, skip, length, seed }): Measured[] => {
    const from = (next.get(quantity) ?? 0) + skip;
    next.set(quantity, from + length);
    return Array.from({ length }, (_, i) => ({ quantity, bucket: from + i, value: Math.sin(seed + i * 1.7) * seed }));
  });
});

const options = fc.record({
  scaler: fc.constantFrom('fixed' as const, 'rolling' as const),
  // Rings that are shorter and longer than what is left out.
  scaleLength: fc.constantFrom(10, 3000),
  minMeasured: fc.constantFrom(0, 0.5),
  share: fc.constantFrom(0.3, 0.6),
});

describe('history grid', () => {
  it('has the digest and the data set of the dense grid, bit for bit', () => {
    let sets = 0;
    let withGaps = 0;
    fc.assert(
      fc.property(measurements, options, fc.nat(), (list, { share, ...rest }, part) => {
        const sparse = assembled(list);
        const full = dense(list);
        expect(historyDigest(sparse)).toBe(digestOf(full));
        sparse.forEach((one, n) => {
          const { values, counts } = full[n]!;
          expect([one.start, gridLength(one)]).toEqual([full[n]!.start, values.length]);
          const back = new Float64Array(values.length).fill(Number.NaN);
          const backCounts = new Int32Array(values.length);
          eachMeasured(one, (value, at, index) => {
            back[at] = value;
            backCounts[at] = one.counts[index]!;
          });
          expect(Buffer.compare(Buffer.from(back.buffer), Buffer.from(values.buffer))).toBe(0);
          expect(Buffer.compare(Buffer.from(backCounts.buffer), Buffer.from(counts.buffer))).toBe(0);
          const cut = part % (values.length + 2);
          const measured = (all: Float64Array) => [...all].filter((value) => !Number.isNaN(value));
          expect(measured(one.values.subarray(0, indexOf(one, cut)))).toEqual(measured(values.subarray(0, cut)));
          if (one.gaps.length > 0) withGaps++;
        });
        const settings: DataSetOptions = {
          ...rest,
          shape: { lookback: 6, horizon: 3, season: 3 },
          interval: HOUR,
          split: { train: share, validation: 0.2 },
        };
        const make = (series: readonly HistorySeries[]) => {
          try {
            return buildDataSet(series, settings);
          } catch (error) {
            return String(error);
          }
        };
        const set = make(sparse);
        if (typeof set !== 'string') sets++;
        expect(set).toEqual(make(full));
      }),
      { numRuns: 60 },
    );
    expect([sets > 0, withGaps > 0]).toEqual([true, true]);
  });

  it('takes no room for the decades before a clock was set', () => {
    const now = Math.floor((Date.UTC(2026, 0, 1) - T0) / HOUR);
    const recent = Array.from({ length: 100 }, (_, i) => ({ quantity: 'q', bucket: now + i, value: i % 7 }));
    const [one] = assembled([{ quantity: 'q', bucket: 0, value: 1 }, ...recent]);
    expect([one!.start, gridLength(one!)]).toEqual([T0, now + 100]);
    expect(one!.values.length).toBeLessThan(4000);
    expect(one!.counts.length).toBe(one!.values.length);
    const set = buildDataSet([one!], {
      shape: { lookback: 6, horizon: 3, season: 3 },
      interval: HOUR,
      scaleLength: 10,
      minMeasured: 0.5,
      scaler: 'rolling',
      split: { train: 0.6, validation: 0.2 },
    });
    expect(set.runs.map(({ start }) => start)).toEqual([T0, T0 + now * HOUR]);
  });
});
