// Accuracy of the default models on public data, with the exact protocols of sets.mjs.
//   node bench/accuracy/run.mjs [--sets etth1,weather,nab,occupancy] [--seeds 1,2,3] [--horizons 24,96,192]
//                               [--trainer kernel] [--settings '{"width":32}'] [--save]
// Needs a build (`npm run build`) and the data (FLEETCAST_TEST_DATA). --save keeps the table in bench/results.
import { readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFolder, etth1, nab, occupancy, protocolSet, weather } from './sets.mjs';

const { values: options } = parseArgs({
  options: {
    sets: { type: 'string', default: 'etth1,weather,nab,occupancy' },
    seeds: { type: 'string', default: '1,2,3' },
    horizons: { type: 'string', default: '24,96,192' },
    trainer: { type: 'string', default: 'kernel' },
    settings: { type: 'string', default: '{}' },
    save: { type: 'boolean', default: false },
  },
});
const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/models/${path}`).href);
const { forecastErrors, naiveErrors } = await from('metrics.js');
const { segmentLstmModel } = await from('segment-lstm/model.js');
const { ridgeModel } = await from('ridge.js');
const { loadTrainer } = await from('training/trainers.js');
const { defaultSettings } = await from('training/settings.js');
const data = dataFolder();
const rows = [];

function report(set, horizon, model, { mse, mae }, seconds, extra = {}) {
  const row = { set, horizon, model, mse: round(mse), mae: round(mae), seconds: round(seconds, 1), ...extra };
  rows.push(row);
  console.log(Object.values(row).join('\t'));
}
const round = (value, digits = 4) => Math.round(value * 10 ** digits) / 10 ** digits;

async function trained(name, set, change) {
  const settings = defaultSettings(set, { ...JSON.parse(options.settings), ...change });
  const trainer = await loadTrainer(name);
  const began = performance.now();
  const { weights } = await trainer.train(set, settings);
  const seconds = (performance.now() - began) / 1000;
  const model =
    name === 'ridge'
      ? ridgeModel('', set.shape, weights)
      : segmentLstmModel('', set.shape, { width: settings.width }, weights);
  return { model, seconds };
}

/** Errors over the windows of one column alone. */
function columnErrors(set, column, forecast) {
  const pick = Array.from(set.testColumns.keys()).filter((i) => set.testColumns[i] === column);
  const part = (array) => array.constructor.from(pick, (i) => array[i]);
  const { starts, means, deviations } = set.test;
  return forecastErrors(set, { starts: part(starts), means: part(means), deviations: part(deviations) }, forecast);
}

async function published(name, source, shape) {
  const set = protocolSet(source, shape);
  const temperature = source.names.findIndex((column) => column.startsWith('T (degC)'));
  const extra = (forecast) =>
    temperature < 0 ? {} : { temperatureMae: round(columnErrors(set, temperature, forecast).mae) };
  const naive = naiveErrors(set, set.test);
  report(name, shape.horizon, 'last value', naive.lastValue, 0);
  report(name, shape.horizon, 'seasonal naive', naive.seasonalNaive, 0);
  const ridge = await trained('ridge', set, {});
  report(name, shape.horizon, 'ridge', forecastErrors(set, set.test, ridge.model.forecast), ridge.seconds, {
    ...extra(ridge.model.forecast),
  });
  for (const seed of options.seeds.split(',').map(Number)) {
    const { model, seconds } = await trained(options.trainer, set, { seed });
    report(name, shape.horizon, `segment LSTM, seed ${seed}`, forecastErrors(set, set.test, model.forecast), seconds, {
      ...extra(model.forecast),
    });
  }
}

/** Small real series: what the ladder chooses on validation may not be worse than naive on the last fifth. */
async function ladder(name, source, shape) {
  const set = protocolSet(source, shape);
  const naive = [
    ['last value', (batch, out) => naiveForecast.lastValue(shape, batch, out)],
    ['seasonal naive', (batch, out) => naiveForecast.seasonalNaive(shape, batch, out)],
  ];
  const candidates = [...naive];
  for (const trainer of ['ridge', options.trainer]) {
    try {
      const { model } = await trained(trainer, set, {});
      candidates.push([trainer === 'ridge' ? 'ridge' : 'segment LSTM', model.forecast]);
    } catch (error) {
      console.log(`${name}: ${trainer}: ${error.message}`);
    }
  }
  const judged = candidates.map(([model, forecast]) => ({
    model,
    validation: forecastErrors(set, set.validation, forecast).mse,
    test: forecastErrors(set, set.test, forecast),
  }));
  const chosen = judged.reduce((best, one) => (one.validation < best.validation ? one : best));
  const bar = Math.min(judged[0].test.mse, judged[1].test.mse);
  for (const { model, test, validation } of judged) {
    const mark = model === chosen.model ? 'chosen' : '';
    report(name, shape.horizon, model, test, 0, { validationMse: round(validation), mark });
  }
  console.log(`${name}: chosen ${chosen.model}, ${round(chosen.test.mse / bar, 3)} of the better naive forecast`);
}
const naiveForecast = await from('naive.js');

for (const name of options.sets.split(',')) {
  if (name === 'etth1') {
    for (const horizon of options.horizons.split(',').map(Number)) {
      await published('ETTh1', etth1(`${data}/ett/ETTh1.csv`), { lookback: 96, horizon, season: 24 });
    }
  } else if (name === 'weather') {
    const shape = { lookback: 168, horizon: 24, season: 24 };
    await published('Jena 2020', weather(`${data}/jena-weather-2020/weather.csv`), shape);
  } else if (name === 'nab') {
    for (const file of readdirSync(`${data}/nab`).filter((entry) => entry.endsWith('.csv'))) {
      // Most series last two weeks at five minutes: half-hours leave enough windows of a day's season.
      const hourly = file.startsWith('ambient');
      const season = hourly ? 24 : 48;
      const series = nab(`${data}/nab/${file}`, hourly ? 3_600_000 : 1_800_000);
      await ladder(file.replace('.csv', ''), series, { lookback: 2 * season, horizon: season / 2, season });
    }
  } else if (name === 'occupancy') {
    const series = occupancy(`${data}/occupancy`, 600_000);
    await ladder('occupancy', series, { lookback: 144, horizon: 36, season: 144 });
  } else {
    throw new Error(`unknown set ${name}`);
  }
}

if (options.save) {
  const date = new Date().toISOString().slice(0, 10);
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const text = [
    `# Accuracy, ${date}`,
    '',
    `${cpus()[0].model}, ${availableParallelism()} threads, Node ${process.version}, trainer ${options.trainer}, settings`,
    `${options.settings}. Protocols in bench/accuracy/sets.mjs; errors on standardised test data. Seconds are of a`,
    'machine that did other work at the same time.',
    '',
    line(columns),
    line(columns.map(() => '---')),
    ...rows.map((row) => line(columns.map((column) => row[column] ?? ''))),
    '',
  ].join('\n');
  const file = fileURLToPath(new URL(`../results/accuracy-${date}.md`, import.meta.url));
  writeFileSync(file, text);
  console.log(file);
}
