import type { TrainSettings } from '../trainer.ts';

/** Where the Huber loss turns from a parabola into a line, in standard deviations. */
export const HUBER_DELTA = 0.25;

export type LossName = TrainSettings['loss'];

/** Loss of one error, in double precision. */
export function pointLoss(loss: LossName, error: number): number {
  if (loss === 'mse') return error * error;
  const absolute = Math.abs(error);
  if (loss === 'mae') return absolute;
  return absolute < HUBER_DELTA ? (0.5 * error * error) / HUBER_DELTA : absolute - 0.5 * HUBER_DELTA;
}

/** Its derivative by the error. */
export function pointGradient(loss: LossName, error: number): number {
  if (loss === 'mse') return 2 * error;
  if (loss === 'mae') return Math.sign(error);
  return Math.max(-1, Math.min(1, error / HUBER_DELTA));
}
