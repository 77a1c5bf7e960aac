import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixtures, largestDifference, modelFiles, nameOf, sampleOf } from '../../../test/keras/samples.ts';
import { readKeras } from '../keras/read.ts';
import type { Tensor } from '../model.ts';
import { Random } from '../random.ts';
import { parseSequential } from '../sequential/configuration.ts';
import { initialWeights } from '../sequential/initial.ts';
import { planSequential } from '../sequential/plan.ts';
import { loadTensorFlow, type TensorFlow } from './backend.ts';
import { rowLosses } from './losses.ts';
import { predictorOf } from './predictor.ts';
import { Sequential } from './sequential.ts';
import { sequentialGraph } from './sequential-graph.ts';

const normal = (count: number, seed: number) => {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => random.normal());
};

describe('Sequential models on TensorFlow.js', () => {
  let tf: TensorFlow;

  beforeAll(async () => {
    tf = await loadTensorFlow('training');
  });

  it.each(
    modelFiles(fixtures).map((path) => [nameOf(path), path] as const),
  )('predicts as Keras and our own arithmetic do: %s', async (_name, path) => {
    const sample = sampleOf(path);
    const { spec, weights } = await readKeras(readFileSync(path));
    const model = await Sequential.create(spec, { weights });
    const x = Float32Array.from(sample.x);
    const y = model.predict(x, sample.shape[0]!);
    expect(largestDifference(y, sample.y)).toBeLessThan(1e-5);
    expect(largestDifference(y, predictorOf(spec, weights).predict(x, sample.shape[0]!))).toBeLessThan(1e-5);
    expect(model.weights()).toEqual(weights);
    model.dispose();
  });

  const layers = [
    { type: 'LSTM', units: 3, return_sequences: true },
    {
      type: 'LSTM',
      units: 3,
      activation: 'silu',
      recurrent_activation: 'hard_sigmoid',
      go_backwards: true,
      return_sequences: true,
    },
    { type: 'GRU', units: 3, return_sequences: true },
    { type: 'GRU', units: 3, reset_after: false, return_sequences: true },
    { type: 'SimpleRNN', units: 3, return_sequences: true },
    { type: 'Bidirectional', layer: { type: 'GRU', units: 2, return_sequences: true } },
    { type: 'LayerNormalization' },
    { type: 'Dense', units: 3, activation: 'elu' },
    { type: 'TimeDistributed', layer: { type: 'Dense', units: 2, activation: 'softmax' } },
  ];

  it.each(
    layers.map((layer) => [JSON.stringify(layer), layer]),
  )('has gradients that agree with central differences of our own arithmetic: %s', (_name, layer) => {
    const spec = parseSequential({
      input_shape: [4, 2],
      layers: [{ type: 'Masking', mask_value: 9 }, layer, { type: 'Flatten' }, { type: 'Dense', units: 2 }],
    });
    checkGradients(
      tf,
      spec,
      normal(5 * 8, 3).map((x, i) => (i > 35 || i === 2 || i === 3 ? 9 : x)),
    );
  });

  it.each([
    { type: 'Conv1D', filters: 3, kernel_size: 2, strides: 2, padding: 'same', activation: 'tanh' },
    { type: 'Conv1D', filters: 3, kernel_size: 2, dilation_rate: 2, padding: 'causal' },
    { type: 'MaxPooling1D', pool_size: 2, strides: 1, padding: 'same' },
    { type: 'AveragePooling1D', pool_size: 3, strides: 2, padding: 'same' },
  ])('has gradients of layers that slide over the steps: %j', (layer) => {
    const spec = parseSequential({
      input_shape: [5, 2],
      layers: [{ type: 'Dense', units: 2 }, layer, { type: 'Flatten' }, { type: 'Dense', units: 2 }],
    });
    checkGradients(tf, spec, normal(5 * 10, 3));
  });

  it('has gradients of an embedding', () => {
    const spec = parseSequential({
      layers: [
        { type: 'Embedding', input_dim: 6, output_dim: 3, mask_zero: true },
        { type: 'LSTM', units: 3 },
        { type: 'Dense', units: 2 },
      ],
    });
    checkGradients(tf, spec, Float32Array.from([1, 2, 3, 0, 5, 5, 5, 5, 0, 0, 1, 2, 3, 3, 3, 0, 4, 4, 1, 0]));
  });

  it('prints the summary of the Keras guide as Keras does', async () => {
    const model = await Sequential.create(guide(1000, 64, 128), { seed: 1 });
    expect(`\n${model.summary()}\n`).toMatchInlineSnapshot(`
      "
      Model: "sequential"
      ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
      ┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
      ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
      │ embedding (Embedding)           │ (None, None, 64)       │        64,000 │
      ├─────────────────────────────────┼────────────────────────┼───────────────┤
      │ lstm (LSTM)                     │ (None, 128)            │        98,816 │
      ├─────────────────────────────────┼────────────────────────┼───────────────┤
      │ dense (Dense)                   │ (None, 10)             │         1,290 │
      └─────────────────────────────────┴────────────────────────┴───────────────┘
       Total params: 164,106 (641.04 KB)
       Trainable params: 164,106 (641.04 KB)
       Non-trainable params: 0 (0.00 B)
      "
    `);
    model.dispose();
  });

  it('fits, evaluates and stays reproducible', async () => {
    const samples = counting(600, 12);
    const train = async () => {
      const model = await Sequential.create(guide(10, 8, 16), { seed: 4 });
      model.compile({
        learningRate: 0.02,
        loss: 'sparse_categorical_crossentropy_from_logits',
        metrics: ['accuracy'],
        clipNorm: 1,
      });
      const lines: string[] = [];
      const history = await model.fit(samples, {
        epochs: 6,
        validationSplit: 0.2,
        onEpoch: (_epoch, _logs, line) => lines.push(line),
      });
      const logs = model.evaluate(samples);
      const weights = model.weights();
      model.dispose();
      return { history, logs, weights, lines };
    };
    const { history, logs, weights, lines } = await train();
    expect(Object.keys(history)).toEqual(['loss', 'accuracy', 'val_loss', 'val_accuracy']);
    expect(history['loss']![5]).toBeLessThan(history['loss']![0]! / 2);
    expect(history['val_accuracy']![5]).toBeGreaterThan(0.9);
    expect(logs['accuracy']).toBeGreaterThan(0.9);
    expect(lines[5]).toMatch(
      /^15\/15 ━{20} \d+s \d+ms\/step - accuracy: [01]\.\d{4} - loss: \d\.\d{4} - val_accuracy: [01]\.\d{4} - val_loss: \d\.\d{4}$/,
    );
    expect((await train()).weights).toEqual(weights);
  });

  it('moves the averages of a batch normalisation, and drops only in training', async () => {
    const spec = parseSequential({
      input_shape: [4, 2],
      layers: [
        { type: 'BatchNormalization', momentum: 0.5 },
        { type: 'SpatialDropout1D', rate: 0.3 },
        { type: 'GRU', units: 4, dropout: 0.2, recurrent_dropout: 0.2 },
        { type: 'Dropout', rate: 0.5 },
        { type: 'Dense', units: 1 },
      ],
    });
    const model = await Sequential.create(spec, { seed: 2 });
    model.compile({ loss: 'mse', optimizer: 'rmsprop' });
    const x = normal(64 * 8, 5).map((v) => 3 + 2 * v);
    const y = normal(64, 6);
    await model.fit({ count: 64, x, y }, { epochs: 4 });
    const mean = model.weights().find(({ name }) => name.endsWith('moving_mean'))!.data;
    expect(mean[0]).toBeGreaterThan(2.5);
    expect(mean[0]).toBeLessThan(3.5);
    expect(model.evaluate({ count: 64, x, y })).toEqual(model.evaluate({ count: 64, x, y }));
    const network = predictorOf(spec, model.weights());
    expect(largestDifference(model.predict(x, 64), network.predict(x, 64))).toBeLessThan(1e-5);
    model.dispose();
  });

  it('stops where the loss is lost or the signal says so, and frees its memory', async () => {
    const spec = parseSequential({
      input_shape: [3, 1],
      layers: [
        { type: 'LSTM', units: 2 },
        { type: 'Dense', units: 1 },
      ],
    });
    const run = async () => {
      const model = await Sequential.create(spec, { seed: 1 });
      const samples = { count: 8, x: normal(24, 1), y: new Float32Array(8).fill(Number.NaN) };
      expect(() => model.evaluate(samples)).toThrowError(expect.objectContaining({ code: 'MODEL_INVALID' }));
      model.compile({ loss: 'mse', optimizer: 'sgd' });
      await expect(model.fit(samples)).rejects.toMatchObject({ code: 'TRAINING_DIVERGED' });
      const signal = AbortSignal.abort();
      await expect(model.fit({ ...samples, y: normal(8, 2) }, { signal })).rejects.toMatchObject({
        code: 'TRAINING_CANCELLED',
      });
      expect(() => model.evaluate({ ...samples, y: normal(9, 2) })).toThrowError(/labels a row/);
      model.dispose();
    };
    // What the backend keeps for good (the lengths of the fused LSTM) is there after the first.
    await run();
    const before = tf.memory().numTensors;
    await run();
    expect(tf.memory().numTensors).toBe(before);
  });

  afterAll(() => {
    tf.disposeVariables();
  });
});

function guide(codes: number, width: number, units: number) {
  return parseSequential({
    layers: [
      { type: 'Embedding', input_dim: codes, output_dim: width },
      { type: 'LSTM', units },
      { type: 'Dense', units: 10 },
    ],
  });
}

/** Rows that count modulo ten from a random start by a random stride; the label is the next number. */
function counting(count: number, steps: number) {
  const random = new Random(8);
  const x = new Float32Array(count * steps);
  const y = new Float32Array(count);
  for (let r = 0; r < count; r++) {
    const start = random.below(10);
    const stride = 1 + random.below(3);
    for (let t = 0; t < steps; t++) x[r * steps + t] = (start + t * stride) % 10;
    y[r] = (start + steps * stride) % 10;
  }
  return { count, x, y };
}

function checkGradients(tf: TensorFlow, spec: ReturnType<typeof parseSequential>, x: Float32Array): void {
  const rows = 5;
  const plan = planSequential({ ...spec, inputShape: spec.inputShape.map((n) => n ?? x.length / rows) });
  const weights = initialWeights(plan, 7).map((tensor) => ({ ...tensor, data: tensor.data.map((v) => v + 0.05) }));
  const labels = normal(rows * 2, 12);
  const shape = [rows, ...(plan[0]!.input as number[])];
  const gradients = tf.tidy(() => {
    const tensors = weights.map(({ data, shape: dims }) => tf.tensor(data, [...dims]));
    const { grads } = tf.valueAndGrads((...parameters) => {
      const named = new Map(weights.map(({ name }, i) => [name, parameters[i]!]));
      const y = sequentialGraph(plan, tf.tensor(x, shape), { tf, weights: named, training: undefined });
      return tf.mean(rowLosses(tf, 'mse', y, tf.tensor(labels, [rows, 2]))).asScalar();
    })(tensors);
    return grads.map((gradient) => gradient.dataSync());
  });
  const loss = (changed: readonly Tensor[]) => {
    const y = predictorOf(spec, changed).predict(x, rows);
    return y.reduce((sum, v, i) => sum + (v - labels[i]!) ** 2, 0) / y.length;
  };
  weights.forEach(({ name, data }, w) => {
    for (let i = 0; i < data.length; i += Math.max(1, data.length >> 2)) {
      const moved = (by: number) =>
        loss(weights.map((t, k) => (k === w ? { ...t, data: t.data.map((v, j) => (j === i ? v + by : v)) } : t)));
      const step = 4e-3;
      const numeric = (moved(step) - moved(-step)) / (2 * step);
      expect(Math.abs(numeric - gradients[w]![i]!), `${name}[${i}]`).toBeLessThan(
        2e-3 * Math.max(1, Math.abs(numeric)),
      );
    }
  });
}
