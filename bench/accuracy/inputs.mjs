// What further inputs (learner.inputs) bring on real series: the calendar on the taxis of New York, whose days of the week
// differ, and other quantities of the same station on Jena's weather. Data set, training and windows are those of the product.
//   node bench/accuracy/inputs.mjs [--seeds 1,2,3] [--only Jena] [--save]
// Needs a build (`npm run build`) and the data (FLEETCAST_TEST_DATA).
import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFolder, nab, weather } from './sets.mjs';

const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1,2,3' },
    only: { type: 'string', default: '' },
    save: { type: 'boolean', default: false },
  },
});
const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { buildDataSet } = await from('retraining/data-set.js');
const { writeInputs } = await from('models/inputs/spec.js');
const { eachForecast } = await from('models/metrics.js');
const { lastValue, seasonalNaive } = await from('models/naive.js');
const { modelOf } = await from('models/training/families.js');
const { trainKernel } = await from('retraining/two-lengths.js');
const { defaultSettings } = await from('models/training/settings.js');

const HOUR = 3_600_000;
const data = dataFolder();
const seeds = options.seeds.split(',').map(Number);
const rows = [];

/** Series of a device as history has them. */
function history(source, start, columns) {
  return columns.map(([quantity, column]) => {
    const measured = source.measured?.[column];
    const values = source.series[column].map((value, i) =>
      measured === undefined || measured[i] ? value : Number.NaN,
    );
    const counts = Int32Array.from(values, (value) => (Number.isNaN(value) ? 0 : 1));
    return { device: 'a', quantity, start, interval: HOUR, values, counts, gaps: [], segments: 1, revision: 0 };
  });
}

/** Errors over the windows of one quantity. */
function errorsOf(set, index, quantity, forecast) {
  const { from, to } = set.runs.find(({ series }) => series.endsWith(quantity));
  const sums = { mse: 0, mae: 0 };
  let count = 0;
  eachForecast(set, index, forecast, (window, _step, error) => {
    if (index.starts[window] < from || index.starts[window] >= to) return;
    sums.mse += error * error;
    sums.mae += Math.abs(error);
    count++;
  });
  return { mse: sums.mse / count, mae: sums.mae / count };
}

async function compare(name, quantity, shape, split, choices) {
  if (!name.startsWith(options.only)) return;
  for (const [label, series, inputs] of choices) {
    const text = writeInputs({ calendar: [], quantities: [], targets: [], statics: [], ...inputs });
    const scaleLength = Math.max(shape.lookback, 7 * shape.season);
    const common = { shape, interval: HOUR, scaleLength, minMeasured: 0.5, scaler: 'fixed', split };
    const set = buildDataSet(series, { ...common, inputs: text });
    const sums = { validation: { mse: 0, mae: 0 }, test: { mse: 0, mae: 0 } };
    const epochs = [];
    for (const seed of seeds) {
      const wanted = defaultSettings(set, { seed, inputs: set.inputs?.text ?? '' });
      const { result, settings } = await trainKernel(set, wanted, true, {});
      epochs.push(settings.epochs);
      const { forecast } = modelOf('', shape, settings, result.weights);
      for (const part of ['validation', 'test']) {
        const found = errorsOf(set, set[part], quantity, forecast);
        for (const measure of ['mse', 'mae']) sums[part][measure] += found[measure] / seeds.length;
      }
    }
    if (rows.every(([set_]) => set_ !== name)) {
      for (const [naive, by] of [
        ['last value', lastValue],
        ['seasonal naive', seasonalNaive],
      ]) {
        const of = (part) => errorsOf(set, set[part], quantity, (batch, out) => by(shape, batch, out));
        add(name, naive, '', { validation: of('validation'), test: of('test') });
      }
    }
    add(name, label, epochs.join(', '), sums);
  }
}

function add(name, label, epochs, { validation, test }) {
  rows.push([
    name,
    label,
    epochs,
    ...[validation.mse, validation.mae, test.mse, test.mae].map((value) => value.toFixed(4)),
  ]);
  console.log(rows.at(-1).join('\t'));
}

const split = { train: 0.6, validation: 0.2 };
const taxi = history(nab(`${data}/nab/nyc_taxi.csv`, HOUR), Date.UTC(2014, 6, 1), [['passengers', 0]]);
for (const horizon of [24, 72]) {
  const shape = { lookback: 96, horizon, season: 24 };
  await compare(`nyc_taxi H${horizon}`, 'passengers', shape, split, [
    ['no inputs', taxi, {}],
    ['calendar: [hour]', taxi, { calendar: ['hour'] }],
    ['calendar: [weekday]', taxi, { calendar: ['weekday'] }],
    ['calendar: [hour, weekday]', taxi, { calendar: ['hour', 'weekday'] }],
  ]);
}
const jena = weather(`${data}/jena-weather-2020/weather.csv`);
const column = (start) => jena.names.findIndex((name) => name.startsWith(start));
const station = history(jena, Date.UTC(2020, 0, 1), [
  ['temperature', column('T (degC)')],
  ['pressure', column('p (mbar)')],
  ['humidity', column('rh (%)')],
  ['sun', column('SWDR')],
]);
const targets = ['temperature'];
const quantities = ['humidity', 'pressure', 'sun'];
const all = history(
  jena,
  Date.UTC(2020, 0, 1),
  jena.names.map((name, i) => [name.startsWith('T (degC)') ? 'temperature' : name, i]),
);
await compare(
  'Jena temperature H24',
  'temperature',
  { lookback: 96, horizon: 24, season: 24 },
  { train: 0.7, validation: 0.2 },
  [
    ['no inputs, trained on temperature alone', station, { targets }],
    ['quantities: [humidity, pressure, sun]', station, { targets, quantities }],
    ['the same and calendar: [hour]', station, { targets, quantities, calendar: ['hour'] }],
    ['no inputs, trained on the four quantities', station, {}],
    ['each of the four with the others as inputs', station, { quantities: ['temperature', ...quantities] }],
    ['no inputs, trained on all 21 quantities', all, {}],
  ],
);

if (options.save) {
  const date = new Date().toISOString().slice(0, 10);
  const head = ['set', 'inputs', 'epochs', 'validation MSE', 'validation MAE', 'test MSE', 'test MAE'];
  const table = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
  const text = `# What further inputs bring, ${date}

\`node bench/accuracy/inputs.mjs\`: segment LSTM trained as the product does, hourly buckets, means of the seeds ${seeds.join(', ')}; errors in
deviations of the training rows. nyc_taxi: 60/20/20, Jena 2020: 70/20/10 in time order.

${table}
`;
  const file = fileURLToPath(new URL(`../results/inputs-${date}.md`, import.meta.url));
  writeFileSync(file, text);
  console.log(file);
}
