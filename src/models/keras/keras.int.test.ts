import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kerasModels, pythonWithKeras } from '../../../test/keras/python.ts';
import { largestDifference, modelFiles, nameOf, sampleOf } from '../../../test/keras/samples.ts';
import { predictorOf } from '../tensorflow/predictor.ts';
import { exportKeras } from './export.ts';
import { readKeras } from './read.ts';

const TOLERANCE = 1e-5;
const keras3 = pythonWithKeras(3);
const keras2 = pythonWithKeras(2);

describe.skipIf(keras3 === undefined)('real Keras 3 (FLEETCAST_TEST_PYTHON)', () => both(3, keras3!));
describe.skipIf(keras2 === undefined)('real Keras 2 (FLEETCAST_TEST_PYTHON_KERAS2)', () => both(2, keras2!));

function both(generation: 2 | 3, python: string): void {
  let made: string;
  let exported: string;

  beforeAll(async () => {
    made = await mkdtemp(join(tmpdir(), 'fleetcast-keras-'));
    exported = join(made, 'exported');
    await mkdir(exported);
    await kerasModels(python, 'make', made);
  }, 300_000);

  afterAll(async () => {
    await rm(made, { recursive: true, force: true });
  });

  it('reads what it saves, every layer type, .keras and .h5, with the same predictions', async () => {
    const files = modelFiles(made);
    expect(files.length).toBeGreaterThan(36);
    for (const path of files) {
      const sample = sampleOf(path);
      const { spec, weights } = await readKeras(await readFile(path));
      const y = predictorOf(spec, weights).predict(Float32Array.from(sample.x), sample.shape[0]!);
      expect(largestDifference(y, sample.y), nameOf(path)).toBeLessThan(TOLERANCE);
    }
  });

  it.skipIf(keras3 === undefined)(
    'has its models written for Keras 3, which loads them and predicts the same',
    async () => {
      let count = 0;
      for (const path of modelFiles(made).filter((file) => file.endsWith('.keras'))) {
        const name = nameOf(path).replace('.keras', '');
        // The hard sigmoid of Keras 2 is another function than that of Keras 3.
        if (generation === 2 && name === 'dense') continue;
        const { spec, weights } = await readKeras(await readFile(path));
        await writeFile(join(exported, `${name}.keras`), await exportKeras(spec, weights, 0));
        await copyFile(path.replace('.keras', '.json'), join(exported, `${name}.json`));
        count += 1;
      }
      const { results } = JSON.parse(await kerasModels(keras3!, 'check', exported)) as {
        results: Record<string, { error: number }>;
      };
      expect(Object.keys(results).length).toBe(count);
      for (const [name, { error }] of Object.entries(results)) expect(error, name).toBeLessThan(TOLERANCE);
    },
    240_000,
  );
}
