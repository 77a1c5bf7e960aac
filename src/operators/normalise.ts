import type { KeyedStore } from '../state/store.ts';
import type { Bucket, SeriesWindow } from './items.ts';
import type { Collector, Operator, OperatorContext, StreamRecord } from './operator.ts';
import { SeriesBlocks, seriesBlocksCodec } from './series-blocks.ts';
import { type RingLayout, ringLayout, type WindowConfig, WindowRing } from './window-ring.ts';

/**
 * Keeps the newest buckets of each series and sends, for each bucket that closes, the window that ends with it, with the
 * series' rolling mean and deviation.
 *
 * A correction changes the bucket in the window where it is still there: forecasts from then on see the corrected value.
 * Forecasts that were made stay as they are; none is made again.
 */
export class Normalise implements Operator<Bucket, SeriesWindow> {
  readonly #config: WindowConfig;
  readonly #reach: number;
  readonly #layout: RingLayout;
  readonly #ring: WindowRing;
  #devices!: KeyedStore<SeriesBlocks>;

  /** @param reach buckets that naive forecasts of the newest value look back on, itself included */
  constructor(config: WindowConfig, reach = 0) {
    this.#config = config;
    this.#reach = reach;
    this.#layout = ringLayout(config);
    this.#ring = new WindowRing(config, this.#layout);
  }

  init(context: OperatorContext): void {
    // The capacity belongs to the version: another lookback reads no old ring.
    this.#devices = context.keyed('windows', seriesBlocksCodec(this.#layout, this.#layout.capacity));
  }

  process(record: StreamRecord<Bucket>, out: Collector<SeriesWindow>): void {
    const bucket = record.value;
    let device = this.#devices.get(record);
    if (device === undefined) {
      device = new SeriesBlocks(this.#layout.bytes);
      this.#devices.set(record, device);
    }
    const ring = this.#ring;
    const block = device.findOrAdd(bucket.quantity);
    if (bucket.kind === 'corrected') {
      if (ring.correct(device, block, bucket.start, bucket.value)) out.count('window-corrected');
      return;
    }
    const missing = ring.push(device, block, bucket.start, bucket.value);
    if (missing < 0) {
      out.count('window-out-of-order');
      return;
    }
    const length = Math.min(this.#config.lookback, ring.countOf(device, block));
    const reach = Math.min(this.#reach, ring.countOf(device, block));
    const values = ring.values(device, block, Math.max(length, reach));
    const { mean, deviation } = ring.scale(device, block);
    const origin = bucket.start + this.#config.interval;
    out.emit(
      {
        quantity: bucket.quantity,
        origin,
        interval: this.#config.interval,
        actual: bucket.value,
        missing,
        values: values.length > length ? values.subarray(values.length - length) : values,
        ...(values.length > length ? { earlier: values.subarray(0, values.length - length) } : {}),
        measured: ring.measured(device, block, length),
        mean,
        deviation,
      },
      origin,
    );
  }
}
