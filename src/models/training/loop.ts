import { setImmediate } from 'node:timers/promises';
import { FleetcastError } from '../../errors.ts';
import { eachForecast, type Forecaster } from '../metrics.ts';
import type { Tensor } from '../model.ts';
import { checkTensors, type ParameterLayout, packTensors, unpackTensors } from '../parameters.ts';
import { Random } from '../random.ts';
import type { TrainHooks, TrainingSet, TrainResult, TrainSettings, WindowIndex } from '../trainer.ts';
import { readCheckpoint, type TrainingState, trainingDigest, writeCheckpoint } from './checkpoint.ts';
import { type Loss, pointLoss } from './loss.ts';
import { learningRate } from './schedule.ts';
import { chosen } from './windows.ts';

/** What computes gradients and keeps the weights; the loop around it is the same for every trainer. */
export interface GradientSource {
  readonly layout: ParameterLayout;
  /** Weights and their gradients, laid out by `layout`; both may move between calls. */
  readonly weights: Float32Array;
  readonly gradients: Float32Array;
  /** The two moments of Adam, laid out like the weights. */
  readonly moments: readonly [Float32Array, Float32Array];
  /**
   * Fills `gradients` for the mean loss over the measured labels of these windows of `set.train`.
   * @returns that loss
   */
  compute(windows: Int32Array, step: number): number | Promise<number>;
  /** Takes a step of Adam; see `Kernel.adam`. */
  update(scale: number, rate: number, correction: number): void;
  /** Forecasts with the weights as they are now: for validation. */
  readonly forecast: Forecaster;
  close(): void | Promise<void>;
}

/** Fewer windows than these teach nothing that a naive forecast does not know. */
const LEAST_WINDOWS = 16;
/** Validation between epochs looks at so many windows, spread evenly. */
const VALIDATION_WINDOWS = 2048;
/** A model whose validation loss has become so many times that of the untrained one has diverged. */
const DIVERGED = 1.5;
const YIELD_MS = 25;
const CHECKPOINT_MS = 30_000;

/** @throws TRAINING_TOO_LITTLE_DATA */
export function checkSet(set: TrainingSet): void {
  const windows = set.train.starts.length;
  if (windows < LEAST_WINDOWS) {
    throw new FleetcastError(
      'TRAINING_TOO_LITTLE_DATA',
      `${windows} training windows, at least ${LEAST_WINDOWS} needed`,
      {
        details: { windows, needed: LEAST_WINDOWS },
      },
    );
  }
}

/**
 * Trains: each epoch draws a fresh random share of the windows; Adam with clipped gradients; the last weights of the
 * schedule are the result, validation only guards against divergence. Same set, settings and weights to start from:
 * same result, because every choice is drawn from the seed; so is a training that goes on from a checkpoint.
 * @throws TRAINING_TOO_LITTLE_DATA, TRAINING_DIVERGED, TRAINING_CANCELLED, CHECKPOINT_UNUSABLE
 */
export async function runTraining(
  source: GradientSource,
  set: TrainingSet,
  settings: TrainSettings,
  start: { readonly weights: readonly Tensor[]; readonly warm: boolean },
  trainer: string,
  hooks: TrainHooks = {},
): Promise<TrainResult> {
  checkSet(set);
  checkTensors(source.layout, start.weights);
  packTensors(source.layout, start.weights, source.weights);
  const windows = set.train.starts.length;
  const drawn = Math.min(windows, Math.max(LEAST_WINDOWS, Math.round(windows * settings.sampleShare)));
  const batch = Math.min(settings.batch, drawn);
  const perEpoch = Math.floor(drawn / batch);
  const wanted = perEpoch * settings.epochs;
  const steps = settings.maxSteps > 0 ? Math.min(wanted, settings.maxSteps) : wanted;
  const epochs = Math.ceil(steps / perEpoch);
  const validation = thinned(set.validation, VALIDATION_WINDOWS);
  const random = new Random(settings.seed, 3);
  const order = Int32Array.from({ length: windows }, (_, i) => i);
  const judge = () => meanLoss(source, set, validation, settings);
  const { onCheckpoint, checkpointMs = CHECKPOINT_MS, resume } = hooks;
  const digest = onCheckpoint || resume ? trainingDigest(set, settings, start.weights, trainer) : new Uint8Array(0);
  let state: TrainingState;
  if (resume === undefined) {
    const before = judge();
    state = { step: 0, sum: 0, count: 0, moment1: 1, moment2: 1, before, validationLoss: before };
  } else state = readCheckpoint(resume, digest, steps, source);
  let loss = state.sum / state.count;
  const began = performance.now();
  const first = state.step;
  let yielded = began;
  let saved = began;
  const save = () => {
    onCheckpoint?.(writeCheckpoint(state, digest, source));
    saved = performance.now();
  };
  for (let epoch = 1; epoch <= epochs; epoch++) {
    random.shuffle(order, drawn);
    const end = Math.min(epoch * perEpoch, steps);
    // Epochs that a checkpoint has behind it only draw, so that the order is the one that they left.
    if (first > end) continue;
    if (state.step === (epoch - 1) * perEpoch) [state.sum, state.count] = [0, 0];
    while (state.step < end) {
      const { step } = state;
      const i = step - (epoch - 1) * perEpoch;
      const stepLoss = await source.compute(order.subarray(i * batch, (i + 1) * batch), step);
      const norm = normOf(source.gradients);
      if (!Number.isFinite(stepLoss) || !Number.isFinite(norm)) {
        throw new FleetcastError('TRAINING_DIVERGED', `the loss is ${stepLoss} at step ${step + 1}`);
      }
      const scale = settings.clipNorm > 0 && norm > settings.clipNorm ? settings.clipNorm / norm : 1;
      state.moment1 *= 0.9;
      state.moment2 *= 0.999;
      const rate = learningRate(settings.learningRate, step, steps, start.warm);
      source.update(scale, rate / (1 - state.moment1), 1 / (1 - state.moment2));
      state.sum += stepLoss;
      state.count++;
      state.step++;
      loss = state.sum / state.count;
      const now = performance.now();
      if (now - saved >= checkpointMs) save();
      if (now - yielded > YIELD_MS || step === first) {
        hooks.onProgress?.({
          epoch,
          epochs,
          step: step + 1,
          steps,
          loss,
          validationLoss: state.validationLoss,
          remainingMs: step < first + 5 ? Number.NaN : ((now - began) / (step + 1 - first)) * (steps - step - 1),
        });
        await setImmediate();
        yielded = performance.now();
        if (hooks.signal?.aborted) {
          save();
          throw new FleetcastError('TRAINING_CANCELLED', `cancelled at step ${step + 1} of ${steps}`);
        }
      }
    }
    state.validationLoss = judge();
    const { step, validationLoss } = state;
    const remainingMs = ((performance.now() - began) / Math.max(1, step - first)) * (steps - step);
    hooks.onProgress?.({ epoch, epochs, step, steps, loss, validationLoss, remainingMs });
  }
  const { before, validationLoss } = state;
  if (validationLoss > DIVERGED * before) {
    throw new FleetcastError(
      'TRAINING_DIVERGED',
      `the validation loss rose from ${before.toFixed(4)} to ${validationLoss.toFixed(4)}`,
    );
  }
  return { weights: unpackTensors(source.layout, source.weights), loss, validationLoss, steps, trainer };
}

/** Every so-manyth window, so that at most `most` are left. */
export function thinned(index: WindowIndex, most: number): WindowIndex {
  const count = index.starts.length;
  if (count <= most) return index;
  return chosen(
    index,
    Int32Array.from({ length: most }, (_, i) => Math.floor((i * count) / most)),
  );
}

function meanLoss(source: GradientSource, set: TrainingSet, index: WindowIndex, loss: Loss): number {
  let sum = 0;
  let count = 0;
  eachForecast(set, index, source.forecast, (_window, _step, error) => {
    sum += pointLoss(loss, error);
    count++;
  });
  return count === 0 ? Number.NaN : sum / count;
}

function normOf(values: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * values[i]!;
  return Math.sqrt(sum);
}
