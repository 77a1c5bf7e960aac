/**
 * The records on the topics. Times are milliseconds since the epoch (UTC). The schemas in `schemas/` say the same and
 * are the contract with consumers; `codec.ts` ties the two together.
 *
 * The ingest time of a record, when the bridge took it, is the timestamp of the log record, not a field.
 */

/** What one device measured at one moment. Topic `readings`, key device. */
export interface Reading {
  readonly type: 'Reading';
  readonly device: string;
  /** When it was measured (event time). */
  readonly time: number;
  /** Quantity to value; finite numbers only, the bridge refuses the rest. */
  readonly values: Readonly<Record<string, number>>;
  /** The broker had this message retained: a last known value, not a live one. */
  readonly retained: boolean;
  /** The broker delivered this message before and may have done so with success (MQTT DUP). */
  readonly redelivered: boolean;
  /**
   * 16 hex digits that tell redeliveries apart, or empty: 12 of the SHA-256 of topic and payload, then 4 of the MQTT
   * packet identifier (0 where there is none that a redelivery would have too).
   */
  readonly fingerprint: string;
}

/** Wall-clock time as a record. The bridge appends one to every partition of `readings` once a second. */
export interface Tick {
  readonly type: 'Tick';
  readonly time: number;
}

/** Which model serves from this offset on. Appended to every partition of `readings` in one transaction. */
export interface Activation {
  readonly type: 'Activation';
  /** Name of the model line, for example `default`. */
  readonly name: string;
  /** Content hash of the artefact on topic `models`; empty takes the role away from the model that has it. */
  readonly modelId: string;
  readonly role: 'champion' | 'challenger';
  /** When it was decided. */
  readonly time: number;
  /** Why: a person, the gate, a roll-back. */
  readonly reason: string;
}

/** Something that could not go on, kept whole. Topic `dead-letters`, key source topic. */
export interface DeadLetter {
  readonly type: 'DeadLetter';
  /** Stable, countable: `not-json`, `no-mapping`, `future`, `not-finite` … */
  readonly reason: string;
  readonly message: string;
  readonly time: number;
  /** `mqtt`, or the log topic it was read from. */
  readonly origin: string;
  /** The MQTT topic, or empty. */
  readonly mqttTopic: string;
  readonly partition: number;
  /** Offset in the log topic; −1 where it never was on the log. */
  readonly offset: number;
  readonly device: string;
  readonly payload: Uint8Array;
  /** Bytes that came in, where `payload` holds only their beginning; 0 or left out where it is whole. */
  readonly cutFrom?: number;
}

/** A stretch of a series' regular grid. Topic `history`, key `series/start`. A higher revision replaces a lower one. */
export interface HistorySegment {
  readonly type: 'HistorySegment';
  readonly device: string;
  readonly quantity: string;
  /** Start of the first bucket. */
  readonly start: number;
  /** Length of a bucket in milliseconds. */
  readonly interval: number;
  /** Bucket values in order; NaN where no reading fell into the bucket. */
  readonly values: readonly number[];
  /** Readings in each bucket. */
  readonly counts: readonly number[];
  readonly revision: number;
  /** Every bucket of the segment has closed. */
  readonly complete: boolean;
  /** What late readings have corrected since the first write, oldest first: lower revisions can be put together from it. */
  readonly replaced?: readonly ReplacedBucket[];
  /** The lowest revision that `replaced` leads back to. */
  readonly exactFrom?: number;
}

/** What a bucket of a history segment was before a correction. */
export interface ReplacedBucket {
  /** The first revision that has the correction. */
  readonly revision: number;
  /** Index in `values`. */
  readonly at: number;
  readonly value: number;
  readonly count: number;
}

/**
 * In every partition of `readings`: asks the pipeline to write the segments that have changed. The same record on
 * `history`, key `flush/id`: everything that came before it in the partition of `readings` is written. A training set is
 * what `history` holds up to there.
 */
export interface HistoryFlush {
  readonly type: 'HistoryFlush';
  readonly id: string;
  readonly time: number;
}

/** Topic `forecasts`, key device. `values[i]` is for the bucket that starts at `origin + i × interval`. */
export interface Forecast {
  readonly type: 'Forecast';
  readonly device: string;
  readonly quantity: string;
  /** End of the last bucket that the forecast has seen. */
  readonly origin: number;
  readonly interval: number;
  readonly values: readonly number[];
  readonly lower: readonly number[];
  readonly upper: readonly number[];
  /** Nominal coverage of [lower, upper], for example 0.9. */
  readonly level: number;
  /** Artefact id, or `last-value`, `seasonal-naive`, `naive-mix`, `ridge:<id>`. */
  readonly model: string;
  /** Offset in the partition of `readings` of the record that caused this forecast. */
  readonly inputOffset: number;
  /** Version of the arithmetic: forecasts of one version are reproducible bit for bit. */
  readonly arithmetic: number;
  /** Intervals at further levels, ascending by level. Left out when written is as empty; there when read. */
  readonly intervals?: readonly ForecastInterval[];
}

/** An interval of a forecast, one bound for each of its values. */
export interface ForecastInterval {
  /** Nominal coverage of [lower, upper]. */
  readonly level: number;
  readonly lower: readonly number[];
  readonly upper: readonly number[];
}

/** What a device is expected to report next, after its last events. Topic `next-events`, key device. */
export interface NextEvent {
  readonly type: 'NextEvent';
  readonly device: string;
  /** Of the last event that the forecast has seen (event time). */
  readonly time: number;
  /** The most probable code. */
  readonly code: number;
  readonly probability: number;
  /** Of every code that the model tells apart, from 0. */
  readonly probabilities: readonly number[];
  /** Artefact id. */
  readonly model: string;
  /** Offset in the partition of `readings` of the record that caused this forecast. */
  readonly inputOffset: number;
  /** Version of the arithmetic. */
  readonly arithmetic: number;
}

export interface ScoreEntry {
  readonly model: string;
  readonly role: 'champion' | 'challenger' | 'baseline';
  /** Horizon step, from 1. */
  readonly step: number;
  readonly value: number;
  readonly lower: number;
  readonly upper: number;
}

/** Earlier forecasts against the bucket that has now arrived. Topic `scores`, key series. */
export interface Score {
  readonly type: 'Score';
  readonly device: string;
  readonly quantity: string;
  /** Start of the bucket. */
  readonly time: number;
  readonly actual: number;
  /** Deviation of the series as the normaliser knows it: divides errors so that series can be compared. */
  readonly deviation: number;
  readonly entries: readonly ScoreEntry[];
  readonly inputOffset: number;
}

/** An actual outside the interval. Topic `alerts`, key device. */
export interface Alert {
  readonly type: 'Alert';
  readonly device: string;
  readonly quantity: string;
  readonly time: number;
  readonly actual: number;
  readonly expected: number;
  readonly lower: number;
  readonly upper: number;
  readonly step: number;
  readonly model: string;
  readonly inputOffset: number;
}

/** Topic `state`, key `task/key`: everything that a task holds for one key, as of one input offset. */
export interface StateSnapshot {
  readonly type: 'StateSnapshot';
  readonly task: string;
  /** Record key, or empty for what the task holds beside its keys. */
  readonly key: string;
  /** Offset of the last input record that the state contains. */
  readonly offset: number;
  /** Store name (`node/store`) to its bytes. */
  readonly stores: Readonly<Record<string, Uint8Array>>;
}

/** Topic `model-events`, key model name. */
export interface ModelEvent {
  readonly type: 'ModelEvent';
  readonly name: string;
  readonly kind: 'requested' | 'trained' | 'failed' | 'shadowed' | 'promoted' | 'rejected' | 'rolled_back' | 'retired';
  readonly modelId: string;
  readonly time: number;
  readonly reason: string;
  /** Facts of the event (metrics, offsets, limits) as JSON. */
  readonly details: string;
}

export type FleetRecord =
  | Reading
  | Tick
  | Activation
  | DeadLetter
  | HistorySegment
  | HistoryFlush
  | Forecast
  | NextEvent
  | Score
  | Alert
  | StateSnapshot
  | ModelEvent;

export type RecordType = FleetRecord['type'];

/** The identity of a series: device and quantity, with `/` and `%` of both escaped, so that it can be split again. */
export function seriesKey(device: string, quantity: string): string {
  return `${escapePart(device)}/${escapePart(quantity)}`;
}

/** Inverse of {@link seriesKey}. */
export function splitSeriesKey(key: string): { device: string; quantity: string } {
  const at = key.indexOf('/');
  return { device: unescapePart(key.slice(0, at)), quantity: unescapePart(key.slice(at + 1)) };
}

/** Key on topic `history`: the series and the start of the segment, so that compaction keeps every segment once. */
export function historyKey(device: string, quantity: string, start: number): string {
  return `${seriesKey(device, quantity)}/${start}`;
}

/** Key on topic `history` of the record that says that a flush is through. */
export function flushKey(id: string): string {
  return `flush/${escapePart(id)}`;
}

function escapePart(part: string): string {
  return /[/%]/.test(part) ? part.replaceAll('%', '%25').replaceAll('/', '%2F') : part;
}

function unescapePart(part: string): string {
  return part.includes('%') ? part.replaceAll('%2F', '/').replaceAll('%25', '%') : part;
}
