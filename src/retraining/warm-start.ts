import { Random } from '../models/random.ts';
import type { TrainSettings, WindowIndex } from '../models/trainer.ts';
import { chosen } from '../models/training/windows.ts';
import type { DataSet } from './data-set.ts';

/** Two passes over a mix of new and old windows, at the full learning rate: enough to learn what is new. */
export const WARM_SETTINGS: Partial<TrainSettings> = { epochs: 2, sampleShare: 1 };

/**
 * The windows that a training which starts from a parent's weights draws from: those whose labels the parent has not
 * seen, and as many of the others, drawn from the seed. New windows alone would make it forget. Where nothing is new, all.
 * @param knownUntil event time, milliseconds: the parent's training labels lie before it
 */
export function warmWindows(set: DataSet, interval: number, knownUntil: number, seed: number): WindowIndex {
  const { train, shape, runs } = set;
  const fresh: number[] = [];
  const old: number[] = [];
  let run = 0;
  train.starts.forEach((start, i) => {
    while (start >= runs[run]!.to) run++;
    const { from, start: first } = runs[run]!;
    const labelEnd = first + (start - from + shape.lookback + shape.horizon) * interval;
    (labelEnd > knownUntil ? fresh : old).push(i);
  });
  if (fresh.length === 0) return train;
  const order = Int32Array.from(old);
  const count = Math.min(fresh.length, order.length);
  new Random(seed, 7).shuffle(order, count);
  return chosen(train, Int32Array.from([...fresh, ...order.subarray(0, count)]).sort());
}
