import { architectureChoice, architectureInteger, inputsOf, validateArtefact } from '../artefact.ts';
import { lstmSizes } from '../lstm/model.ts';
import { lstmLayout } from '../lstm/parameters.ts';
import type { ModelArtefact, Tensor } from '../model.ts';
import { checkTensors, layoutOf } from '../parameters.ts';
import { segmentLstmLayout, segmentLstmSizes } from '../segment-lstm/parameters.ts';
import { sequentialOf } from '../sequential/model.ts';
import { exportKeras } from './export.ts';
import { KerasGraph, type Ref } from './graph.ts';
import { invalid } from './limits.ts';

/** Steps that a model may be unrolled to; Keras builds a node for each. */
const MOST_STEPS = 400;

/**
 * A model as a `.keras` file that `keras.models.load_model` of Keras 3 loads and that predicts the same: from standardised
 * windows `[lookback]` to `[horizon]`. Families are written as functional models of Keras's own layers; subtracting the
 * last value and adding it again are layers too. Sequential models are written as they are.
 * @param savedAt milliseconds, for the date in the file
 * @throws MODEL_INVALID
 */
export function exportArtefact(artefact: ModelArtefact, savedAt: number): Promise<Uint8Array> {
  validateArtefact(artefact);
  switch (artefact.family) {
    case 'sequential':
      return exportKeras(sequentialOf(artefact), artefact.weights, savedAt);
    case 'segment-lstm':
      return segmentLstm(artefact, savedAt);
    case 'lstm':
      return plainLstm(artefact, savedAt);
    case 'ridge': {
      const { lookback, horizon } = artefact.shape;
      checkTensors(layoutOf([['ridge/kernel', lookback, horizon]]), artefact.weights);
      const { graph, window, relative } = start(artefact, lookback);
      const config = { units: horizon, use_bias: false };
      return finish(
        graph,
        window,
        graph.layer('Dense', 'ridge', config, relative, [horizon], artefact.weights),
        savedAt,
      );
    }
  }
}

function segmentLstm(artefact: ModelArtefact, savedAt: number): Promise<Uint8Array> {
  if (inputsOf(artefact) !== undefined) throw invalid('a model with further inputs cannot be written as a Keras model');
  const width = architectureInteger(artefact, 'width', 1, 1024);
  const sizes = segmentLstmSizes(artefact.shape, { width });
  checkTensors(segmentLstmLayout(sizes), artefact.weights);
  const { segment, encoded, decoded } = sizes;
  if (decoded > MOST_STEPS) throw invalid(`${decoded} segments to forecast, at most ${MOST_STEPS} can be written`);
  const [E, bE, Wx, Wh, b, positions, O, bO] = artefact.weights as readonly Tensor[] & { length: 8 };
  const { graph, window, relative } = start(artefact, encoded * segment);
  // A layer that ignores its input gives the numbers of the segments, whose positions are then looked up.
  const numbers = graph.layer(
    'Dense',
    'segment_numbers',
    { units: decoded, trainable: false },
    window,
    [decoded],
    [
      { shape: [artefact.shape.lookback, decoded], data: new Float32Array(artefact.shape.lookback * decoded) },
      { shape: [decoded], data: Float32Array.from({ length: decoded }, (_, i) => i) },
    ],
  );
  const segments = reshape(graph, 'segments', relative, [encoded, segment]);
  const dense = { units: width, activation: 'relu' };
  const embedded = graph.layer('Dense', 'embedding', dense, segments, [encoded, width], [E!, bE!]);
  const table = { input_dim: decoded, output_dim: width };
  const places = graph.layer('Embedding', 'positions', table, numbers, [decoded, width], [positions!]);
  const config = { units: width, return_state: true };
  const read = graph.layer('LSTM', 'lstm', config, embedded, [width], [Wx!, Wh!, b!]);
  const state = [
    { ...read, index: 1 },
    { ...read, index: 2 },
  ];
  const hidden = Array.from({ length: decoded }, (_, j) => {
    const cropping = { cropping: [j, decoded - 1 - j] };
    const position = graph.layer('Cropping1D', `position_${j}`, cropping, places, [1, width]);
    return graph.again('lstm', position, [width], state);
  });
  const all = reshape(graph, 'hidden', concatenate(graph, 'decoded', hidden), [decoded, width]);
  const output = graph.layer('Dense', 'output', { units: segment }, all, [decoded, segment], [O!, bO!]);
  return finish(graph, window, cut(graph, output, decoded * segment, artefact.shape.horizon), savedAt);
}

function plainLstm(artefact: ModelArtefact, savedAt: number): Promise<Uint8Array> {
  const { lookback, horizon } = artefact.shape;
  const width = architectureInteger(artefact, 'width', 1, 1024);
  const layers = architectureInteger(artefact, 'layers', 1, 16);
  const decoding = architectureChoice(artefact, 'decoding', ['direct', 'autoregressive'] as const);
  const sizes = lstmSizes(artefact.shape, { width, layers, decoding });
  checkTensors(lstmLayout(sizes), artefact.weights);
  if (decoding === 'autoregressive' && horizon * layers > MOST_STEPS) {
    throw invalid(`${horizon} steps of ${layers} layers to feed back, at most ${MOST_STEPS} can be written`);
  }
  const weights = artefact.weights;
  const head = weights.slice(-2);
  const { graph, window, relative } = start(artefact, lookback);
  let x = reshape(graph, 'steps', relative, [lookback, 1]);
  let states: Ref[][] = [];
  const shapeOf = (layer: number, steps: number) => (layer === layers - 1 ? [width] : [steps, width]);
  for (let i = 0; i < layers; i++) {
    const config = { units: width, return_state: true, return_sequences: i < layers - 1 };
    x = graph.layer('LSTM', `lstm_${i}`, config, x, shapeOf(i, lookback), weights.slice(3 * i, 3 * i + 3));
    states.push([
      { ...x, index: 1 },
      { ...x, index: 2 },
    ]);
  }
  const units = decoding === 'direct' ? horizon : 1;
  let y = graph.layer('Dense', 'output', { units }, x, [units], head);
  if (decoding === 'direct') return finish(graph, window, y, savedAt);
  const values = [y];
  for (let step = 1; step < horizon; step++) {
    x = step === 1 ? reshape(graph, 'feed_back', y, [1, 1]) : graph.again('feed_back', y, [1, 1]);
    const after: Ref[][] = [];
    for (let i = 0; i < layers; i++) {
      x = graph.again(`lstm_${i}`, x, shapeOf(i, 1), states[i]!);
      after.push([
        { ...x, index: 1 },
        { ...x, index: 2 },
      ]);
    }
    states = after;
    y = graph.again('output', x, [1]);
    values.push(y);
  }
  return finish(graph, window, concatenate(graph, 'values', values), savedAt);
}

/** The window, and the last `length` values of it less the last one. */
function start(artefact: ModelArtefact, length: number): { graph: KerasGraph; window: Ref; relative: Ref } {
  const { lookback } = artefact.shape;
  const graph = new KerasGraph(artefact.name);
  const window = graph.input([lookback]);
  const last = lookback - 1;
  const relative = graph.fixed('less_last_value', window, length, (row, column) => {
    const own = lookback - length + column;
    return own === last ? 0 : row === own ? 1 : row === last ? -1 : 0;
  });
  return { graph, window, relative };
}

/** Adds the last value again. The layer between keeps the order of layers by their distance from the output plain. */
function finish(graph: KerasGraph, window: Ref, relative: Ref, savedAt: number): Promise<Uint8Array> {
  const { shape } = relative;
  const forecast = reshape(graph, 'forecast', relative, shape);
  // As wide as the horizon: Keras's Add mixes rows up where it has to stretch one of its inputs.
  const last = graph.fixed('last_value', window, shape[0]!, (row) => (row === window.shape[0]! - 1 ? 1 : 0));
  const output = graph.layer('Add', 'plus_last_value', {}, [forecast, last], shape);
  return graph.write(window, output, savedAt);
}

function reshape(graph: KerasGraph, name: string, input: Ref, shape: readonly number[]): Ref {
  return graph.layer('Reshape', name, { target_shape: shape }, input, shape);
}

function concatenate(graph: KerasGraph, name: string, inputs: readonly Ref[]): Ref {
  const width = inputs.reduce((sum, { shape }) => sum + shape[0]!, 0);
  return inputs.length === 1 ? inputs[0]! : graph.layer('Concatenate', name, { axis: -1 }, inputs, [width]);
}

function cut(graph: KerasGraph, input: Ref, length: number, horizon: number): Ref {
  if (length === horizon) return reshape(graph, 'horizon', input, [horizon]);
  const flat = reshape(graph, 'flat', input, [length, 1]);
  const config = { cropping: [0, length - horizon] };
  const cropped = graph.layer('Cropping1D', 'horizon', config, flat, [horizon, 1]);
  return reshape(graph, 'cut', cropped, [horizon]);
}
