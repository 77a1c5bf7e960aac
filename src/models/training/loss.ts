import type { TrainSettings } from '../trainer.ts';

/** Where the Huber loss turns from a parabola into a line, in standard deviations; see bench/accuracy/choose.mjs. */
export const HUBER_DELTA = 0.25;

/** A loss, and for `huber` its bend. */
export type Loss = Pick<TrainSettings, 'loss' | 'huberDelta'>;

/** Loss of one error, in double precision. */
export function pointLoss({ loss, huberDelta: delta }: Loss, error: number): number {
  if (loss === 'mse') return error * error;
  const absolute = Math.abs(error);
  if (loss === 'mae') return absolute;
  return absolute < delta ? (0.5 * error * error) / delta : absolute - 0.5 * delta;
}

/** Its derivative by the error. */
export function pointGradient({ loss, huberDelta: delta }: Loss, error: number): number {
  if (loss === 'mse') return 2 * error;
  if (loss === 'mae') return Math.sign(error);
  return Math.max(-1, Math.min(1, error / delta));
}
