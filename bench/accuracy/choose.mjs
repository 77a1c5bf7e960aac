// Chooses the defaults of the segment LSTM on validation data alone: no test window is looked at.
//   node bench/accuracy/choose.mjs [--cache FILE] [--tasks etth1-24,…] [--seeds 1] [--limit SECONDS] [--save]
// One setting at a time is changed from the recipe. The score of a change is the geometric mean over the tasks of its
// validation MSE and MAE, each divided by the recipe's. Runs are kept in the cache, so that it can go on after an end.
// Needs a build (`npm run build`) and the data (FLEETCAST_TEST_DATA).
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFolder, etth1, protocolSet, weather } from './sets.mjs';

const { values: options } = parseArgs({
  options: {
    cache: { type: 'string', default: 'choose.jsonl' },
    tasks: { type: 'string', default: 'etth1-24,etth1-96,etth1-192,jena-24' },
    seeds: { type: 'string', default: '1' },
    limit: { type: 'string', default: '1e9' },
    only: { type: 'string', default: '' },
    save: { type: 'boolean', default: false },
  },
});
const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/models/${path}`).href);
const { forecastErrors } = await from('metrics.js');
const { modelOf } = await from('training/families.js');
const { kernelTrainer } = await from('training/kernel-trainer.js');
const { defaultSettings } = await from('training/settings.js');

const RECIPE = { huberDelta: 0.25, dropout: 0, learningRate: 0.003, width: 64, batch: 128, steps: 1 };
const CHANGES = [
  {},
  { huberDelta: 0.1 },
  { huberDelta: 0.5 },
  { huberDelta: 1 },
  { dropout: 0.1 },
  { dropout: 0.2 },
  { learningRate: 0.002 },
  { learningRate: 0.005 },
  { batch: 64 },
  { width: 32, learningRate: 0.005 },
  { width: 128, learningRate: 0.002 },
];

const data = dataFolder();
const sets = new Map();
function setOf(task) {
  if (!sets.has(task)) {
    const [name, horizon] = task.split('-');
    const source = name === 'jena' ? weather(`${data}/jena-weather-2020/weather.csv`) : etth1(`${data}/ett/ETTh1.csv`);
    const lookback = name === 'jena' ? 168 : 96;
    sets.set(task, protocolSet(source, { lookback, horizon: Number(horizon), season: 24 }));
  }
  return sets.get(task);
}

const known = new Map();
if (existsSync(options.cache)) {
  for (const line of readFileSync(options.cache, 'utf8').trim().split('\n').filter(Boolean)) {
    const run = JSON.parse(line);
    known.set(run.key, run);
  }
}
const began = performance.now();
async function run(task, change, seed) {
  const key = JSON.stringify([task, change, seed]);
  if (known.has(key)) return known.get(key);
  if (performance.now() - began > Number(options.limit) * 1000) return undefined;
  const set = setOf(task);
  const cpu = process.cpuUsage();
  const settings = defaultSettings(set, { ...change, seed });
  const { weights } = await kernelTrainer().train(set, settings);
  const model = modelOf('', set.shape, settings, weights);
  const { mse, mae } = forecastErrors(set, set.validation, model.forecast);
  const { user, system } = process.cpuUsage(cpu);
  const result = { key, mse, mae, cpuSeconds: (user + system) / 1e6 };
  known.set(key, result);
  appendFileSync(options.cache, `${JSON.stringify(result)}\n`);
  console.log(key, mse.toFixed(4), mae.toFixed(4), result.cpuSeconds.toFixed(1));
  return result;
}

const tasks = options.tasks.split(',');
const seeds = options.seeds.split(',').map(Number);
const changes = options.only === '' ? CHANGES : JSON.parse(options.only);
const rows = [];
for (const change of changes) {
  const ratios = [];
  const cells = [];
  for (const task of tasks) {
    const mean = { mse: 0, mae: 0, base: { mse: 0, mae: 0 } };
    for (const seed of seeds) {
      const [recipe, changed] = [await run(task, {}, seed), await run(task, change, seed)];
      if (recipe === undefined || changed === undefined) process.exit(3);
      for (const measure of ['mse', 'mae']) {
        mean[measure] += changed[measure] / seeds.length;
        mean.base[measure] += recipe[measure] / seeds.length;
      }
    }
    ratios.push(mean.mse / mean.base.mse, mean.mae / mean.base.mae);
    cells.push(`${mean.mse.toFixed(4)} / ${mean.mae.toFixed(4)}`);
  }
  const score = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  const name = Object.entries(change).map(([field, value]) => `${field} ${value}`);
  rows.push([name.join(', ') || 'the recipe', ...cells, score.toFixed(4)]);
  console.log(rows.at(-1).join('\t'));
}
if (options.save) {
  const date = new Date().toISOString().slice(0, 10);
  const head = ['change', ...tasks.map((task) => `${task}, MSE / MAE`), 'score'];
  const table = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`);
  const file = fileURLToPath(new URL(`../results/choose-${date}.md`, import.meta.url));
  const text = `# Choice of the defaults on validation data, ${date}\n\nRecipe: ${JSON.stringify(RECIPE)}; seeds ${seeds.join(', ')}. A score below 1 is better than the recipe; differences of one seed up to .003 are noise.\n\n${table.join('\n')}\n`;
  writeFileSync(file, text);
  console.log(file);
}
