// Coverage of the online intervals on public data: nominal 90 % should cover 0.88 to 0.92.
//   node bench/accuracy/intervals.mjs [--horizons 24,96] [--rate 0.1] [--memory 0.99]
// The trackers of src/operators/interval.ts as the stream runs them: one for each series and scored step, started from the
// calibration on validation, the residual of step h known h steps late. Needs a build and the data.
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFolder, etth1, protocolSet, weather } from './sets.mjs';

const { values: options } = parseArgs({
  options: {
    horizons: { type: 'string', default: '24,96' },
    rate: { type: 'string' },
    memory: { type: 'string' },
  },
});
const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { calibrate, eachForecast } = await from('models/metrics.js');
const { modelOf } = await from('models/training/families.js');
const { kernelTrainer } = await from('models/training/kernel-trainer.js');
const { defaultSettings } = await from('models/training/settings.js');
const { QUANTILE_DEFAULTS, scoredSteps, trackQuantile } = await from('operators/interval.js');
const config = {
  ...QUANTILE_DEFAULTS,
  ...(options.rate ? { rate: Number(options.rate) } : {}),
  ...(options.memory ? { memory: Number(options.memory) } : {}),
};

async function coverage(name, source, shape) {
  const set = protocolSet(source, shape);
  const settings = defaultSettings(set);
  const { weights } = await kernelTrainer().train(set, settings);
  const model = modelOf('', shape, settings, weights);
  const quantiles = calibrate(set, set.validation, model.forecast, config.level);
  const steps = scoredSteps(shape.horizon);
  const columns = source.series.length;
  const times = set.test.starts.length / columns;
  const residuals = new Float32Array(times * columns * steps.length);
  eachForecast(set, set.test, model.forecast, (window, step, error) => {
    const index = steps.indexOf(step + 1);
    if (index >= 0) residuals[window * steps.length + index] = Math.abs(error);
  });
  const covered = new Float64Array(columns);
  let split = 0;
  let width = 0;
  let worst = 1;
  const state = new Float32Array(columns * steps.length * 2);
  for (let i = 0; i < columns * steps.length; i++) {
    state[2 * i] = quantiles[steps[i % steps.length] - 1];
    state[2 * i + 1] = state[2 * i];
  }
  const recent = [];
  for (let t = 0; t < times; t++) {
    let now = 0;
    for (let column = 0; column < columns; column++) {
      steps.forEach((step, index) => {
        const at = 2 * (column * steps.length + index);
        if (t >= step) {
          trackQuantile(config, state, at, residuals[((t - step) * columns + column) * steps.length + index]);
        }
        const residual = residuals[(t * columns + column) * steps.length + index];
        const inside = residual <= state[at] ? 1 : 0;
        covered[column] += inside / (times * steps.length);
        now += inside / (columns * steps.length);
        width += (2 * state[at]) / (times * columns * steps.length);
        split += residual <= quantiles[step - 1] ? 1 / (times * columns * steps.length) : 0;
      });
    }
    recent.push(now);
    if (recent.length >= 240) worst = Math.min(worst, recent.slice(-240).reduce((sum, x) => sum + x, 0) / 240);
  }
  const mean = covered.reduce((sum, x) => sum + x, 0) / columns;
  const text = (value) => value.toFixed(3);
  console.log(
    `${name} H${shape.horizon}: online ${text(mean)} (series ${text(Math.min(...covered))}–${text(Math.max(...covered))}, ` +
      `worst 240 buckets ${text(worst)}), width ${width.toFixed(2)}; split conformal from validation ${text(split)}`,
  );
}

const data = dataFolder();
for (const horizon of options.horizons.split(',').map(Number)) {
  await coverage('ETTh1', etth1(`${data}/ett/ETTh1.csv`), { lookback: 96, horizon, season: 24 });
}
const shape = { lookback: 168, horizon: 24, season: 24 };
await coverage('Jena 2020', weather(`${data}/jena-weather-2020/weather.csv`), shape);
