import { readFileSync } from 'node:fs';
import { strToU8, unzipSync, zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { fixtures, largestDifference, modelFiles, nameOf, sampleOf } from '../../../test/keras/samples.ts';
import { ridgeArtefact } from '../../../test/readings.ts';
import { planSequential } from '../sequential/plan.ts';
import { summariseSequential } from '../sequential/summary.ts';
import { predictorOf } from '../tensorflow/predictor.ts';
import { exportKeras } from './export.ts';
import { exportArtefact } from './export-artefact.ts';
import { readKeras } from './read.ts';

const file = (name: string) => readFileSync(`${fixtures}/${name}`);

describe('Keras files', () => {
  it.each(modelFiles(fixtures).map((path) => [nameOf(path), path] as const))('reads %s', async (_name, path) => {
    const sample = sampleOf(path);
    const model = await readKeras(readFileSync(path));
    expect(model.kerasVersion).toBe(sample.keras);
    const network = predictorOf(model.spec, model.weights);
    const y = network.predict(Float32Array.from(sample.x), sample.shape[0]!);
    expect(largestDifference(y, sample.y)).toBeLessThan(1e-5);
    expect(network.outputShape(sample.shape[1])).toEqual(sample.outputShape.slice(1));
    if (sample.keras.startsWith('3.') && !path.includes('functional')) {
      expect(summariseSequential(model.spec.name, planSequential(model.spec))).toBe(sample.summary.trimEnd());
    }
  });

  it.each(
    modelFiles(fixtures)
      .filter((path) => !path.includes('keras2-dense'))
      .map((path) => [nameOf(path), path] as const),
  )('writes and reads again %s', async (_name, path) => {
    const model = await readKeras(readFileSync(path));
    const again = await readKeras(await exportKeras(model.spec, model.weights, 0));
    expect(again.spec.layers).toEqual(model.spec.layers);
    expect(again.weights).toEqual(model.weights);
  });

  it('says of its own exports that are no chain what they are', async () => {
    const bytes = await exportArtefact(ridgeArtefact(1, { lookback: 6, horizon: 3, season: 3 }), 0);
    await expect(readKeras(bytes)).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringMatching(/an export of fleetcast.*models promote/) as string,
    });
  });

  it('does not write what Keras 3 has no word for', async () => {
    const model = await readKeras(file('keras2-dense-h5.h5'));
    await expect(exportKeras(model.spec, model.weights, 0)).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringContaining('hard sigmoid'),
    });
  });

  describe('names what it does not know', () => {
    const archive = unzipSync(file('keras3-lstm-keras.keras'));
    const original = new TextDecoder().decode(archive['config.json']);
    const altered = (change: (config: string) => string) =>
      readKeras(zipSync({ ...archive, 'config.json': strToU8(change(original)) }, { level: 0 }));

    it.each([
      ['a layer', '"class_name": "LSTM"', '"class_name": "Lambda"', /layer lstm.*type Lambda are not known/],
      ['an activation', '"activation": "tanh"', '"activation": "mish"', /layer lstm \(LSTM\): activation.*mish/],
      ['state', '"stateful": false', '"stateful": true', /layer lstm \(LSTM\): stateful/],
      ['sizes that do not fit', '"units": 7', '"units": 8', /\/layers\/lstm\/cell\/vars\/0 has the shape \[3,28\]/],
      ['huge sizes', '"units": 7', '"units": 999999', /more than \d+ parameters/],
      ['absurd sizes', '"units": 7', '"units": 1e300', /units: 1e\+300, expected an integer/],
      ['a wrong type', '"units": 7', '"units": "7"', /units: 7, expected an integer/],
      ['an object for a number', '"units": 7', '"units": {"class_name": "X"}', /units: X/],
      ['a model class', '"class_name": "Sequential"', '"class_name": "Evil"', /models of class Evil/],
      ['layers that are none', '"layers": [', '"layers": 5, "x": [', /no layers/],
      ['a name that is a path', '"name": "lstm"', '"name": "../../lstm"', /cannot be used/],
    ])('%s', async (_what, from, to, message) => {
      expect(original).toContain(from);
      const reading = altered((config) => config.replace(from, to));
      await expect(reading).rejects.toMatchObject({ code: 'MODEL_INVALID', message: expect.stringMatching(message) });
    });

    it('absurd nesting', async () => {
      const deep = `${'{"config":'.repeat(100_000)}1${'}'.repeat(100_000)}`;
      await expect(altered(() => deep)).rejects.toMatchObject({ code: 'MODEL_INVALID' });
      await expect(
        altered((config) => config.replace('"units": 7', `"units": ${'['.repeat(100_000)}${']'.repeat(100_000)}`)),
      ).rejects.toMatchObject({ code: 'MODEL_INVALID', message: expect.stringContaining('units: a list') });
    });

    it('a graph that is no chain', async () => {
      const functional = unzipSync(file('keras3-functional-keras.keras'));
      const config = JSON.parse(new TextDecoder().decode(functional['config.json'])) as {
        config: { layers: { name: string; inbound_nodes: { args: { config: { keras_history: unknown[] } }[] }[] }[] };
      };
      const layers = config.config.layers;
      // A layer that reads its own output: a loop.
      layers[2]!.inbound_nodes[0]!.args[0]!.config.keras_history[0] = layers[2]!.name;
      const bytes = zipSync({ ...functional, 'config.json': strToU8(JSON.stringify(config)) }, { level: 0 });
      await expect(readKeras(bytes)).rejects.toMatchObject({
        code: 'MODEL_INVALID',
        message: expect.stringContaining('only chains of layers'),
      });
    });
  });

  it('refuses a zip bomb and parts that are missing', async () => {
    const archive = unzipSync(file('keras3-lstm-keras.keras'));
    const bomb = zipSync({ ...archive, 'config.json': new Uint8Array(64 * 1024 * 1024) }, { level: 9 });
    expect(bomb.length).toBeLessThan(200_000);
    await expect(readKeras(bomb)).rejects.toMatchObject({
      message: expect.stringContaining('config.json of 67108864'),
    });
    const { 'config.json': _, ...without } = archive;
    await expect(readKeras(zipSync(without))).rejects.toMatchObject({
      message: expect.stringContaining('does not hold config.json'),
    });
  });

  it('refuses other files', async () => {
    await expect(readKeras(strToU8('#!/bin/sh'))).rejects.toMatchObject({ code: 'MODEL_INVALID' });
    await expect(readKeras(new Uint8Array(0))).rejects.toMatchObject({ code: 'MODEL_INVALID' });
  });
});
