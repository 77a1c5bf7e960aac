import type { ErrorCode } from '../../errors.ts';
import type { Tensor } from '../model.ts';
import type { TrainingSet, TrainProgress, TrainResult, TrainSettings } from '../trainer.ts';

/** What a training worker is started with. */
export interface TrainingJob {
  readonly trainer: string;
  readonly set: TrainingSet;
  readonly settings: TrainSettings;
  readonly initial: readonly Tensor[] | undefined;
  readonly checkpoints: boolean;
  readonly checkpointMs: number | undefined;
  readonly resume: Uint8Array | undefined;
  readonly threads: number | undefined;
}

export type FromWorker =
  | { readonly kind: 'progress'; readonly progress: TrainProgress }
  | { readonly kind: 'checkpoint'; readonly checkpoint: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'done'; readonly result: TrainResult }
  | { readonly kind: 'failed'; readonly code: ErrorCode | undefined; readonly message: string };

export interface ToWorker {
  readonly kind: 'cancel';
}
