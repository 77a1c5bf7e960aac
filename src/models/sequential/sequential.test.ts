import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fixtures, modelFiles, sampleOf } from '../../../test/keras/samples.ts';
import { type ArtefactDraft, buildArtefact } from '../artefact.ts';
import { readKeras } from '../keras/read.ts';
import { loadVerifiedModel, modelFromArtefact, servedBy } from '../load.ts';
import { Random } from '../random.ts';
import { summarise } from '../summary.ts';
import { loadTensorFlow } from '../tensorflow/backend.ts';
import { predictorOf } from '../tensorflow/predictor.ts';
import { parseSequential } from './configuration.ts';
import { formatSequential } from './format.ts';
import { initialWeights } from './initial.ts';
import { sequentialArchitecture } from './model.ts';
import { SequentialNetwork } from './network.ts';
import { planSequential } from './plan.ts';

const windowed = parseSequential({
  name: 'mine',
  input_shape: [24, 1],
  layers: [
    { type: 'GRU', units: 8 },
    { type: 'Dropout', rate: 0.1 },
    { type: 'Dense', units: 6 },
  ],
});

function artefact(change: Partial<ArtefactDraft> = {}) {
  return buildArtefact({
    family: 'sequential',
    name: 'default',
    shape: { lookback: 24, horizon: 6, season: 24 },
    interval: 3_600_000,
    architecture: sequentialArchitecture(windowed),
    weights: initialWeights(planSequential(windowed), 3),
    scaler: { kind: 'rolling', length: 168, series: new Map() },
    calibration: { level: 0.9, quantiles: new Array<number>(6).fill(1) },
    training: { ranges: [], trainEnd: 0, validationEnd: 0, seed: 7, trainer: 'test', settings: {}, windows: 0 },
    metrics: {},
    parent: '',
    createdAt: 0,
    note: '',
    licence: '',
    ...change,
  });
}

describe('Sequential models', () => {
  it('have the same form in a configuration, a Keras file and an artefact', async () => {
    for (const path of modelFiles(fixtures)) {
      const { spec } = await readKeras(readFileSync(path));
      expect(parseSequential(JSON.parse(JSON.stringify(formatSequential(spec))))).toEqual(spec);
    }
  });

  it('give the same bits however rows are batched', async () => {
    for (const path of modelFiles(fixtures)) {
      const sample = sampleOf(path);
      const { spec, weights } = await readKeras(readFileSync(path));
      const network = predictorOf(spec, weights);
      const count = 70;
      const size = sample.x.length / sample.shape[0]!;
      const x = Float32Array.from({ length: count * size }, (_, i) => sample.x[(i * 7) % sample.x.length]!);
      const whole = network.predict(x, count);
      const width = whole.length / count;
      fc.assert(
        fc.property(fc.integer({ min: 0, max: count - 1 }), fc.integer({ min: 1, max: 40 }), (from, most) => {
          const rows = Math.min(most, count - from);
          const part = network.predict(x.slice(from * size, (from + rows) * size), rows);
          expect(part).toEqual(whole.slice(from * width, (from + rows) * width));
        }),
        { numRuns: 10 },
      );
    }
  });

  it('are served from their artefact after a comparison with TensorFlow.js', async () => {
    const model = await loadVerifiedModel(artefact(), 'id');
    const random = new Random(1);
    const values = Float32Array.from({ length: 48 }, () => random.normal());
    const out = new Float32Array(12);
    model.forecast({ count: 2, values }, out);
    expect(out).toEqual(new SequentialNetwork(windowed, artefact().weights).predict(values, 2));
    expect(summarise(artefact())).toContain('gru (GRU)');
  });

  it('are served by TensorFlow.js where a layer is not in our own arithmetic, and say so', async () => {
    const spec = parseSequential({
      input_shape: [24, 1],
      layers: [
        { type: 'Conv1D', filters: 4, kernel_size: 3, padding: 'causal', activation: 'relu' },
        { type: 'MaxPooling1D' },
        { type: 'LSTM', units: 5 },
        { type: 'Dense', units: 6 },
      ],
    });
    const own = { architecture: sequentialArchitecture(spec), weights: initialWeights(planSequential(spec), 3) };
    expect(servedBy(artefact(own))).toBe(
      'TensorFlow.js on its plain backend, because of conv1d (Conv1D), max_pooling1d (MaxPooling1D)',
    );
    expect(servedBy(artefact())).toBe('our arithmetic on typed arrays');
    // The comparison is with another backend, which stays the one in use.
    const model = await loadVerifiedModel(artefact(own), 'id');
    const tf = await loadTensorFlow('reference');
    const tensors = tf.memory().numTensors;
    const random = new Random(1);
    const values = Float32Array.from({ length: 100 * 24 }, () => random.normal());
    const out = new Float32Array(600);
    model.forecast({ count: 100, values }, out);
    expect(tf.getBackend()).toBe('wasm');
    expect(tf.memory().numTensors).toBe(tensors);
    const alone = new Float32Array(6);
    for (const row of [0, 63, 64, 99]) {
      model.forecast({ count: 1, values: values.slice(row * 24, (row + 1) * 24) }, alone);
      expect(alone).toEqual(out.slice(row * 6, (row + 1) * 6));
    }
    expect(() => new SequentialNetwork(spec, own.weights).predict(values, 100)).toThrow(/conv1d \(Conv1D\) is not in/);
    const masked = { layers: [{ type: 'Masking' }, { type: 'Conv1D', filters: 1, kernel_size: 2 }] };
    expect(() => parseSequential({ input_shape: [4, 1], ...masked })).toThrow(/it does not know masked steps/);
    const long = { layers: [{ type: 'Conv1D', filters: 1, kernel_size: 5 }] };
    expect(() => parseSequential({ input_shape: [4, 1], ...long })).toThrow(/longer than the 4 steps/);
  });

  it('are refused where they do not fit', () => {
    const refused = (change: Partial<ArtefactDraft>) => {
      try {
        modelFromArtefact(artefact(change), 'id');
      } catch (error) {
        return (error as Error).message;
      }
      return 'accepted';
    };
    const weights = artefact().weights;
    const quantiles = new Array<number>(5).fill(1);
    expect(refused({ weights: weights.slice(1) })).toContain('tensors of weights');
    expect(refused({ shape: { lookback: 25, horizon: 6, season: 24 } })).toContain('a window is [25, 1]');
    expect(
      refused({ shape: { lookback: 24, horizon: 5, season: 24 }, calibration: { level: 0.9, quantiles } }),
    ).toContain('for a horizon of 5');
    expect(refused({ architecture: {} })).toContain('no JSON');
    expect(refused({ architecture: { sequential: '{"layers": 3}' } })).toContain('layers: 3');
  });

  it.each([
    [{ layers: [{ type: 'LSTM', unit: 3 }] }, /layer lstm \(LSTM\): units: undefined, expected an integer/],
    [{ layers: [{ type: 'LSTM', units: 3, unitz: 3 }] }, /unitz: not a setting/],
    [{ layers: [{ type: 'Conv2D', units: 3 }] }, /type Conv2D are not known; known are LSTM/],
    [{ layers: [{ type: 'Conv1D', units: 3 }] }, /layer conv1d \(Conv1D\): filters: undefined, expected an integer/],
    [
      { layers: [{ type: 'Conv1D', filters: 2, kernel_size: 2, strides: 2, dilation_rate: 2 }] },
      /strides: above 1 together with a dilation/,
    ],
    [{ layers: [{ type: 'AveragePooling1D', padding: 'causal' }] }, /padding: causal, expected valid or same/],
    [{ layers: [{ units: 3 }] }, /a layer without a type/],
    [{ layers: 'LSTM' }, /layers: LSTM, expected a list/],
    [{ layer: [] }, /layer is not a setting of a model/],
    [{ input_shape: [4], layers: [{ type: 'LSTM', units: 3 }] }, /reads sequences \[steps, features\], not \[4\]/],
    [{ layers: [{ type: 'Dense', units: 3 }] }, /input_shape: undefined/],
    [{ input_shape: [4, 1], layers: [{ type: 'Dropout', rate: 2 }] }, /rate: 2, expected a number from 0 to 1/],
    [
      { input_shape: [4, 1], layers: [{ type: 'Bidirectional', layer: { type: 'Dense', units: 2 } }] },
      /Dense is not a known recurrent layer/,
    ],
    [{ input_shape: [null, 1], layers: [{ type: 'Flatten' }] }, /needs a size that the input leaves open/],
  ])('names the mistake in %j', (input, message) => {
    expect(() => parseSequential({ input_shape: [4, 1], ...input })).not.toThrow(TypeError);
    expect(() => parseSequential(input)).toThrow(message);
  });

  it('answers any configuration with a model or MODEL_INVALID', () => {
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom('LSTM', 'Dense', 3, null, [2, 1], true));
    const layer = fc.record(
      {
        type: fc.oneof(fc.constantFrom('LSTM', 'GRU', 'Dense', 'Embedding', 'Reshape', 'Bidirectional'), value),
        units: fc.oneof(fc.integer({ min: -1, max: 9 }), value),
        target_shape: value,
        layer: value,
        name: value,
      },
      { requiredKeys: ['type'] },
    );
    const model = fc.record({ input_shape: value, layers: fc.oneof(fc.array(layer, { maxLength: 4 }), value) });
    fc.assert(
      fc.property(fc.oneof(model, value), (input) => {
        try {
          parseSequential(input);
        } catch (error) {
          expect(error).toMatchObject({ code: 'MODEL_INVALID' });
        }
      }),
      { numRuns: 500 },
    );
  });

  it('gives NaN for codes that it does not know, in that row alone', () => {
    const spec = parseSequential({
      layers: [
        { type: 'Embedding', input_dim: 4, output_dim: 2 },
        { type: 'LSTM', units: 3 },
        { type: 'Dense', units: 2 },
      ],
    });
    const network = new SequentialNetwork(spec, initialWeights(planSequential(spec), 1));
    const y = network.predict(Float32Array.from([0, 1, 2, 3, 4, 0, 1, 1, 1]), 3);
    expect([...y].map(Number.isFinite)).toEqual([true, true, false, false, true, true]);
  });
});
