import type { Reading } from '../events/records.ts';
import type { KeyedStore } from '../state/store.ts';
import { type Aggregate, aggregate } from './aggregate.ts';
import { type DeviceGrid, deviceGridCodec, newSeries, type SeriesGrid } from './device-grid.ts';
import type { Bucket } from './items.ts';
import { Letters, type LettersConfig, listed } from './letters.ts';
import type { Collector, Keyed, Operator, OperatorContext, StreamRecord, Timers } from './operator.ts';

export interface BucketConfig extends LettersConfig {
  /** Length of a bucket, milliseconds. Buckets start at multiples of it. */
  readonly interval: number;
  /** How long after its end a bucket waits for stragglers, milliseconds of event time. */
  readonly grace: number;
  /** A device that sends nothing for so long has its buckets closed, milliseconds between ingest times. */
  readonly idle: number;
  readonly aggregate: Aggregate;
  readonly aggregates: Readonly<Record<string, Aggregate>>;
  /** What happens to a reading whose bucket has closed. */
  readonly late: 'correct' | 'drop' | 'dead-letter';
  /** For how long after it closed a bucket can be corrected, milliseconds of event time. Its readings are kept so long. */
  readonly correctFor: number;
  /** Most readings kept for a series. Above it, old closed buckets can no longer be corrected; then readings are refused. */
  readonly maxReadings: number;
}

/**
 * Puts readings on the regular grid of their series. A bucket closes when the device's watermark (its newest event
 * time) has passed its end by the grace, or when the device has been idle: measured between ingest times, in ticks, so
 * that a backfill of last year or a replay at high speed closes nothing early.
 *
 * Every device has its own watermark: a fast clock hurts nobody else. Readings are kept sorted by event time, so the
 * value of a bucket does not depend on the order of arrival, and a second reading of the same event time is seen to be
 * a duplicate; the first one stays. Readings of closed buckets are kept as well while corrections are allowed.
 *
 * Output `late`: dead letters of readings that came too late and were not used.
 */
export class Bucketing implements Operator<Reading, Bucket> {
  readonly #config: BucketConfig;
  #devices!: KeyedStore<DeviceGrid>;
  #timers!: Timers;
  readonly #letters: Letters;
  /** Values of the reading at hand that are not used, by reason. */
  readonly #unused = new Map<'late' | 'bucket-full', Record<string, number>>();

  constructor(config: BucketConfig) {
    this.#config = config;
    this.#letters = new Letters(config);
  }

  init(context: OperatorContext): void {
    this.#devices = context.keyed('grid', deviceGridCodec);
    this.#timers = context.timers;
    this.#letters.init(context);
  }

  process(record: StreamRecord<Reading>, out: Collector<Bucket>): void {
    const reading = record.value;
    let device = this.#devices.get(record);
    if (device === undefined) {
      device = { watermark: Number.NEGATIVE_INFINITY, series: [] };
      this.#devices.set(record, device);
    }
    // Closing first makes room; the reading's own bucket cannot be among those that its own time closes.
    if (reading.time > device.watermark) {
      device.watermark = reading.time;
      for (const series of device.series) this.#closeUntil(series, reading.time - this.#config.grace, out);
    }
    this.#unused.clear();
    for (const quantity in reading.values) {
      this.#take(device, quantity, reading.values[quantity]!, reading.time, out);
    }
    if (this.#unused.size > 0) this.#tell(record, out);
    this.#timers.set(record, record.ingestTime + this.#config.idle);
  }

  timer(at: Keyed, _time: number, out: Collector<Bucket>): void {
    const device = this.#devices.get(at);
    if (device === undefined) return;
    for (const series of device.series) {
      if (this.#closeUntil(series, Number.POSITIVE_INFINITY, out) > 0) out.count('closed-idle');
    }
  }

  #take(device: DeviceGrid, quantity: string, value: number, time: number, out: Collector<Bucket>): void {
    const { interval, correctFor, late, maxReadings } = this.#config;
    const series = seriesOf(device, quantity);
    const bucket = Math.floor(time / interval) * interval;
    const isLate = bucket < series.closedEnd;
    if (isLate && (late !== 'correct' || bucket < series.keptFrom || bucket < series.closedEnd - correctFor)) {
      // Its duplicate can no longer be told, and its bucket no longer be made again: it is not used.
      if (late === 'drop') out.count('late-dropped');
      else this.#leave('late', quantity, value);
      return;
    }
    const at = placeOf(series.times, time);
    if (at > 0 && series.times[at - 1] === time) {
      out.count('duplicate');
      return;
    }
    if (series.times.length >= maxReadings && !this.#forget(series)) {
      this.#leave('bucket-full', quantity, value);
      return;
    }
    series.times.splice(at, 0, time);
    series.values.splice(at, 0, value);
    if (!isLate) return;
    out.count('late-corrected');
    this.#emit('corrected', series, bucket, out);
  }

  #leave(reason: 'late' | 'bucket-full', quantity: string, value: number): void {
    const values = this.#unused.get(reason) ?? {};
    values[quantity] = value;
    this.#unused.set(reason, values);
  }

  #tell(record: StreamRecord<Reading>, out: Collector<Bucket>): void {
    const { interval, maxReadings } = this.#config;
    const start = Math.floor(record.value.time / interval) * interval;
    for (const [reason, values] of this.#unused) {
      const names = Object.keys(values);
      const message =
        reason === 'late'
          ? `bucket ${new Date(start).toISOString()} of ${listed(names)} had closed`
          : `${maxReadings} readings of ${listed(names)} wait for their bucket to close`;
      this.#letters.write('late', { reason, message, values, count: names.length }, record, out);
    }
  }

  /** Closes the buckets that ended at or before `until`. @returns how many. */
  #closeUntil(series: SeriesGrid, until: number, out: Collector<Bucket>): number {
    const { interval, correctFor } = this.#config;
    let closed = 0;
    for (;;) {
      const next = placeBefore(series.times, series.closedEnd);
      const time = series.times[next];
      if (time === undefined) break;
      const start = Math.floor(time / interval) * interval;
      if (start + interval > until) break;
      const missing = series.closedEnd === Number.NEGATIVE_INFINITY ? 0 : (start - series.closedEnd) / interval;
      if (missing > 0) out.count('gap-buckets', missing);
      series.closedEnd = start + interval;
      this.#emit('closed', series, start, out);
      closed++;
    }
    if (closed > 0) forgetBefore(series, series.closedEnd - (this.#config.late === 'correct' ? correctFor : 0));
    return closed;
  }

  #emit(kind: Bucket['kind'], series: SeriesGrid, start: number, out: Collector<Bucket>): void {
    const { interval, aggregates } = this.#config;
    const from = placeBefore(series.times, start);
    const to = placeBefore(series.times, start + interval);
    const how = Object.hasOwn(aggregates, series.quantity) ? aggregates[series.quantity]! : this.#config.aggregate;
    const value = aggregate(how, series.values, from, to);
    const { quantity } = series;
    // A sum of finite readings may still overflow; a bucket of no finite value would poison everything after it.
    if (!Number.isFinite(value)) {
      out.count('overflow');
      return;
    }
    out.emit({ kind, quantity, start, value, count: to - from }, start + interval);
  }

  /** Makes room by giving up corrections of the older half of the closed readings. @returns false if none is closed. */
  #forget(series: SeriesGrid): boolean {
    const closed = placeBefore(series.times, series.closedEnd);
    if (closed === 0) return false;
    const { interval } = this.#config;
    const last = series.times[closed >> 1]!;
    forgetBefore(series, Math.min(series.closedEnd, (Math.floor(last / interval) + 1) * interval));
    return true;
  }
}

function seriesOf(device: DeviceGrid, quantity: string): SeriesGrid {
  const { series } = device;
  // Sorted by name: the order in which series close must not depend on which one was heard first.
  let at = 0;
  for (; at < series.length; at++) {
    const found = series[at]!;
    if (found.quantity === quantity) return found;
    if (found.quantity > quantity) break;
  }
  const made = newSeries(quantity);
  series.splice(at, 0, made);
  return made;
}

function forgetBefore(series: SeriesGrid, time: number): void {
  const gone = placeBefore(series.times, time);
  if (gone === 0) return;
  series.times.splice(0, gone);
  series.values.splice(0, gone);
  series.keptFrom = Math.max(series.keptFrom, time);
}

/** Index after the last time ≤ `time`. Most readings come in order: the search begins at the end. */
function placeOf(times: readonly number[], time: number): number {
  const { length } = times;
  if (length === 0 || times[length - 1]! <= time) return length;
  return search(times, time, true);
}

/** Index of the first time ≥ `time`. */
function placeBefore(times: readonly number[], time: number): number {
  const { length } = times;
  if (length === 0 || times[length - 1]! < time) return length;
  return search(times, time, false);
}

function search(times: readonly number[], time: number, after: boolean): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const value = times[middle]!;
    if (value < time || (after && value === time)) low = middle + 1;
    else high = middle;
  }
  return low;
}
