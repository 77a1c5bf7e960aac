import { createRequire } from 'node:module';
import type { Tensor2D, Tensor3D, Tensor as TfTensor } from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { protocolSet, simulatedSeries } from '../../../test/models/sets.ts';
import { Random } from '../random.ts';
import { parseSequential } from '../sequential/configuration.ts';
import { sequentialModel } from '../sequential/model.ts';
import { defaultSettings } from '../training/settings.ts';
import { loadTensorFlow, type TensorFlow } from './backend.ts';
import { fusedLstm, nativeBackend } from './fused-lstm.ts';
import { sequentialTrainer } from './sequential-trainer.ts';
import { tensorflowTrainer } from './trainer.ts';

const installed = (() => {
  try {
    return createRequire(import.meta.url).resolve('@tensorflow/tfjs-node') !== '';
  } catch {
    return false;
  }
})();
const title = (text: string) =>
  installed ? text : `${text} (@tensorflow/tfjs-node is missing: npm run tensorflow:install)`;
const [STEPS, ROWS, FEATURES, UNITS] = [7, 3, 2, 5];

/** Step by step, as the graph computes it on other backends. */
function stepwise(tf: TensorFlow, x: Tensor3D, kernel: Tensor2D, recurrent: Tensor2D, bias: TfTensor): TfTensor {
  let [h, c]: TfTensor[] = [tf.zeros([ROWS, UNITS]), tf.zeros([ROWS, UNITS])];
  const all = tf.unstack(x, 0).map((step) => {
    const sums = tf.add(tf.add(tf.matMul(step as Tensor2D, kernel), tf.matMul(h as Tensor2D, recurrent)), bias);
    const [i, f, g, o] = tf.split(sums, 4, 1);
    c = tf.add(tf.mul(tf.sigmoid(f!), c!), tf.mul(tf.sigmoid(i!), tf.tanh(g!)));
    h = tf.mul(tf.sigmoid(o!), tf.tanh(c));
    return h;
  });
  return tf.stack(all, 0);
}

it.skipIf(!installed)(title('the fused LSTM has the values and the gradients of its steps'), async () => {
  const tf = await loadTensorFlow('training');
  const native = nativeBackend(tf)!;
  expect(native).toBeDefined();
  const random = new Random(4);
  const draw = (...shape: number[]) => {
    const count = shape.reduce((product, n) => product * n, 1);
    return tf.tensor(
      Float32Array.from({ length: count }, () => 0.5 * random.normal()),
      shape,
    );
  };
  const inputs = [draw(STEPS, ROWS, FEATURES), draw(FEATURES, 4 * UNITS), draw(UNITS, 4 * UNITS), draw(4 * UNITS)];
  const factors = draw(STEPS, ROWS, UNITS);
  const run = (layer: (x: Tensor3D, W: Tensor2D, U: Tensor2D, b: TfTensor) => TfTensor) => {
    const loss = (...[x, W, U, b]: TfTensor[]) =>
      tf.sum(tf.mul(layer(x as Tensor3D, W as Tensor2D, U as Tensor2D, b!), factors)).asScalar();
    const { value, grads } = tf.valueAndGrads(loss)(inputs);
    return [value, ...grads].map((tensor) => [...tensor.dataSync()]);
  };
  const before = tf.memory().numTensors;
  const fused = tf.tidy(() => run((...args) => fusedLstm(tf, native, ...args)));
  tf.tidy(() => run((...args) => fusedLstm(tf, native, ...args)));
  // The length of the sequence is kept, nothing else.
  expect(tf.memory().numTensors - before).toBe(1);
  const reference = tf.tidy(() => run((...args) => stepwise(tf, ...args)));
  reference.forEach((values, k) => {
    values.forEach((value, i) => {
      expect(Math.abs(value - fused[k]![i]!), `${k} ${i}`).toBeLessThan(1e-5);
    });
  });
});

it.skipIf(!installed)(title('a model trained with the fused LSTM is served by the kernel'), async () => {
  const set = protocolSet(simulatedSeries(3, 500, 4), { lookback: 24, horizon: 6, season: 24 });
  const layers = [
    { type: 'Bidirectional', layer: { type: 'LSTM', units: 6, return_sequences: true } },
    { type: 'LSTM', units: 8, dropout: 0.1 },
    { type: 'Dense', units: 6 },
  ];
  const settings = defaultSettings(set, { maxSteps: 30, batch: 32, learningRate: 0.02, family: 'sequential' });
  const spec = { input_shape: [null, 1], layers };
  const result = await tensorflowTrainer.train(set, { ...settings, sequential: JSON.stringify(spec) });
  expect(result.trainer).toMatch(/^tensorflow\.js tensorflow .* fused LSTM$/);
  expect(result.validationLoss).toBeLessThan((await untrained()).validationLoss);
  const model = sequentialModel('', set.shape, parseSequential(spec), result.weights);
  const out = new Float32Array(6);
  model.forecast({ count: 1, values: new Float32Array(24).fill(0.5) }, out);
  expect(out.every(Number.isFinite)).toBe(true);

  function untrained() {
    return sequentialTrainer(parseSequential(spec)).train(set, { ...settings, maxSteps: 1, learningRate: 1e-9 });
  }
});
