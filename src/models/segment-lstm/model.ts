import { type NetworkFactory, servedNetwork } from '../kernel/network.ts';
import type { Model, Tensor, WindowShape } from '../model.ts';
import { checkTensors, packTensors } from '../parameters.ts';
import { SegmentLstmNetwork } from './network.ts';
import {
  type SegmentLstmArchitecture,
  type SegmentLstmSizes,
  segmentLstmLayout,
  segmentLstmSizes,
} from './parameters.ts';

export function segmentLstmFactory(sizes: SegmentLstmSizes): NetworkFactory {
  return (rows, home) => new SegmentLstmNetwork(sizes, rows, home);
}

/**
 * The serving form of a segment LSTM.
 * @throws MODEL_INVALID when the weights do not fit shape and architecture
 */
export function segmentLstmModel(
  id: string,
  shape: WindowShape,
  architecture: SegmentLstmArchitecture,
  weights: readonly Tensor[],
): Model {
  const sizes = segmentLstmSizes(shape, architecture);
  const layout = segmentLstmLayout(sizes);
  checkTensors(layout, weights);
  const forecast = servedNetwork(segmentLstmFactory(sizes), shape, (at) => packTensors(layout, weights, at));
  return {
    id,
    family: 'segment-lstm',
    shape,
    forecast,
    ...(sizes.inputs === undefined ? {} : { inputs: sizes.inputs }),
  };
}
