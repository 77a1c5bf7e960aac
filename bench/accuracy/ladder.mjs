// The ladder from naive forecasts to a model, as it runs live, on small real series: every series of the Numenta benchmark
// and the occupancy set. Their readings go through the real pipeline; a learner trains on the first 80 %, its gate decides;
// then the last 20 % are played, and what was served is compared with last value and seasonal naive from the same origins.
//   node bench/accuracy/ladder.mjs [--only nyc_taxi,occupancy] [--save]
// Needs a build (`npm run build`) and the data (FLEETCAST_TEST_DATA).
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { dataFolder } from './sets.mjs';

const { values: options } = parseArgs({
  options: { only: { type: 'string', default: '' }, save: { type: 'boolean', default: false } },
});
const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { MemoryLog } = await from('log/memory/memory-log.js');
const { decode, encodeRecord } = await from('events/codec.js');
const { ModelRegistry } = await from('pipelines/model-registry.js');
const { pipelineConfig } = await from('pipelines/pipeline-config.js');
const { forecastingTopology } = await from('pipelines/forecasting.js');
const { topicSpecs } = await from('pipelines/topics.js');
const { Learner } = await from('retraining/learner.js');
const { Engine } = await from('topology/engine.js');
const { eachMeasured, gridLength } = await from('retraining/history-grid.js');
const { readHistory } = await from('retraining/history-reader.js');
const { isNaiveName } = await from('operators/baselines.js');

const MINUTE = 60_000;
const data = dataFolder();

function* series() {
  for (const file of readdirSync(`${data}/nab`).filter((name) => name.endsWith('.csv'))) {
    const name = file.replace('.csv', '');
    // Most series last two weeks at five minutes: half-hours leave enough windows of a day's season.
    const interval = (file.startsWith('ambient') ? 60 : 30) * MINUTE;
    const season = (24 * 60 * MINUTE) / interval;
    const lines = readFileSync(`${data}/nab/${file}`, 'utf8').trimEnd().split(/\r?\n/).slice(1);
    const readings = lines.map((line) => {
      const [time, value] = line.split(',');
      return { time: Date.parse(`${time.replace(' ', 'T')}Z`), values: { value: Number(value) } };
    });
    yield { name, interval, shape: { lookback: 2 * season, horizon: season / 2, season }, readings };
  }
  const names = ['Temperature', 'Humidity', 'Light', 'CO2', 'HumidityRatio'];
  const readings = ['datatest.txt', 'datatraining.txt', 'datatest2.txt'].flatMap((file) =>
    readFileSync(`${data}/occupancy/${file}`, 'utf8')
      .trimEnd()
      .split(/\r?\n/)
      .slice(1)
      .map((line) => {
        const cells = line.replaceAll('"', '').split(',');
        const values = Object.fromEntries(names.map((name, i) => [name, Number(cells[2 + i])]));
        return { time: Date.parse(`${cells[1].replace(' ', 'T')}Z`), values };
      }),
  );
  const shape = { lookback: 144, horizon: 36, season: 144 };
  yield { name: 'occupancy', interval: 10 * MINUTE, shape, readings };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function live({ interval, shape, readings }) {
  readings.sort((a, b) => a.time - b.time);
  const config = pipelineConfig({ interval, shape, idle: 1e12, flushEvery: 1000, segment: shape.season });
  const { topics } = config;
  const log = new MemoryLog();
  await log.ensureTopics(topicSpecs(topics, { partitions: 1 }));
  const registry = new ModelRegistry({ log, topic: topics.models });
  const engine = new Engine({ log, topology: forecastingTopology(config, registry), group: 'live' });
  await engine.start();
  const play = async (part) => {
    const record = (time, key, value) => ({ topic: topics.readings, partition: 0, timestamp: time, key, value });
    const records = part.map(({ time, values }) => {
      const reading = {
        type: 'Reading',
        device: 'a',
        time,
        values,
        retained: false,
        redelivered: false,
        fingerprint: '',
      };
      return record(time, Buffer.from('a'), encodeRecord(reading));
    });
    const time = part.at(-1).time + 2000;
    records.push(record(time, null, encodeRecord({ type: 'Tick', time })));
    await log.append(records);
    const { end } = await log.offsets(topics.readings, 0);
    while (!((engine.status()[0]?.inputs[0]?.offset ?? 0) >= end)) await pause(5);
  };
  const [first, last] = [readings[0].time, readings.at(-1).time];
  const border = first + 0.8 * (last - first);
  await play(readings.filter(({ time }) => time < border));
  let now = border;
  const learner = new Learner({
    log,
    topics,
    registry,
    windows: config,
    name: 'default',
    triggers: { firstAfter: 1, every: 0 },
    request: { settings: { width: 32, maxSteps: 2000 } },
    now: () => ++now,
    memberId: 'learner',
    pollMs: 5,
  });
  await learner.start();
  let event;
  while (!['promoted', 'rejected', 'failed'].includes(event?.kind)) {
    await pause(20);
    const { records } = await log.read(topics.modelEvents, 0, 0, { maxRecords: 100 });
    const events = records.map(({ value }) => decode('ModelEvent', value));
    event = events.findLast(({ kind }) => ['promoted', 'rejected', 'failed'].includes(kind));
  }
  await learner.stop();
  await play(readings.filter(({ time }) => time >= border));
  const { records } = await log.read(topics.forecasts, 0, 0, { maxRecords: 1e6, maxBytes: 1e9 });
  const forecasts = records.map(({ value }) => decode('Forecast', value)).filter(({ origin }) => origin > border);
  await engine.stop();
  const { end } = await log.offsets(topics.history, 0);
  const ranges = [{ topic: topics.history, partition: 0, from: 0, to: end }];
  const history = (await readHistory({ log, topic: topics.history, ranges })).series.map((one) => {
    const values = new Float64Array(gridLength(one)).fill(Number.NaN);
    eachMeasured(one, (value, at) => {
      values[at] = value;
    });
    return { ...one, values, gaps: [] };
  });
  const model = event.kind === 'promoted' ? await registry.load(event.modelId) : undefined;
  return { event, model, forecasts, history, border };
}

function errors({ forecasts, history, border }, { horizon, season }) {
  const zero = () => ({ mae: 0, mse: 0 });
  const sums = { served: zero(), 'last value': zero(), 'seasonal naive': zero() };
  let count = 0;
  let naive = 0;
  let [covered, width, penalty] = [0, 0, 0];
  const blocks = new Map();
  for (const { quantity, origin, interval, values, lower, upper, level, model } of forecasts) {
    const one = history.find((entry) => entry.quantity === quantity);
    const at = Math.round((origin - one.start) / interval);
    const before = one.values.subarray(0, Math.round((border - one.start) / interval)).filter((v) => !Number.isNaN(v));
    const mean = before.reduce((sum, v) => sum + v, 0) / before.length;
    const deviation = Math.sqrt(before.reduce((sum, v) => sum + (v - mean) ** 2, 0) / before.length) || 1;
    // Gaps hold the value before them, as in the pipeline's windows.
    const held = (i) => {
      let k = i;
      while (Number.isNaN(one.values[k])) k--;
      return one.values[k];
    };
    if (isNaiveName(model)) naive++;
    let [inside, labels] = [0, 0];
    for (let h = 0; h < horizon; h++) {
      const actual = one.values[at + h];
      if (actual === undefined || Number.isNaN(actual)) continue;
      const guesses = {
        served: values[h],
        'last value': held(at - 1),
        'seasonal naive': held(at - season + (h % season)),
      };
      for (const [name, value] of Object.entries(guesses)) {
        const error = Math.abs(value - actual) / deviation;
        sums[name].mae += error;
        sums[name].mse += error * error;
      }
      const alpha = 1 - level;
      const outside = Math.max(0, lower[h] - actual, actual - upper[h]);
      width += (upper[h] - lower[h]) / deviation;
      penalty += ((2 / alpha) * outside) / deviation;
      if (outside === 0) inside++;
      labels++;
    }
    count += labels;
    covered += inside;
    // Origins within a horizon of each other look at the same actuals: such a stretch counts as one observation.
    const block = Math.floor((origin - border) / (horizon * interval));
    const known = blocks.get(block) ?? { inside: 0, labels: 0 };
    blocks.set(block, { inside: known.inside + inside, labels: known.labels + labels });
  }
  for (const sum of Object.values(sums)) {
    sum.mae /= count;
    sum.mse /= count;
  }
  const coverage = covered / count;
  let squares = 0;
  for (const { inside, labels } of blocks.values()) squares += (inside - coverage * labels) ** 2;
  return {
    sums,
    naive: naive / forecasts.length,
    forecasts: forecasts.length,
    coverage,
    chance: Math.sqrt(squares) / count,
    width: width / count,
    intervalScore: (width + penalty) / count,
  };
}

const head = [
  'set',
  'gate',
  'model',
  'naive kept',
  'MAE served',
  'last value',
  'seasonal',
  'ratio MAE',
  'ratio MSE',
  'coverage',
  '±',
  'forecasts',
  'width',
  'interval score',
];
const rows = [];
const wanted = options.only.split(',').filter(Boolean);
for (const one of series()) {
  if (wanted.length > 0 && !wanted.some((name) => one.name.startsWith(name))) continue;
  const result = await live(one);
  const quantities = [...new Set(result.forecasts.map(({ quantity }) => quantity))];
  for (const quantity of quantities) {
    const forecasts = result.forecasts.filter((forecast) => forecast.quantity === quantity);
    const { sums, naive, ...found } = errors({ ...result, forecasts }, one.shape);
    const bar = (measure) => Math.min(sums['last value'][measure], sums['seasonal naive'][measure]);
    rows.push([
      quantities.length > 1 ? `${one.name} ${quantity}` : one.name,
      result.event.kind,
      result.model?.artefact.family ?? 'naive',
      `${(100 * naive).toFixed(0)} %`,
      ...[sums.served.mae, sums['last value'].mae, sums['seasonal naive'].mae].map((x) => x.toFixed(3)),
      (sums.served.mae / bar('mae')).toFixed(3),
      (sums.served.mse / bar('mse')).toFixed(3),
      found.coverage.toFixed(3),
      found.chance.toFixed(3),
      found.forecasts,
      found.width.toFixed(2),
      found.intervalScore.toFixed(2),
    ]);
    console.log(rows.at(-1).join('\t'));
  }
  console.log(`${one.name}: ${result.event.kind}: ${result.event.reason}`);
}
if (options.save) {
  const date = new Date().toISOString().slice(0, 10);
  const table = [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
  const text = `# The ladder on small real series, ${date}

\`node bench/accuracy/ladder.mjs\`: readings through the real pipeline, a learner trains on the first 80 % of the time, its gate
decides, the last 20 % are forecast live. Errors in deviations of the first 80 %, over all horizon steps and measured
buckets. Ratios are to the better of last value and seasonal naive over the same origins. "naive kept" is the share of
forecasts that went out under the name of a naive one: by the gate, by the guard of the series, or for want of a full window.

${table}
`;
  const file = fileURLToPath(new URL(`../results/ladder-${date}.md`, import.meta.url));
  writeFileSync(file, text);
  console.log(file);
}
process.exit(0);
