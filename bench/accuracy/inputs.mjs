// What further inputs (learner.inputs) bring on real series: the calendar on the taxis of New York, whose days of the week
// differ, and other quantities of the same station on Jena's weather. Data set, training and windows are those of the product.
//   node bench/accuracy/inputs.mjs [--seeds 1,2,3] [--save]
// Needs a build (`npm run build`) and the data (FLEETCAST_TEST_DATA).
import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFolder, nab, weather } from './sets.mjs';

const { values: options } = parseArgs({
  options: { seeds: { type: 'string', default: '1,2,3' }, save: { type: 'boolean', default: false } },
});
const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { buildDataSet } = await from('retraining/data-set.js');
const { writeInputs } = await from('models/inputs/spec.js');
const { forecastErrors, naiveErrors } = await from('models/metrics.js');
const { modelOf } = await from('models/training/families.js');
const { kernelTrainer } = await from('models/training/kernel-trainer.js');
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
    return { device: 'a', quantity, start, interval: HOUR, values, counts, segments: 1, revision: 0 };
  });
}

async function compare(name, series, shape, split, choices) {
  for (const [label, inputs] of choices) {
    const text = writeInputs({ calendar: [], quantities: [], targets: [], statics: [], ...inputs });
    const scaleLength = Math.max(shape.lookback, 7 * shape.season);
    const common = { shape, interval: HOUR, scaleLength, minMeasured: 0.5, scaler: 'fixed', split };
    const set = buildDataSet(series, { ...common, inputs: text });
    const sums = { validation: { mse: 0, mae: 0 }, test: { mse: 0, mae: 0 } };
    for (const seed of seeds) {
      const settings = defaultSettings(set, { seed, inputs: set.inputs?.text ?? '' });
      const { weights } = await kernelTrainer().train(set, settings);
      const { forecast } = modelOf('', shape, settings, weights);
      for (const part of ['validation', 'test']) {
        const found = forecastErrors(set, set[part], forecast);
        for (const measure of ['mse', 'mae']) sums[part][measure] += found[measure] / seeds.length;
      }
    }
    if (rows.every(([set_]) => set_ !== name)) {
      for (const [naive, field] of [
        ['last value', 'lastValue'],
        ['seasonal naive', 'seasonalNaive'],
      ]) {
        const of = (part) => naiveErrors(set, set[part])[field];
        add(name, naive, { validation: of('validation'), test: of('test') });
      }
    }
    add(name, label, sums);
  }
}

function add(name, label, { validation, test }) {
  rows.push([name, label, ...[validation.mse, validation.mae, test.mse, test.mae].map((value) => value.toFixed(4))]);
  console.log(rows.at(-1).join('\t'));
}

const split = { train: 0.6, validation: 0.2 };
const taxi = history(nab(`${data}/nab/nyc_taxi.csv`, HOUR), Date.UTC(2014, 6, 1), [['passengers', 0]]);
for (const horizon of [24, 72]) {
  const shape = { lookback: 96, horizon, season: 24 };
  await compare(`nyc_taxi H${horizon}`, taxi, shape, split, [
    ['no inputs', {}],
    ['calendar: [hour]', { calendar: ['hour'] }],
    ['calendar: [weekday]', { calendar: ['weekday'] }],
    ['calendar: [hour, weekday]', { calendar: ['hour', 'weekday'] }],
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
await compare(
  'Jena temperature H24',
  station,
  { lookback: 96, horizon: 24, season: 24 },
  { train: 0.7, validation: 0.2 },
  [
    ['no inputs', { targets }],
    ['quantities: [humidity, pressure, sun]', { targets, quantities: ['humidity', 'pressure', 'sun'] }],
    ['the same and calendar: [hour]', { targets, quantities: ['humidity', 'pressure', 'sun'], calendar: ['hour'] }],
  ],
);

if (options.save) {
  const date = new Date().toISOString().slice(0, 10);
  const head = ['set', 'inputs', 'validation MSE', 'validation MAE', 'test MSE', 'test MAE'];
  const table = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
  const text = `# What further inputs bring, ${date}

\`node bench/accuracy/inputs.mjs\`: segment LSTM with the defaults, hourly buckets, means of the seeds ${seeds.join(', ')}; errors in
deviations of the training rows. nyc_taxi: 60/20/20, Jena 2020: 70/20/10 in time order.

${table}
`;
  const file = fileURLToPath(new URL(`../results/inputs-${date}.md`, import.meta.url));
  writeFileSync(file, text);
  console.log(file);
}
