// Trains small models with the built kernel trainer and prints the SHA-256 of all weights and of forecasts made with them,
// for comparison between machines. No function of the engine whose last bit is not specified is used for the data.
//   node test/models/weights-digest.mjs [threads]
import { createHash } from 'node:crypto';
import { fileURLToPath, pathToFileURL } from 'node:url';

const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/models/${path}`).href);
const { Random } = await from('random.js');
const { writeInputs } = await from('inputs/spec.js');
const { modelOf } = await from('training/families.js');
const { kernelTrainer } = await from('training/kernel-trainer.js');
const { defaultSettings } = await from('training/settings.js');
const { ridgeTrainer } = await from('ridge.js');
const { calibrate } = await from('metrics.js');

const shape = { lookback: 24, horizon: 9, season: 6 };
const count = 600;
const random = new Random(7);
const values = Float64Array.from({ length: 2 * count }, (_, i) => ((i * 7) % 12) / 3 + random.normal());
const starts = Int32Array.from({ length: count - 40 }, (_, i) => i);
const scale = (value) => Float64Array.from({ length: starts.length }, () => value);
const index = (part) => {
  const chosen = starts.filter((start) => (part === 'train' ? start < 400 : start >= 420));
  const cut = (array) => array.subarray(0, chosen.length);
  return {
    starts: chosen,
    means: cut(scale(1.7)),
    deviations: cut(scale(1.3)),
    inputs: {
      origins: Float64Array.from(chosen, (start) => 1.7e12 + start * 3_600_000),
      targets: new Int32Array(chosen.length).fill(-1),
      devices: new Int32Array(chosen.length),
      starts: chosen.map((start) => start + count),
      means: cut(scale(1.6)),
      deviations: cut(scale(1.2)),
    },
  };
};
const text = writeInputs({
  quantities: ['other'],
  targets: [],
  calendar: ['hour', 'weekday'],
  statics: [{ name: 'size', mean: 1, deviation: 2 }],
});
const inputs = { text, interval: 3_600_000, statics: Float64Array.of(3) };
const set = {
  shape,
  values,
  measured: new Uint8Array(2 * count).fill(1),
  train: index('train'),
  validation: index('v'),
  inputs,
};
const { inputs: _, ...bare } = set;

const hash = createHash('sha256');
const take = (array) => hash.update(Buffer.from(array.buffer, array.byteOffset, array.byteLength));
const common = { width: 12, maxSteps: 20, batch: 48, dropout: 0.1 };
for (const [data, change] of [
  [set, { ...common, inputs: text }],
  [bare, common],
  [bare, { ...common, dropout: 0, family: 'lstm', layers: 2, decoding: 'autoregressive' }],
]) {
  const settings = defaultSettings(data, change);
  const { weights } = await kernelTrainer(Number(process.argv[2] ?? 1)).train(data, settings);
  for (const { data: floats } of weights) take(floats);
  const model = modelOf('', shape, settings, weights);
  take(Float64Array.from(calibrate(data, data.validation, model.forecast, 0.9)));
}
const { weights } = await ridgeTrainer.train(bare, defaultSettings(bare));
take(weights[0].data);
console.log(hash.digest('hex'));
