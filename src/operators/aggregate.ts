/** How the readings of a bucket become its value. */
export type Aggregate = 'mean' | 'min' | 'max' | 'sum' | 'last' | 'median' | 'count';

export const AGGREGATES: readonly Aggregate[] = ['mean', 'min', 'max', 'sum', 'last', 'median', 'count'];

/**
 * The value of the readings `from` to `to` (exclusive, at least one), which are sorted by time. They come in that one
 * order whatever the order of arrival was, so that sums have the same bits.
 */
export function aggregate(kind: Aggregate, values: readonly number[], from: number, to: number): number {
  switch (kind) {
    case 'mean':
      return mean(values, from, to);
    case 'sum':
      return sum(values, from, to);
    case 'count':
      return to - from;
    case 'last':
      return values[to - 1]!;
    case 'min': {
      let least = values[from]!;
      for (let i = from + 1; i < to; i++) least = Math.min(least, values[i]!);
      return least;
    }
    case 'max': {
      let most = values[from]!;
      for (let i = from + 1; i < to; i++) most = Math.max(most, values[i]!);
      return most;
    }
    case 'median': {
      const sorted = values.slice(from, to).sort((a, b) => a - b);
      const middle = sorted.length >> 1;
      return sorted.length % 2 === 1 ? sorted[middle]! : sorted[middle - 1]! / 2 + sorted[middle]! / 2;
    }
  }
}

/** Differences from the first value are summed: equal readings have exactly their value as mean, and nothing overflows. */
function mean(values: readonly number[], from: number, to: number): number {
  const first = values[from]!;
  let rest = 0;
  for (let i = from + 1; i < to; i++) rest += (values[i]! - first) / (to - from);
  return first + rest;
}

function sum(values: readonly number[], from: number, to: number): number {
  let total = 0;
  for (let i = from; i < to; i++) total += values[i]!;
  return total;
}
