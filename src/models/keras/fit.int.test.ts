import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { kerasModels, pythonWithKeras } from '../../../test/keras/python.ts';
import { largestDifference } from '../../../test/keras/samples.ts';
import { Random } from '../random.ts';
import { parseSequential } from '../sequential/configuration.ts';
import { type CompileSettings, type History, type Logs, Sequential } from '../tensorflow/sequential.ts';
import { exportKeras } from './export.ts';

const python = pythonWithKeras(3);

interface Job {
  readonly layers: readonly object[];
  readonly inputShape: readonly number[];
  readonly compile: CompileSettings;
  /** Class numbers instead of values. */
  readonly classes?: number;
}

const RNN = [
  { type: 'LSTM', units: 6 },
  { type: 'Dense', units: 2 },
];
const jobs: Record<string, Job> = {
  lstm: { layers: RNN, inputShape: [6, 3], compile: { loss: 'mse', metrics: ['mae'] } },
  gru: {
    layers: [
      { type: 'BatchNormalization' },
      { type: 'Bidirectional', layer: { type: 'GRU', units: 4, return_sequences: true } },
      { type: 'LayerNormalization' },
      { type: 'SimpleRNN', units: 5 },
      { type: 'Dense', units: 2 },
    ],
    inputShape: [6, 3],
    compile: { loss: 'mae', optimizer: 'rmsprop', metrics: ['mse'] },
  },
  sgd: { layers: RNN, inputShape: [6, 3], compile: { loss: 'huber', optimizer: 'sgd' } },
  // Not Adam: Keras on TensorFlow squares the gradients of an embedding before it sums those of one code, not after.
  codes: {
    layers: [
      { type: 'Embedding', input_dim: 12, output_dim: 5, mask_zero: true },
      ...RNN.slice(0, 1),
      { type: 'Dense', units: 4 },
    ],
    inputShape: [6],
    compile: { optimizer: 'sgd', loss: 'sparse_categorical_crossentropy_from_logits', metrics: ['accuracy'] },
    classes: 4,
  },
  softmax: {
    layers: [...RNN.slice(0, 1), { type: 'Dense', units: 3, activation: 'softmax' }],
    inputShape: [6, 3],
    compile: { loss: 'sparse_categorical_crossentropy', metrics: ['accuracy'] },
    classes: 3,
  },
};

describe.skipIf(python === undefined)('fit and evaluate beside real Keras 3 (FLEETCAST_TEST_PYTHON)', () => {
  it('gives the same history, evaluation and predictions from the same weights', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'fleetcast-fit-'));
    try {
      const ours: Record<string, { history: History; y: Float32Array; evaluated: Logs }> = {};
      for (const [name, { layers, inputShape, compile, classes }] of Object.entries(jobs)) {
        const spec = parseSequential({ name, input_shape: inputShape, layers });
        const random = new Random(3);
        const count = 50;
        const steps = count * inputShape.reduce((product, n) => product * n, 1);
        const x = Float32Array.from({ length: steps }, () =>
          inputShape.length === 1 ? random.below(12) : random.normal(),
        );
        const labels = classes === undefined ? 2 : 1;
        const y = Float32Array.from({ length: count * labels }, () =>
          classes === undefined ? random.normal() : random.below(classes),
        );
        const fit = { epochs: 4, batchSize: 16, validationSplit: 0.2 };
        const model = await Sequential.create(spec, { seed: 9 });
        await writeFile(join(folder, `${name}.keras`), await exportKeras(spec, model.weights(), 0));
        const job = {
          ...fit,
          shape: [count, ...inputShape],
          labelShape: classes === undefined ? [count, 2] : [count],
          x: [...x],
          y: [...y],
          loss: compile.loss,
          optimizer: compile.optimizer ?? 'adam',
          metrics: compile.metrics ?? [],
        };
        await writeFile(join(folder, `${name}.json`), JSON.stringify(job));
        model.compile(compile);
        const samples = { count, x, y };
        const history = await model.fit(samples, { ...fit, shuffle: false });
        ours[name] = { history, y: model.predict(x, count), evaluated: model.evaluate(samples, 16) };
        model.dispose();
      }
      const theirs = JSON.parse(await kerasModels(python!, 'fit', folder)) as Record<
        string,
        { history: History; y: number[]; evaluated: Logs }
      >;
      for (const [name, { history, y, evaluated }] of Object.entries(ours)) {
        const keras = theirs[name]!;
        expect(Object.keys(keras.history).sort(), name).toEqual(Object.keys(history).sort());
        for (const [log, values] of Object.entries(keras.history)) {
          // One sample of forty may stand on the edge between two classes.
          const tolerance = log.endsWith('accuracy') ? 0.026 : 2e-5;
          expect(largestDifference(history[log]!, values), `${name} ${log}`).toBeLessThan(tolerance);
        }
        for (const [log, value] of Object.entries(keras.evaluated)) {
          const tolerance = log.endsWith('accuracy') ? 0.021 : 2e-5;
          expect(Math.abs(evaluated[log]! - value), `${name} ${log}`).toBeLessThan(tolerance);
        }
        expect(largestDifference(y, keras.y), name).toBeLessThan(2e-5);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 300_000);
});
