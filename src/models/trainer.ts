import type { Tensor, WindowShape } from './model.ts';

/**
 * The contract of a trainer. Trainers run in a worker thread; the data crosses by transfer.
 */

/**
 * Standardisable series and the windows that may be drawn from them. A window is `lookback` inputs followed by `horizon`
 * labels; its inputs and labels are standardised with `mean` and `deviation` of its own row, exactly as serving does it.
 */
export interface TrainingSet {
  readonly shape: WindowShape;
  /** All series one after the other, gaps filled as the `window` operator fills them. */
  readonly values: Float64Array;
  /** 1 where a value was measured, 0 where it was filled: filled labels do not count in the loss. */
  readonly measured: Uint8Array;
  readonly train: WindowIndex;
  readonly validation: WindowIndex;
  /** For a model that sees more than the series that it forecasts. */
  readonly inputs?: SetInputs;
}

/** What the inputs of all windows have in common. */
export interface SetInputs {
  /** See `writeInputs`. */
  readonly text: string;
  /** Length of a bucket, milliseconds. */
  readonly interval: number;
  /** Statics of the devices `[device, static]`, NaN where one is not known. */
  readonly statics: Float64Array;
}

export interface WindowIndex {
  /** Index into `values` of the first input of each window. */
  readonly starts: Int32Array;
  readonly means: Float64Array;
  readonly deviations: Float64Array;
  /** There where the set has inputs. */
  readonly inputs?: WindowInputs;
}

/** Where the inputs of each window come from. */
export interface WindowInputs {
  /** End of the newest bucket, milliseconds since the epoch. */
  readonly origins: Float64Array;
  /** Number of the quantity that is forecast among the inputs' quantities, or −1. */
  readonly targets: Int32Array;
  /** Row in `SetInputs.statics`. */
  readonly devices: Int32Array;
  /** For each quantity `[window, quantity]`: index into `values` of its first value, −1 where it is not there; its scale. */
  readonly starts: Int32Array;
  readonly means: Float64Array;
  readonly deviations: Float64Array;
}

export interface TrainSettings {
  readonly family: 'segment-lstm' | 'lstm' | 'sequential';
  /** Only for `sequential`: the layers as JSON, as `parseSequential` reads them. */
  readonly sequential?: string;
  /** Recurrent layers; only for `lstm`. */
  readonly layers: number;
  /** How `lstm` gives its horizon: at once, or step by step with every value fed back. */
  readonly decoding: 'direct' | 'autoregressive';
  readonly width: number;
  /** What the model sees beside its own series, see `writeInputs`; empty for nothing. */
  readonly inputs: string;
  readonly epochs: number;
  /** Windows a step. */
  readonly batch: number;
  readonly learningRate: number;
  readonly loss: 'mae' | 'mse' | 'huber';
  /** Where `huber` turns from a parabola into a line, in deviations. */
  readonly huberDelta: number;
  readonly dropout: number;
  readonly clipNorm: number;
  readonly seed: number;
  /** Share of the training windows drawn afresh for each epoch. */
  readonly sampleShare: number;
  /** Most steps in all; 0 is no limit. Bounds the time of a training. */
  readonly maxSteps: number;
}

export interface TrainProgress {
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly validationLoss: number;
  /** Estimate, milliseconds; NaN before the first is possible. */
  readonly remainingMs: number;
}

export interface TrainHooks {
  readonly onProgress?: (progress: TrainProgress) => void;
  readonly signal?: AbortSignal;
  /**
   * Called with the whole state of the training every `checkpointMs`, and once more when it is cancelled. The bytes are
   * the receiver's. A closed form has no checkpoints: it is done again.
   */
  readonly onCheckpoint?: (checkpoint: Uint8Array) => void;
  /** Milliseconds between checkpoints; 0 for one after every step. Default 30,000. */
  readonly checkpointMs?: number;
  /**
   * A checkpoint to go on from. Set, settings, initial weights and trainer must be those that it was made with; the
   * result then has the bits of the training that was never interrupted.
   */
  readonly resume?: Uint8Array;
  /** Of the kernel's trainer; as many as the machine has processors where left out. The result has the same bits. */
  readonly threads?: number;
}

export interface TrainResult {
  readonly weights: readonly Tensor[];
  readonly loss: number;
  readonly validationLoss: number;
  readonly steps: number;
  /** What did the work, for example `tensorflow.js wasm 4.22.0`. */
  readonly trainer: string;
}

export interface Trainer {
  readonly name: string;
  /**
   * @param initial weights to start from (warm start); drawn from the seed otherwise.
   * @throws TRAINING_TOO_LITTLE_DATA, TRAINING_DIVERGED, TRAINING_CANCELLED, CHECKPOINT_UNUSABLE
   */
  train(
    set: TrainingSet,
    settings: TrainSettings,
    hooks?: TrainHooks,
    initial?: readonly Tensor[],
  ): Promise<TrainResult>;
}
