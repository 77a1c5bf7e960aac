import { type NetworkFactory, servedNetwork } from '../kernel/network.ts';
import type { Model, Tensor, WindowShape } from '../model.ts';
import { checkTensors, packTensors } from '../parameters.ts';
import { SegmentLstmNetwork } from './network.ts';
import { type SegmentLstmSizes, segmentLstmLayout, segmentLstmSizes } from './parameters.ts';

export function segmentLstmFactory(sizes: SegmentLstmSizes): NetworkFactory {
  return (rows, home) => new SegmentLstmNetwork(sizes, rows, home);
}

/**
 * The serving form of a segment LSTM.
 * @throws MODEL_INVALID when the weights do not fit shape and width
 */
export function segmentLstmModel(id: string, shape: WindowShape, width: number, weights: readonly Tensor[]): Model {
  const sizes = segmentLstmSizes(shape, width);
  const layout = segmentLstmLayout(sizes);
  checkTensors(layout, weights);
  const forecast = servedNetwork(segmentLstmFactory(sizes), shape, (at) => packTensors(layout, weights, at));
  return { id, family: 'segment-lstm', shape, forecast };
}
