import { isFleetcastError } from '../errors.ts';
import type { TrainHooks, TrainingSet, TrainResult, TrainSettings } from '../models/trainer.ts';
import { trainInWorker } from '../models/training/train-in-worker.ts';

/** Epochs of the shorter training, and how many more the recipe must want for it to be worth trying. */
const SHORT_EPOCHS = 20;
const LEAST_EPOCHS = 2 * SHORT_EPOCHS;

export interface LimitedHooks extends TrainHooks {
  /** The time is up: ends what has no result yet, where `signal` ends everything. */
  readonly limit?: AbortSignal;
}

export interface Trained {
  readonly result: TrainResult;
  /** Those that the result was made with: a training with them alone gives the same weights. */
  readonly settings: TrainSettings;
}

/**
 * Trains with the kernel; where the set is so small that the recipe goes through it very often, also for fewer epochs, and
 * takes what is better on the validation part. A noisy series alone is learnt by heart where a regular one needs every epoch
 * (bench/results/choose-2026-11-27.md), and only the data can tell which it is. Checkpoints are those of the long training:
 * the short one is over soon, and is made again after an interruption. A short one that diverges, or that the limit ends,
 * leaves the long one as the result.
 * @param free whether the number of epochs was left to the recipe
 * @throws as `trainInWorker`
 */
export async function trainKernel(
  set: TrainingSet,
  settings: TrainSettings,
  free: boolean,
  hooks: LimitedHooks,
): Promise<Trained> {
  const limited = withLimit(hooks);
  const long = { result: await trainInWorker('kernel', set, settings, limited), settings };
  if (!free || settings.epochs < LEAST_EPOCHS || set.validation.starts.length === 0) return long;
  const fewer = { ...settings, epochs: SHORT_EPOCHS };
  const { signal, onProgress, threads } = limited;
  const short = await trainInWorker('kernel', set, fewer, {
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
    ...(threads !== undefined && { threads }),
  }).catch((error: unknown) => {
    if (isFleetcastError(error, 'TRAINING_DIVERGED') || isLate(error, hooks)) return undefined;
    throw error;
  });
  return short !== undefined && short.validationLoss < long.result.validationLoss
    ? { result: short, settings: fewer }
    : long;
}

/** The hooks of a training that the limit ends as well. */
export function withLimit({ limit, ...hooks }: LimitedHooks): TrainHooks {
  const { signal } = hooks;
  if (limit === undefined) return hooks;
  return { ...hooks, signal: signal === undefined ? limit : AbortSignal.any([signal, limit]) };
}

/** Whether it was the limit that ended a training. */
export function isLate(error: unknown, { signal, limit }: LimitedHooks): boolean {
  return isFleetcastError(error, 'TRAINING_CANCELLED') && limit?.aborted === true && signal?.aborted !== true;
}
