import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportKeras } from '../../src/models/keras/export.ts';
import { parseSequential } from '../../src/models/sequential/configuration.ts';
import { initialWeights } from '../../src/models/sequential/initial.ts';
import { SequentialNetwork } from '../../src/models/sequential/network.ts';
import { planSequential } from '../../src/models/sequential/plan.ts';
import { importHistory } from '../../src/retraining/history-import.ts';
import { loadConfiguration } from '../../src/service/configuration/load.ts';
import { openLog } from '../../src/service/open-log.ts';
import { namesOf, specsOf } from '../../src/service/pipeline-settings.ts';
import { kerasModels, pythonWithKeras } from '../keras/python.ts';
import { fixtures } from '../keras/samples.ts';
import { cli } from './run-cli.ts';

const built = existsSync(new URL('../../dist/models/keras/read.worker.js', import.meta.url));
const keras3 = pythonWithKeras(3);
const keras2 = pythonWithKeras(2);

describe.skipIf(!built)('import-keras and export-keras (the build is missing)', () => {
  let folder: string;
  let config: string[];
  let file: string;
  const spec = parseSequential({
    input_shape: [null, 1],
    layers: [
      { type: 'GRU', units: 5, reset_after: false },
      { type: 'Dense', units: 12 },
    ],
  });
  const weights = initialWeights(planSequential(spec), 3);
  const x = Float32Array.from({ length: 3 * 48 }, (_, i) => Math.sin(i));
  const y = new SequentialNetwork(spec, weights).predict(x, 3);
  const failure = async (...args: string[]) => {
    const { code, notes } = await cli(args);
    return [code, notes[0]];
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fleetcast-cli-keras-'));
    const yaml = join(folder, 'fleetcast.yaml');
    writeFileSync(
      yaml,
      'log: {embedded: {path: data}}\ntopics: {partitions: 2}\npipeline: {lookback: 48, horizon: 12, season: 24}\n',
    );
    config = ['--config', yaml];
    await (await openLog(loadConfiguration(yaml))).close();
    file = join(folder, 'gru.keras');
    writeFileSync(file, await exportKeras(spec, weights, 0));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('imports a model that is compared with a sample, can be put in use, and comes out as it went in', async () => {
    const csv = join(folder, 'sample.csv');
    const row = (i: number) => [...x.subarray(i * 48, i * 48 + 48), ...y.subarray(i * 12, i * 12 + 12)].join();
    writeFileSync(csv, [0, 1, 2].map(row).join('\n'));
    // With an open number of steps, a line does not tell where the inputs end.
    expect(await failure('import-keras', file, '--sample', csv, '--check')).toEqual([
      1,
      expect.stringMatching(/^error MODEL_INVALID/),
    ]);
    const json = join(folder, 'sample.json');
    const rows = (all: Float32Array, width: number) =>
      [0, 1, 2].map((i) => [...all.subarray(i * width, (i + 1) * width)]);
    writeFileSync(json, JSON.stringify({ x: rows(x, 48), y: rows(y, 12) }));
    const scale = ['--scale', '20,3', '--licence', 'CC0', '--note', 'from the lab'];
    const imported = await cli(['import-keras', file, ...config, '--sample', json, ...scale, '--activate', '--json']);
    expect(imported.code, imported.notes.join('\n')).toBe(0);
    const result = JSON.parse(imported.out[0]!) as { id: string };
    expect(result).toMatchObject({ shape: { lookback: 48, horizon: 12 }, activated: true, format: 'keras' });
    const shown = await cli(['models', 'show', result.id.slice(0, 8), ...config, '--json']);
    expect(JSON.parse(shown.out[0]!)).toMatchObject({
      family: 'sequential',
      status: 'champion',
      licence: 'CC0',
      note: 'from the lab',
      scaler: { kind: 'fixed' },
    });
    const back = join(folder, 'back.keras');
    const exported = await cli(['export-keras', result.id.slice(0, 8), back, ...config]);
    expect([exported.code, exported.out[1]]).toEqual([0, expect.stringContaining('standardised windows [n, 48]')]);
    expect(await failure('export-keras', result.id, back, ...config)).toEqual([
      2,
      expect.stringContaining('is there already (--force overwrites it)'),
    ]);
    const again = await cli(['import-keras', back, '--check', '--json', '--sample', json]);
    expect(JSON.parse(again.out[0]!)).toMatchObject({ id: null, sampleDifference: 0 });
  });

  it('judges and calibrates an imported model on the history', async () => {
    const yaml = join(folder, 'other.yaml');
    writeFileSync(yaml, 'log: {embedded: {path: other}}\npipeline: {lookback: 48, horizon: 12, season: 24}\n');
    const configuration = loadConfiguration(yaml);
    const log = await openLog(configuration);
    await log.ensureTopics(specsOf(configuration));
    const HOUR = 3_600_000;
    const desk = { log, topics: namesOf(configuration), now: () => 0, interval: HOUR, segment: 24 };
    const value = (hour: number) => 20 + 3 * Math.sin((hour * Math.PI) / 12);
    const buckets = Array.from({ length: 200 }, (_, hour) => ({ device: 'a', quantity: 't', time: hour * HOUR }));
    await importHistory(
      desk,
      buckets.map((bucket, hour) => ({ ...bucket, value: value(hour) })),
    );
    await log.close();
    const imported = await cli(['import-keras', file, '--config', yaml, '--json']);
    expect(imported.code, imported.notes.join('\n')).toBe(0);
    const { id, metrics } = JSON.parse(imported.out[0]!) as { id: string; metrics: Record<string, number> };
    // A model that was never trained is worse than the season, and its intervals say so.
    expect(metrics['history.mae']).toBeGreaterThan(metrics['history.mae.seasonal-naive']! + 0.1);
    const shown = await cli(['models', 'show', id, '--config', yaml, '--json']);
    const { calibration } = JSON.parse(shown.out[0]!) as { calibration: { quantiles: number[] } };
    expect(Math.min(...calibration.quantiles)).toBeGreaterThan(metrics['history.mae']!);
  });

  it('imports nothing that it is to put in use and cannot, and names a folder that is missing', async () => {
    const short = join(folder, 'short.keras');
    const shortSpec = parseSequential({
      input_shape: [24, 1],
      layers: [
        { type: 'LSTM', units: 2 },
        { type: 'Dense', units: 6 },
      ],
    });
    writeFileSync(short, await exportKeras(shortSpec, initialWeights(planSequential(shortSpec), 1), 0));
    const before = (await cli(['models', 'list', ...config, '--json'])).out;
    expect(await failure('import-keras', short, '--activate', ...config)).toEqual([
      2,
      expect.stringMatching(/^error USAGE: .*short\.keras forecasts 6 from 24, the configuration 12 from 48: /),
    ]);
    expect((await cli(['models', 'list', ...config, '--json'])).out).toEqual(before);
    const imported = await cli(['import-keras', file, ...config, '--json']);
    const { id } = JSON.parse(imported.out[0]!) as { id: string };
    expect(await failure('export-keras', id, join(folder, 'none', 'x.keras'), ...config)).toEqual([
      2,
      expect.stringMatching(/x\.keras cannot be written: its folder does not exist\./),
    ]);
  });

  it('says what is wrong with files, samples and models that cannot be served', async () => {
    const junk = join(folder, 'junk.keras');
    writeFileSync(junk, 'PK\x03\x04 and then nothing');
    expect(await failure('import-keras', junk, '--check')).toEqual([
      1,
      expect.stringMatching(/^error MODEL_INVALID.*junk/),
    ]);
    expect(await failure('import-keras', join(folder, 'no.h5'), '--check')).toEqual([
      2,
      expect.stringMatching(/^error USAGE: .*no\.h5: there is no such file\./),
    ]);
    const empty = join(folder, 'empty.keras');
    writeFileSync(empty, '');
    expect(await failure('import-keras', empty, '--check')).toEqual([
      1,
      expect.stringMatching(/^error MODEL_INVALID: .*empty\.keras: the file is empty\./),
    ]);
    expect(await failure('import-keras', file, '--sample', join(folder, 'no.npz'), '--check')).toEqual([
      2,
      expect.stringMatching(/^error USAGE: .*no\.npz: there is no such file\./),
    ]);
    const parts = {
      class_name: 'Sequential',
      config: { layers: [{ class_name: 'Attention', config: { name: 'look' } }] },
    };
    const archive = {
      'config.json': Buffer.from(JSON.stringify(parts)),
      'metadata.json': Buffer.from('{"keras_version": "3.15.1"}'),
      'model.weights.h5': new Uint8Array(8),
    };
    const unknown = join(folder, 'unknown.keras');
    writeFileSync(unknown, zipSync(archive, { level: 0 }));
    expect(await failure('import-keras', unknown, '--check')).toEqual([
      1,
      expect.stringContaining('layer look: layers of type Attention are not known'),
    ]);
    const wrong = join(folder, 'wrong.json');
    writeFileSync(
      wrong,
      JSON.stringify({ x: [[...x.subarray(0, 48)]], y: [[...y.subarray(0, 12)].map((v) => v + 0.01)] }),
    );
    expect(await failure('import-keras', file, '--sample', wrong, '--check')).toEqual([
      1,
      expect.stringMatching(/^error MODEL_DISAGREES/),
    ]);
    for (const text of ['{"x": 1}', '{"x": ["a"], "y": [1]}', '1,2\n3', '\u0093NUMPY', 'PK']) {
      writeFileSync(wrong, text);
      expect(await failure('import-keras', file, '--sample', wrong, '--check')).toEqual([
        1,
        expect.stringMatching(/^error MODEL_INVALID: .*wrong\.json: /),
      ]);
    }
    expect(await failure('import-keras', file, '--scale', '1,0')).toEqual([2, expect.stringContaining('--scale')]);
    const features = join(fixtures, 'keras3-lstm-keras.keras');
    expect(await failure('import-keras', features, ...config)).toEqual([
      1,
      expect.stringContaining('the model reads rows of [12, 3]; a window holds one quantity: [48] or [48, 1]'),
    ]);
  });

  for (const [generation, python] of [
    [3, keras3],
    [2, keras2],
  ] as const) {
    it.skipIf(python === undefined || keras3 === undefined)(
      `takes .keras and .h5 of real Keras ${generation}, and Keras 3 loads what it gives back (FLEETCAST_TEST_PYTHON)`,
      async () => {
        await kerasModels(python!, 'window', folder);
        const sample = join(folder, 'window.npz');
        const exported: string[] = [];
        for (const name of ['window.keras', 'window.h5']) {
          const imported = await cli(['import-keras', join(folder, name), ...config, '--sample', sample, '--json']);
          expect(imported.code, imported.notes.join('\n')).toBe(0);
          const { id, sampleDifference } = JSON.parse(imported.out[0]!) as { id: string; sampleDifference: number };
          expect(sampleDifference).toBeLessThan(1e-5);
          exported.push(join(folder, `${name.replace('.', '-')}.keras`));
          expect((await cli(['export-keras', id, exported.at(-1)!, ...config, '--force'])).code).toBe(0);
        }
        const differences = JSON.parse(await kerasModels(keras3!, 'compare', sample, ...exported)) as number[];
        expect(differences).toHaveLength(2);
        expect(Math.max(...differences)).toBeLessThan(1e-5);
      },
      240_000,
    );
  }
});
