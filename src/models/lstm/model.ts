import { type NetworkFactory, servedNetwork } from '../kernel/network.ts';
import type { Model, Tensor, WindowShape } from '../model.ts';
import { checkTensors, packTensors } from '../parameters.ts';
import { LstmNetwork } from './network.ts';
import { type Decoding, type LstmSizes, lstmLayout } from './parameters.ts';

export function lstmFactory(sizes: LstmSizes): NetworkFactory {
  return (rows, home) => new LstmNetwork(sizes, rows, home);
}

/** What an artefact or settings say about a plain LSTM. */
export interface LstmArchitecture {
  readonly width: number;
  readonly layers: number;
  readonly decoding: Decoding;
}

export function lstmSizes(shape: WindowShape, { width, layers, decoding }: LstmArchitecture): LstmSizes {
  return { shape, width, layers, decoding, features: 1 };
}

/**
 * The serving form of a plain LSTM.
 * @throws MODEL_INVALID when the weights do not fit shape and architecture
 */
export function lstmModel(
  id: string,
  shape: WindowShape,
  architecture: LstmArchitecture,
  weights: readonly Tensor[],
): Model {
  const sizes = lstmSizes(shape, architecture);
  const layout = lstmLayout(sizes);
  checkTensors(layout, weights);
  const forecast = servedNetwork(lstmFactory(sizes), shape, (at) => packTensors(layout, weights, at));
  return { id, family: 'lstm', shape, forecast };
}
