import type { Tensor, WindowShape } from '../model.ts';
import { layoutOf, type ParameterLayout } from '../parameters.ts';
import { Random } from '../random.ts';

/**
 * `direct`: the last hidden state gives the whole horizon at once. `autoregressive`: every step gives the next value,
 * which is fed back over the horizon; trained on whole sequences whose targets are shifted by one step.
 */
export type Decoding = 'direct' | 'autoregressive';

/** Sizes of a plain LSTM over single steps. */
export interface LstmSizes {
  readonly shape: WindowShape;
  /** Units of every layer. */
  readonly width: number;
  readonly layers: number;
  readonly decoding: Decoding;
  /** Values of a step; a window holds them step after step. More than one only with `direct`. */
  readonly features: number;
}

/** The tensors in their order. Gates stand in the order i, f, g, o. */
export function lstmLayout({ shape, width, layers, decoding, features }: LstmSizes): ParameterLayout {
  const cells = Array.from({ length: layers }, (_, layer): [string, ...number[]][] => [
    [`lstm_${layer}/kernel`, layer === 0 ? features : width, 4 * width],
    [`lstm_${layer}/recurrent`, width, 4 * width],
    [`lstm_${layer}/bias`, 4 * width],
  ]);
  const outputs = decoding === 'direct' ? shape.horizon : 1;
  return layoutOf([...cells.flat(), ['output/kernel', width, outputs], ['output/bias', outputs]]);
}

/** Initial weights: uniform ±1/√width, forget bias + 1. */
export function initLstm(sizes: LstmSizes, seed: number): Tensor[] {
  const { width } = sizes;
  const random = new Random(seed, 5);
  const bound = 1 / Math.sqrt(width);
  return lstmLayout(sizes).specs.map(({ name, shape, count }) => {
    const data = Float32Array.from({ length: count }, () => bound * (2 * random.uniform() - 1));
    if (name.startsWith('lstm') && name.endsWith('bias')) {
      for (let i = width; i < 2 * width; i++) data[i] = data[i]! + 1;
    }
    return { name, shape, data };
  });
}
