import type { Alert, Score } from '../events/records.ts';
import type { KeyedStore } from '../state/store.ts';
import type { Collector, Operator, OperatorContext, StreamRecord } from './operator.ts';
import { blockLayout, SeriesBlocks, seriesBlocksCodec } from './series-blocks.ts';

export interface AlertConfig {
  /** How far beyond the interval's edge an actual must be, in half-widths: at a level of 90 % one in ten is outside. */
  readonly margin: number;
  /** Scored buckets of a series before it may alert: its interval must have found its width. */
  readonly warmUp: number;
  /** Buckets in a row inside the interval that end an alert; until then the series raises no other. */
  readonly calm: number;
}

export const ALERT_DEFAULTS: AlertConfig = { margin: 1, warmUp: 48, calm: 3 };

const layout = blockLayout({ seen: ['i32', 1], calm: ['i32', 1], active: ['i32', 1] });

/** Tells when an actual is far outside what the champion expected one step before: once for each excursion. */
export class Alerting implements Operator<Score, Alert> {
  readonly #config: AlertConfig;
  #devices!: KeyedStore<SeriesBlocks>;

  constructor(config: AlertConfig) {
    this.#config = config;
  }

  init(context: OperatorContext): void {
    this.#devices = context.keyed('excursions', seriesBlocksCodec(layout, 1));
  }

  process(record: StreamRecord<Score>, out: Collector<Alert>): void {
    const score = record.value;
    const entry = score.entries.find(({ role, step }) => role === 'champion' && step === 1);
    if (entry === undefined) return;
    let device = this.#devices.get(record);
    if (device === undefined) {
      device = new SeriesBlocks(layout.bytes);
      this.#devices.set(record, device);
    }
    const base = (device.findOrAdd(score.quantity) * layout.bytes) / 4;
    const { i32 } = device;
    const seen = i32[base + layout.at.seen]!;
    if (seen < this.#config.warmUp) {
      i32[base + layout.at.seen] = seen + 1;
      return;
    }
    const half = (entry.upper - entry.lower) / 2;
    const beyond = Math.max(score.actual - entry.upper, entry.lower - score.actual);
    // The last bits of a constant series are no excursion.
    const least = Math.abs(entry.value) * 1e-9;
    if (beyond <= Math.max(this.#config.margin * half, least)) {
      const calm = beyond > least ? 0 : i32[base + layout.at.calm]! + 1;
      i32[base + layout.at.calm] = calm;
      if (calm >= this.#config.calm) i32[base + layout.at.active] = 0;
      return;
    }
    i32[base + layout.at.calm] = 0;
    if (i32[base + layout.at.active] === 1) {
      out.count('alert-goes-on');
      return;
    }
    i32[base + layout.at.active] = 1;
    const alert: Alert = {
      type: 'Alert',
      device: record.key,
      quantity: score.quantity,
      time: score.time,
      actual: score.actual,
      expected: entry.value,
      lower: entry.lower,
      upper: entry.upper,
      step: entry.step,
      model: entry.model,
      inputOffset: record.offset,
    };
    out.emit(alert, score.time);
  }
}
