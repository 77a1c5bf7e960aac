import { type InputLayout, inputLayout } from '../inputs/row.ts';
import { readInputs } from '../inputs/spec.ts';
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
  /** What it sees beside its own series. */
  readonly inputs?: InputLayout;
}

/** What an artefact or settings say about a segment LSTM. */
export interface SegmentLstmArchitecture {
  readonly width: number;
  /** See `writeInputs`; left out or empty for none. */
  readonly inputs?: string;
}

/** @throws MODEL_INVALID for a text of inputs that cannot be read */
export function segmentLstmSizes(
  shape: WindowShape,
  { width, inputs = '' }: SegmentLstmArchitecture,
): SegmentLstmSizes {
  const segment = Math.min(shape.season, shape.lookback);
  const found = readInputs(inputs);
  return {
    shape,
    width,
    segment,
    encoded: Math.floor(shape.lookback / segment),
    decoded: Math.ceil(shape.horizon / segment),
    ...(found === undefined ? {} : { inputs: inputLayout(found, shape) }),
  };
}

/** The tensors in their order. Gates stand in the order i, f, g, o. */
export function segmentLstmLayout({ width, segment, decoded, inputs }: SegmentLstmSizes): ParameterLayout {
  const quantities = inputs?.inputs.quantities.length ?? 0;
  const covariates = inputs?.covariates ?? 0;
  const kernel: [string, ...number[]][] = quantities > 0 ? [['inputs/kernel', quantities, segment, width]] : [];
  const vectors: [string, ...number[]][] =
    covariates > 0
      ? [
          ['covariates/encoder', covariates, width],
          ['covariates/decoder', covariates, width],
        ]
      : [];
  return layoutOf([
    ['embedding/kernel', segment, width],
    ['embedding/bias', width],
    ['lstm/kernel', width, 4 * width],
    ['lstm/recurrent', width, 4 * width],
    ['lstm/bias', 4 * width],
    ['positions', decoded, width],
    ['output/kernel', width, segment],
    ['output/bias', segment],
    ...kernel,
    ...vectors,
  ]);
}

/** Initial weights: uniform ±1/√(fan in), forget bias + 1, positions normal with deviation 0.1. */
export function initSegmentLstm(sizes: SegmentLstmSizes, seed: number): Tensor[] {
  const { width, segment } = sizes;
  const random = new Random(seed, 1);
  return segmentLstmLayout(sizes).specs.map(({ name, shape, count }) => {
    const bound = 1 / Math.sqrt(/^(embedding|inputs)/.test(name) ? segment : width);
    const draw = name === 'positions' ? () => 0.1 * random.normal() : () => bound * (2 * random.uniform() - 1);
    const data = Float32Array.from({ length: count }, draw);
    if (name === 'lstm/bias') for (let i = width; i < 2 * width; i++) data[i] = data[i]! + 1;
    return { name, shape, data };
  });
}
