/**
 * What flows between the operators. Key of every item: the device. Times are milliseconds since the epoch (UTC).
 */

/**
 * A bucket of a series' grid that has closed, or a closed one whose value a late reading has changed. Closed buckets of
 * a series come in order of time. Empty ones are not sent: whoever follows sees the gap in the starts, so that a device
 * that comes back after years costs no more than one that comes back after an hour.
 */
export interface Bucket {
  readonly kind: 'closed' | 'corrected';
  readonly quantity: string;
  /** Start of the bucket; its end is `start + interval`. */
  readonly start: number;
  readonly value: number;
  /** Readings in it, at least 1. */
  readonly count: number;
}

/** What is known of a series at the end of a bucket: everything that a forecast from there depends on. */
export interface SeriesWindow {
  readonly quantity: string;
  /** End of the newest bucket: the forecast's first bucket starts here. */
  readonly origin: number;
  readonly interval: number;
  /** Value of the newest bucket. */
  readonly actual: number;
  /** Empty buckets just before the newest. */
  readonly missing: number;
  /** Newest last, gaps filled, at most `lookback` of them. */
  readonly values: Float64Array;
  /** Values before those, newest last, where the naive forecasts reach back further than the window. */
  readonly earlier?: Float64Array;
  /** How many of `values` were measured, not filled. */
  readonly measured: number;
  readonly mean: number;
  /** 0 for a series that has been constant; divide by {@link scaleOf}. */
  readonly deviation: number;
}

/** Divisor that standardises a series: a constant series is left as it is. */
export function scaleOf(deviation: number): number {
  return deviation > 0 ? deviation : 1;
}

export type CandidateRole = 'champion' | 'challenger';

/** The forecast of one model for one window. */
export interface Candidate {
  readonly role: CandidateRole;
  /** Artefact id, or the name of a baseline. */
  readonly model: string;
  /** Absolute residuals to expect at first, in units, for each horizon step; empty where nothing is known. */
  readonly calibration: readonly number[];
  /** The deviation that the window was standardised with. */
  readonly unit: number;
  readonly values: Float64Array;
  /** The row of inputs that the model saw beside the window; see `InputLayout`. */
  readonly inputs?: Float32Array;
}

export interface ForecastCandidates {
  readonly window: SeriesWindow;
  /** The champion first; it is always there. */
  readonly candidates: readonly Candidate[];
}
