export interface WindowShape {
  /** Buckets that a model looks back on. */
  readonly lookback: number;
  /** Buckets that it forecasts. */
  readonly horizon: number;
  /** Buckets in a season (24 for hourly data with a daily cycle); the segment length of the segment LSTM. */
  readonly season: number;
}
