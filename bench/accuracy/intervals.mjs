// Coverage of the online intervals on public data: nominal 90 % should cover 0.88 to 0.92, at every horizon group.
//   node bench/accuracy/intervals.mjs [--part test] [--horizons 24,96,192] [--methods tracking,rolling]
//                                     [--levels 0.5,0.8,0.95,0.99] [--save]
// The methods of src/operators/interval-method.ts as the stream runs them: one state for each series and scored step,
// started from the calibration on validation, the residual of step h known h steps late. Needs a build and the data.
import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFolder, etth1, protocolSet, weather } from './sets.mjs';

const { values: options } = parseArgs({
  options: {
    part: { type: 'string', default: 'test' },
    horizons: { type: 'string', default: '24,96,192' },
    methods: { type: 'string', default: 'tracking,rolling' },
    levels: { type: 'string', default: '0.5,0.8,0.95,0.99' },
    save: { type: 'boolean', default: false },
  },
});
const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { calibrate, eachForecast } = await from('models/metrics.js');
const { modelOf } = await from('models/training/families.js');
const { kernelTrainer } = await from('models/training/kernel-trainer.js');
const { defaultSettings } = await from('models/training/settings.js');
const { QUANTILE_DEFAULTS, scoredSteps } = await from('operators/interval.js');
const { ROLLING_DEFAULTS, rollingMethod, trackingMethod } = await from('operators/interval-method.js');
const { IntervalLevels } = await from('operators/interval-levels.js');
const LEVEL = 0.9;
const METHODS = {
  tracking: (season) => trackingMethod({ ...QUANTILE_DEFAULTS, level: LEVEL, season }),
  rolling: () => rollingMethod({ ...ROLLING_DEFAULTS, level: LEVEL }),
};
const GROUPS = [
  [1, 4],
  [5, 16],
  [17, 48],
  [49, 96],
  [97, 192],
];
const further = options.levels === '' ? [] : options.levels.split(',').map(Number);
const levelRows = [];

/** Coverage of the further levels, whose half-widths are a ratio that follows the stream times the main one. */
function furtherLevels(name, method, { times, columns, steps, residuals, quantiles }) {
  const season = 24;
  const levels = new IntervalLevels({ main: LEVEL, levels: further, steps, season, trackers: 1 });
  const series = levels.levels.map(() => []);
  const total = levels.levels.map(() => 0);
  for (let column = 0; column < columns; column++) {
    const blocks = levels.blocks();
    const inside = levels.levels.map(() => 0);
    steps.forEach((step, i) => {
      const at = (t) => (t * columns + column) * steps.length + i;
      const made = METHODS[method](season);
      const state = new Float32Array(made.floats);
      made.begin(state, 0, quantiles[step - 1]);
      const issued = new Float32Array(times);
      for (let t = 0; t < times; t++) {
        if (t >= step) {
          const residual = residuals[at(t - step)];
          made.track(state, 0, residual, residual > issued[t - step], step);
          levels.track(blocks, '', 0, i, residual, issued[t - step]);
        }
        issued[t] = made.halfWidth(state, 0);
        const halves = new Float64Array(steps.at(-1)).fill(issued[t]);
        const values = new Float64Array(steps.at(-1));
        levels.intervals(blocks, '', 0, values, halves).forEach(({ upper }, l) => {
          inside[l] += residuals[at(t)] <= upper[step - 1] ? 1 : 0;
        });
      }
    });
    inside.forEach((count, l) => {
      series[l].push(count / (times * steps.length));
      total[l] += count / (times * steps.length * columns);
    });
  }
  levels.levels.forEach((level, l) => {
    levelRows.push([
      name,
      method,
      level,
      text(total[l]),
      `${text(Math.min(...series[l]))}–${text(Math.max(...series[l]))}`,
    ]);
    console.log(levelRows.at(-1).join('\t'));
  });
}
const text = (value) => (Number.isNaN(value) ? '' : value.toFixed(3));
const rows = [];

async function coverage(name, source, shape) {
  const set = protocolSet(source, shape);
  const settings = defaultSettings(set);
  const { weights } = await kernelTrainer().train(set, settings);
  const model = modelOf('', shape, settings, weights);
  const quantiles = calibrate(set, set.validation, model.forecast, LEVEL);
  const steps = scoredSteps(shape.horizon);
  const columns = source.series.length;
  const index = set[options.part];
  const times = index.starts.length / columns;
  const residuals = new Float32Array(times * columns * steps.length);
  eachForecast(set, index, model.forecast, (window, step, error) => {
    const at = steps.indexOf(step + 1);
    if (at >= 0) residuals[window * steps.length + at] = Math.abs(error);
  });
  for (const method of ['split', ...options.methods.split(',')]) {
    const inside = new Uint8Array(times * columns * steps.length);
    let width = 0;
    for (let column = 0; column < columns; column++) {
      steps.forEach((step, i) => {
        const at = (t) => (t * columns + column) * steps.length + i;
        const made = method === 'split' ? undefined : METHODS[method](shape.season);
        const state = new Float32Array(made?.floats ?? 1);
        const issued = new Float32Array(times).fill(quantiles[step - 1]);
        made?.begin(state, 0, quantiles[step - 1]);
        for (let t = 0; t < times; t++) {
          if (made && t >= step) {
            const residual = residuals[at(t - step)];
            made.track(state, 0, residual, residual > issued[t - step], step);
          }
          if (made) issued[t] = made.halfWidth(state, 0);
          inside[at(t)] = residuals[at(t)] <= issued[t] ? 1 : 0;
          width += (2 * issued[t]) / inside.length;
        }
      });
    }
    const mean = (wanted) => {
      let [sum, count] = [0, 0];
      for (let i = 0; i < inside.length; i++) {
        const [s, column, t] = [
          i % steps.length,
          Math.floor(i / steps.length) % columns,
          Math.floor(i / steps.length / columns),
        ];
        if (!wanted(steps[s], column, t)) continue;
        sum += inside[i];
        count++;
      }
      return sum / count;
    };
    const series = Array.from({ length: columns }, (_, column) => mean((_step, c) => c === column));
    let worst = 1;
    for (let t = 0; t + 240 <= times; t += 24)
      worst = Math.min(
        worst,
        mean((_step, _c, at) => at >= t && at < t + 240),
      );
    const groups = GROUPS.map(([low, high]) => mean((step) => step >= low && step <= high));
    if (method !== 'split')
      furtherLevels(`${name} H${shape.horizon}`, method, { times, columns, steps, residuals, quantiles });
    rows.push([
      `${name} H${shape.horizon}`,
      method === 'split' ? 'split conformal, not updated' : method,
      text(mean(() => true)),
      ...groups.map(text),
      `${text(Math.min(...series))}–${text(Math.max(...series))}`,
      text(worst),
      width.toFixed(2),
    ]);
    console.log(rows.at(-1).join('\t'));
  }
}

const data = dataFolder();
for (const horizon of options.horizons.split(',').map(Number)) {
  await coverage('ETTh1', etth1(`${data}/ett/ETTh1.csv`), { lookback: 96, horizon, season: 24 });
}
const shape = { lookback: 168, horizon: 24, season: 24 };
await coverage('Jena 2020', weather(`${data}/jena-weather-2020/weather.csv`), shape);

if (options.save) {
  const date = new Date().toISOString().slice(0, 10);
  const steps = GROUPS.map(([low, high]) => `steps ${low}–${high}`);
  const head = ['set', 'method', 'all', ...steps, 'range of the series', 'worst 240 buckets', 'width'];
  const table = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
  const file = fileURLToPath(new URL(`../results/intervals-${date}.md`, import.meta.url));
  const note = `Segment LSTM with the defaults, seed 1; coverage on the ${options.part} part, nominal ${LEVEL}. The rate and memory of tracking were chosen on the validation part.`;
  const levelHead = ['set', 'method', 'nominal', 'covered', 'range of the series'];
  const levelTable = [levelHead, levelHead.map(() => '---'), ...levelRows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
  const levels = `Further levels (\`pipeline.levels\`), one number for each level and scored step:\n\n${levelTable}`;
  writeFileSync(file, `# Coverage of the intervals, ${date}\n\n${note}\n\n${table}\n\n${levels}\n`);
  console.log(file);
}
