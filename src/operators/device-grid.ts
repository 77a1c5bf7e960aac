import type { StoreCodec } from '../state/store.ts';
import { ByteReader, ByteWriter } from './binary.ts';

/** What `bucket` holds of a device. */
export interface DeviceGrid {
  /** Newest event time of the device. */
  watermark: number;
  /** Sorted by quantity. */
  readonly series: SeriesGrid[];
}

export interface SeriesGrid {
  readonly quantity: string;
  /** End of the newest closed bucket; −∞ before the first. */
  closedEnd: number;
  /** Readings before this time have been forgotten: their buckets cannot be made again. −∞ while none has. */
  keptFrom: number;
  /** Event times, ascending, no two the same; and the value of each. */
  readonly times: number[];
  readonly values: number[];
}

export function newSeries(quantity: string): SeriesGrid {
  return { quantity, closedEnd: Number.NEGATIVE_INFINITY, keptFrom: Number.NEGATIVE_INFINITY, times: [], values: [] };
}

export const deviceGridCodec: StoreCodec<DeviceGrid> = {
  version: 1,
  encode(device) {
    const writer = new ByteWriter().number(device.watermark).count(device.series.length);
    for (const series of device.series) {
      writer.text(series.quantity).number(series.closedEnd).number(series.keptFrom);
      writer.numbers(series.times).numbers(series.values);
    }
    return writer.done();
  },
  decode(bytes) {
    const reader = new ByteReader(bytes);
    const watermark = reader.number();
    const series = Array.from({ length: reader.count() }, () => ({
      quantity: reader.text(),
      closedEnd: reader.number(),
      keptFrom: reader.number(),
      times: reader.numbers(),
      values: reader.numbers(),
    }));
    return { watermark, series };
  },
};
