import type { WindowShape } from '../models/model.ts';

/** What a window is, in the words of the TensorFlow tutorial: total size, inputs, shift and labels. */
export function windowText({ lookback, horizon, season }: WindowShape): string {
  return [
    `window: ${lookback + horizon} buckets`,
    `inputs 0 … ${lookback - 1} (width ${lookback})`,
    `labels ${lookback} … ${lookback + horizon - 1} (width ${horizon}, shift ${horizon})`,
    `season ${season}`,
  ].join(' · ');
}
