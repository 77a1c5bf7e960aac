import type { OffsetRange, Scaler } from '../models/model.ts';
import type { TrainSettings } from '../models/trainer.ts';
import type { Borders } from './data-set.ts';

/** Everything that a training depends on: the same request and history give the same model, bit for bit. */
export interface TrainingRequest {
  readonly name: string;
  readonly family: 'segment-lstm' | 'lstm' | 'sequential' | 'ridge';
  /** Name of the trainer of the models room. */
  readonly trainer: string;
  readonly ranges: readonly OffsetRange[];
  /** The pipeline had written its open segments, so that the ranges hold all that had closed. */
  readonly flushed: boolean;
  /** What differs from the recipe. */
  readonly settings: Partial<TrainSettings>;
  readonly scaler: Scaler['kind'];
  readonly split: Borders | { readonly train: number; readonly validation: number };
  /** Series keys; empty for all. */
  readonly series: readonly string[];
  /** Event times of the buckets to use; null is open. */
  readonly from: number | null;
  readonly to: number | null;
  /** Segments that end at or before it are not read, see `boundedPart`; null reads all. Older requests do not have it. */
  readonly since?: number | null;
  /** Id of the model that it starts from (warm start), or empty. */
  readonly parent: string;
  readonly reason: string;
  /** Whoever asked does the training, and decides about the model: the learner leaves both alone. */
  readonly byHand: boolean;
  /** Buckets of the longest series when it was asked for. */
  readonly buckets: number;
  /**
   * Event time at which the newest bucket of any series ended then: the next training waits for so much more. Requests of
   * versions before have none, and `buckets` counts; nor has one on no history.
   */
  readonly end?: number;
  /** Buckets of all series then, and series that were long enough for a window. */
  readonly total: number;
  readonly seriesCount: number;
  /** When it was asked for; the artefact's `createdAt`. */
  readonly time: number;
}

/** What is trained where nothing else is said: 70 % of the buckets in time order, 15 % to validate, 15 % to test. */
export const DEFAULT_SPLIT = { train: 0.7, validation: 0.15 } as const;
