import { Arena } from '../kernel/kernel.ts';
import { createKernel } from '../kernel/load.ts';
import { loadWindows, storeForecasts } from '../kernel/windows.ts';
import type { Model, Tensor, WindowShape } from '../model.ts';
import { checkTensors, packTensors } from '../parameters.ts';
import { SegmentLstmNetwork } from './network.ts';
import { segmentLstmLayout, segmentLstmSizes } from './parameters.ts';

/** Windows that go through the network at a time: keeps the activations in the cache. No influence on results. */
const ROWS = 32;

/**
 * The serving form of a segment LSTM.
 * @throws MODEL_INVALID when the weights do not fit shape and width
 */
export function segmentLstmModel(id: string, shape: WindowShape, width: number, weights: readonly Tensor[]): Model {
  const sizes = segmentLstmSizes(shape, width);
  const layout = segmentLstmLayout(sizes);
  checkTensors(layout, weights);
  const arena = new Arena();
  const kernelOf = { arena, weights: arena.take(layout.size), training: false };
  // The first network only measures how much heap there has to be.
  const measure = new Arena(arena.used);
  new SegmentLstmNetwork(sizes, ROWS, { ...kernelOf, arena: measure, kernel: UNUSED });
  const kernel = createKernel(measure.used);
  const network = new SegmentLstmNetwork(sizes, ROWS, { ...kernelOf, kernel });
  packTensors(layout, weights, kernel.heap.subarray(kernelOf.weights, kernelOf.weights + layout.size));
  network.prepare();
  return {
    id,
    family: 'segment-lstm',
    shape,
    forecast(batch, out) {
      for (let from = 0; from < batch.count; from += ROWS) {
        const rows = Math.min(ROWS, batch.count - from);
        loadWindows(kernel.heap, network.input, batch, from, rows, shape.lookback);
        network.forward(rows);
        storeForecasts(kernel.heap, network.output, sizes.decoded * sizes.segment, shape, batch, from, rows, out);
      }
    },
  };
}

const UNUSED = { heap: new Float32Array(0) } as never;
