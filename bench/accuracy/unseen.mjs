// Devices never seen in training: every column of ETTh1 and of the weather of Jena is taken for a device with one quantity.
// In each fold some devices are kept from the training; the model then forecasts their test part, standardised by a rolling
// scale as the service does it for a device that it has not met. Beside it, on the same windows: the model that was trained
// on all devices, last value and seasonal naive.
//   node bench/accuracy/unseen.mjs [--only etth1,weather] [--folds 7] [--seed 1] [--save]
// Needs a build (`npm run build`) and the data (FLEETCAST_TEST_DATA).
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFolder, etth1, weather } from './sets.mjs';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: 'etth1,weather' },
    folds: { type: 'string', default: '7' },
    seed: { type: 'string', default: '1' },
    save: { type: 'boolean', default: false },
  },
});
const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { buildDataSet } = await from('retraining/data-set.js');
const { evaluate } = await from('retraining/evaluate.js');
const { modelFromArtefact } = await from('models/load.js');
const { buildArtefact } = await from('models/artefact.js');
const { architectureOf } = await from('models/training/families.js');
const { kernelTrainer } = await from('models/training/kernel-trainer.js');
const { defaultSettings } = await from('models/training/settings.js');

const HOUR = 3_600_000;
const SETS = {
  etth1: () => etth1(`${dataFolder()}/ett/ETTh1.csv`),
  weather: () => weather(`${dataFolder()}/jena-weather-2020/weather.csv`),
};
const shape = { lookback: 96, horizon: 24, season: 24 };
const minMeasured = 0.5;
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function setOf(data, devices) {
  const series = devices.map((column) => {
    const values = data.series[column].slice(0, data.testEnd);
    const counts = new Int32Array(values.length).fill(1);
    return { device: data.names[column], quantity: 'value', start: 0, interval: HOUR, values, counts, gaps: [] };
  });
  const split = {
    trainEnd: data.trainEnd * HOUR,
    validationEnd: data.validationEnd * HOUR,
    testEnd: data.testEnd * HOUR,
  };
  return buildDataSet(series, { shape, interval: HOUR, scaleLength: 336, minMeasured, scaler: 'rolling', split });
}

async function trained(set) {
  const settings = defaultSettings(set, { seed: Number(options.seed) });
  const result = await kernelTrainer().train(set, settings);
  const artefact = buildArtefact({
    ...{ family: 'segment-lstm', name: 'unseen', shape, interval: HOUR, weights: result.weights, scaler: set.scaler },
    architecture: architectureOf(settings),
    calibration: { level: 0.9, quantiles: new Array(shape.horizon).fill(0) },
    metrics: {},
    training: { ranges: [], trainEnd: 0, validationEnd: 0, seed: 1, trainer: '', settings: {}, windows: 0 },
    ...{ parent: '', createdAt: 0, note: '', licence: '' },
  });
  const model = modelFromArtefact(artefact, '');
  return model.forecast.bind(model);
}

const sections = [];
for (const name of options.only.split(',')) {
  const data = SETS[name]();
  // Units in another encoding than the names' own.
  data.names = data.names.map((each) => each.replace(/ *\([^)]*[^ -~][^)]*\)/, ''));
  const all = data.names.map((_, column) => column);
  const seen = await trained(setOf(data, all));
  const folds = Math.min(Number(options.folds), all.length);
  const lines = [];
  for (let fold = 0; fold < folds; fold++) {
    const held = all.filter((column) => column % folds === fold);
    const unseen = await trained(
      setOf(
        data,
        all.filter((column) => !held.includes(column)),
      ),
    );
    const forecasts = new Map(Object.entries({ unseen, seen }));
    const { rows } = evaluate(setOf(data, held), 'test', forecasts, { bySeries: true });
    for (const column of held) {
      const key = Object.keys(rows[0].maeBySeries).find(
        (each) => decodeURIComponent(each.split('/')[0]) === data.names[column],
      );
      const errors = rows.map(({ maeBySeries }) => maeBySeries[key ?? '']);
      lines.push([data.names[column], ...errors]);
      console.log(name, data.names[column], ...errors.map((error) => error?.toFixed(3)));
    }
  }
  const means = [1, 2, 3, 4].map((i) => mean(lines.map((line) => line[i])));
  const better = lines.filter((line) => line[1] < Math.min(line[3], line[4])).length;
  console.log(
    name,
    'mean',
    ...means.map((error) => error.toFixed(3)),
    `better than both naive: ${better} of ${lines.length}`,
  );
  const head = ['device', 'kept from the training', 'trained on', 'last value', 'seasonal naive'];
  const table = [head, head.map(() => '---'), ...lines, ['**mean**', ...means]]
    .map((row) => `| ${row.map((cell) => (typeof cell === 'number' ? cell.toFixed(3) : cell)).join(' | ')} |`)
    .join('\n');
  sections.push(
    `## ${name}\n\n${lines.length} devices, ${folds} folds. Kept from the training, ${better} of ${lines.length} are forecast better than by both naive forecasts.\n\n${table}`,
  );
}

if (options.save) {
  const date = new Date().toISOString().slice(0, 10);
  const about = `${cpus()[0].model}, ${availableParallelism()} threads, Node ${process.version}; load average ${loadavg()[0].toFixed(1)} (errors do not depend on it). Segment LSTM with the defaults of \`kernel\`, seed ${options.seed}, 24 hours ahead from 96; mean absolute error on the test part, in deviations of each device's training rows.`;
  const file = fileURLToPath(new URL(`../results/unseen-${date}.md`, import.meta.url));
  writeFileSync(file, `# Devices never seen in training, ${date}\n\n${about}\n\n${sections.join('\n\n')}\n`);
  console.log(file);
}
