import type { Tensor, WindowShape } from '../model.ts';
import { layoutOf, type ParameterLayout } from '../parameters.ts';
import { Random } from '../random.ts';

/**
 * Sizes of the segment LSTM. A window is read in whole segments of one season, the oldest odd rest is left out; the
 * horizon is decoded in segments and cut.
 */
export interface SegmentLstmSizes {
  readonly shape: WindowShape;
  /** Units of the recurrent layer and width of the segment embedding. */
  readonly width: number;
  /** Buckets in a segment. */
  readonly segment: number;
  /** Segments read. */
  readonly encoded: number;
  /** Segments forecast. */
  readonly decoded: number;
}

export function segmentLstmSizes(shape: WindowShape, width: number): SegmentLstmSizes {
  const segment = Math.min(shape.season, shape.lookback);
  return {
    shape,
    width,
    segment,
    encoded: Math.floor(shape.lookback / segment),
    decoded: Math.ceil(shape.horizon / segment),
  };
}

/** The tensors in their order. Gates stand in the order i, f, g, o. */
export function segmentLstmLayout({ width, segment, decoded }: SegmentLstmSizes): ParameterLayout {
  return layoutOf([
    ['embedding/kernel', segment, width],
    ['embedding/bias', width],
    ['lstm/kernel', width, 4 * width],
    ['lstm/recurrent', width, 4 * width],
    ['lstm/bias', 4 * width],
    ['positions', decoded, width],
    ['output/kernel', width, segment],
    ['output/bias', segment],
  ]);
}

/** Initial weights: uniform ±1/√(fan in), forget bias + 1, positions normal with deviation 0.1. */
export function initSegmentLstm(sizes: SegmentLstmSizes, seed: number): Tensor[] {
  const { width, segment } = sizes;
  const random = new Random(seed, 1);
  return segmentLstmLayout(sizes).specs.map(({ name, shape, count }) => {
    const bound = 1 / Math.sqrt(name.startsWith('embedding') ? segment : width);
    const draw = name === 'positions' ? () => 0.1 * random.normal() : () => bound * (2 * random.uniform() - 1);
    const data = Float32Array.from({ length: count }, draw);
    if (name === 'lstm/bias') for (let i = width; i < 2 * width; i++) data[i] = data[i]! + 1;
    return { name, shape, data };
  });
}
