import type { InputLayout } from './inputs/row.ts';
import type { WindowShape } from './window-shape.ts';

/**
 * The contract of a model: a pure function of weights and windows. Same weights and window, same bits, on every machine
 * and however windows are batched.
 */

export type { WindowShape };

/** Windows of a micro-batch, row after row. */
export interface WindowBatch {
  readonly count: number;
  /** Standardised values `[count, lookback]`, oldest first, no NaN: gaps are filled before and flagged in `mask`. */
  readonly values: Float32Array;
  /** For a model with inputs: their rows `[count, size]`, see `InputLayout`. */
  readonly inputs?: Float32Array;
}

export interface Model {
  /** Content hash of the artefact, 64 hex digits. */
  readonly id: string;
  readonly family: ModelFamily;
  readonly shape: WindowShape;
  /** What the model sees beside the series that it forecasts; undefined for nothing. */
  readonly inputs?: InputLayout;
  /**
   * Forecasts every window.
   * @param out `[count, horizon]` standardised values, overwritten.
   */
  forecast(batch: WindowBatch, out: Float32Array): void;
}

export type ModelFamily = 'segment-lstm' | 'lstm' | 'ridge' | 'sequential';

/** Named tensors, float32, row-major. The order is the family's own and part of the content hash. */
export interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** How values are standardised before a model sees them: `(value − mean) / deviation`. */
export interface Scaler {
  /** `rolling`: mean and deviation of the series as of the forecast's origin. `fixed`: those of the training rows. */
  readonly kind: 'rolling' | 'fixed';
  /** Buckets in the rolling window; 0 for all so far. */
  readonly length: number;
  /** For `fixed`: series key to mean and deviation; other series are standardised with their rolling ones. */
  readonly series: ReadonlyMap<string, { readonly mean: number; readonly deviation: number }>;
}

/** A stretch of a partition of `history` that a model was trained on: offsets from ≤ o < to. */
export interface OffsetRange {
  readonly topic: string;
  readonly partition: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Everything that belongs to a model, in one record of topic `models`. The id is the SHA-256 of the encoded artefact.
 */
export interface ModelArtefact {
  readonly formatVersion: number;
  readonly family: ModelFamily;
  /** Name of the model line, for example `default`. */
  readonly name: string;
  readonly shape: WindowShape;
  /** Length of a bucket in milliseconds. */
  readonly interval: number;
  /** The family's own sizes, for example `{ width: 64 }`; JSON object. */
  readonly architecture: Readonly<Record<string, number | string | boolean>>;
  readonly weights: readonly Tensor[];
  readonly scaler: Scaler;
  /** Absolute standardised residuals on the validation part: quantile at `level` for each horizon step. */
  readonly calibration: { readonly level: number; readonly quantiles: readonly number[] };
  readonly training: {
    readonly ranges: readonly OffsetRange[];
    /** Event times: training rows are < `trainEnd`, validation rows < `validationEnd`, milliseconds. */
    readonly trainEnd: number;
    readonly validationEnd: number;
    readonly seed: number;
    readonly trainer: string;
    readonly settings: Readonly<Record<string, number | string | boolean>>;
    readonly windows: number;
    /** What of history the ranges held then, for a rebuild after compaction; not in older models. */
    readonly set?: Uint8Array;
  };
  /** For example `test.mse`, `test.mae`, `test.mse.seasonal-naive`, on standardised values. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Id of the model it was warm-started from, or empty. */
  readonly parent: string;
  /** Version of the arithmetic the weights were made with. */
  readonly arithmetic: number;
  readonly createdAt: number;
  readonly note: string;
  readonly licence: string;
}
