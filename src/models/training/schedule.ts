import { cosine } from '../arithmetic.ts';

const WARM_UP = 0.05;
const FLOOR = 0.02;

/**
 * Learning rate of a step, counted from 0: a linear warm-up over 5 % of the steps, then half a cosine down to 2 %.
 * A warm start needs no warm-up.
 */
export function learningRate(base: number, step: number, steps: number, warmStart: boolean): number {
  const warm = warmStart ? 1 : Math.max(1, Math.floor(WARM_UP * steps));
  if (step < warm) return (base * (step + 1)) / warm;
  const done = (step - warm) / Math.max(1, steps - warm);
  return base * (FLOOR + (1 - FLOOR) * 0.5 * (1 + cosine(Math.min(1, done) * Math.PI)));
}
