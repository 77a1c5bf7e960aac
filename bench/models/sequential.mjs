// Training speed of a Sequential model, LSTM(units) → Dense(1) over 24 steps, with TensorFlow.js as it is loaded here.
//   node bench/models/sequential.mjs [--units 32] [--batch 64] [--steps 200]     FLEETCAST_TENSORFLOW=wasm for WebAssembly
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { parseSequential } from '../../dist/models/sequential/configuration.js';
import { sequentialTrainer } from '../../dist/models/tensorflow/sequential-trainer.js';
import { defaultSettings } from '../../dist/models/training/settings.js';

const { values: options } = parseArgs({
  options: {
    units: { type: 'string', default: '32' },
    batch: { type: 'string', default: '64' },
    steps: { type: 'string', default: '200' },
  },
});
const [units, batch, steps] = [options.units, options.batch, options.steps].map(Number);
const rows = 4000;
const values = Float64Array.from({ length: rows }, (_, i) => Math.sin((i * Math.PI) / 12) + 0.1 * Math.sin(i * i));
const index = (from, to) => ({
  starts: Int32Array.from({ length: to - from }, (_, i) => from + i),
  means: new Float64Array(to - from),
  deviations: new Float64Array(to - from).fill(1),
});
const set = {
  shape: { lookback: 24, horizon: 1, season: 24 },
  values,
  measured: new Uint8Array(rows).fill(1),
  train: index(0, 3500),
  validation: index(3600, 3620),
};
const spec = parseSequential({
  input_shape: [24, 1],
  layers: [
    { type: 'LSTM', units },
    { type: 'Dense', units: 1 },
  ],
});
const train = (maxSteps) =>
  sequentialTrainer(spec).train(set, {
    ...defaultSettings(set, { family: 'sequential', batch, maxSteps }),
    epochs: 1000,
  });
await train(20);
const began = performance.now();
const { trainer } = await train(steps);
const seconds = (performance.now() - began) / 1000;
const load = loadavg()[0].toFixed(1);
console.log(
  `${trainer}: LSTM(${units}), 24 steps, batch ${batch}: ${Math.round((steps * batch) / seconds)} samples/s, load average ${load}`,
);
