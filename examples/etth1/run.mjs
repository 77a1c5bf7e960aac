// ETTh1 through a real Mosquitto, from the first PUBLISH to the last forecast, with nothing but the command line.
//   node examples/etth1/run.mjs PATH/TO/ETTh1.csv [--train-rows 8640] [--rows 17420] [--steps 2000] [--keep FOLDER] [--json]
// Needs `mosquitto` on the PATH and a built dist/. Exits with 1 when a promise does not hold.
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const LOOKBACK = 96;
const HORIZON = 24;
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'train-rows': { type: 'string', default: '8640' },
    rows: { type: 'string', default: '17420' },
    'test-from': { type: 'string' },
    'test-to': { type: 'string' },
    steps: { type: 'string', default: '2000' },
    width: { type: 'string', default: '64' },
    keep: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const file = positionals[0];
if (file === undefined) {
  console.error('usage: node examples/etth1/run.mjs PATH/TO/ETTh1.csv');
  process.exit(2);
}
const trainRows = Number(options['train-rows']);
const rows = Number(options.rows);
// The test months of the protocol: rows 11,520 to 14,400, or the last fifth of a shorter run.
const testFrom = Number(options['test-from'] ?? (rows >= 14_400 ? 11_520 : Math.floor(rows * 0.8)));
const testTo = Number(options['test-to'] ?? (rows >= 14_400 ? 14_400 : rows));

const folder = options.keep ?? mkdtempSync(join(tmpdir(), 'fleetcast-etth1-'));
mkdirSync(folder, { recursive: true });
const say = (text) => (options.json ? undefined : console.log(text));
// Debian keeps daemons where the PATH of ordinary users does not lead.
const mosquitto = existsSync('/usr/sbin/mosquitto') ? '/usr/sbin/mosquitto' : 'mosquitto';
const processes = [];
const checks = [];
let failure;

try {
  const result = await main();
  console.log(options.json ? JSON.stringify(result) : report(result));
} finally {
  for (const child of processes.reverse()) await end(child);
  if (options.keep === undefined) rmSync(folder, { recursive: true, force: true });
}
if (checks.some(({ holds }) => !holds)) process.exitCode = 1;

async function main() {
  const port = await freePort();
  const http = await freePort();
  writeFileSync(
    join(folder, 'mosquitto.conf'),
    `listener ${port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100000\n`,
  );
  start(mosquitto, ['-c', join(folder, 'mosquitto.conf')]);
  const config = join(folder, 'fleetcast.yaml');
  writeFileSync(
    config,
    [
      'broker:',
      `  url: mqtt://127.0.0.1:${port}`,
      'log:',
      `  embedded: {path: ${join(folder, 'data')}}`,
      'topics:',
      '  partitions: 1',
      'pipeline:',
      '  interval: 1h',
      '  idle: 10s',
      `  lookback: ${LOOKBACK}`,
      `  horizon: ${HORIZON}`,
      'learner:',
      '  enabled: false',
      'http:',
      `  port: ${http}`,
      '',
    ].join('\n'),
  );
  start(process.execPath, [MAIN, 'run', '--config', config]);
  // MQTT keeps nothing for a subscriber that it has not met: publish only when the bridge has subscribed.
  await until('the service', () => isReady(http));

  const started = Date.now();
  const table = csv(file, rows);
  // One row less than the test months look back on: their first forecast is already made by the new model.
  const before = testFrom - 1;
  const first = await publish(port, before);
  await until('the history of the first rows', async () => (await historyValues(config)) >= before * 7);
  say(`published ${first.acknowledged} rows; the history is complete`);

  const training = await run('train', [
    '--config',
    config,
    '--width',
    options.width,
    '--max-steps',
    options.steps,
    '--scaler',
    'fixed',
    '--train-end',
    dateOf(table, trainRows),
    '--validation-end',
    dateOf(table, Math.floor((trainRows + testFrom) / 2)),
    '--activate',
  ]);
  say(training);

  const rest = await publish(port, rows);
  await until('the history of all rows', async () => (await historyValues(config)) >= rows * 7);
  const seconds = (Date.now() - started) / 1000;

  check('every row was acknowledged', first.acknowledged + rest.acknowledged === rows);
  check('every row is in readings, once', await readingsMatch(config, table));
  check('the history is complete and right', await historyMatches(config, table));
  const scores = await scoreForecasts(config, table);
  check('forecasts cover the test months', scores.windows >= (testTo - testFrom - HORIZON) * 7);
  const bar = Math.min(scores.lastValue.mse, scores.seasonalNaive.mse);
  check('the LSTM beats the better of last value and seasonal naive', scores.lstm.mse < bar);
  return { rows, trainRows, testFrom, testTo, seconds, scores, checks };
}

function publish(port, upTo) {
  const device = ['--device', 'etth1', '--time-column', 'date', '--json'];
  const position = ['--resume', join(folder, 'position.json'), '--rows', String(upTo)];
  return run('publish', ['--csv', file, '--broker', `mqtt://127.0.0.1:${port}`, ...device, ...position]).then(
    JSON.parse,
  );
}

async function readingsMatch(config, { times, columns }) {
  const seen = new Map();
  for await (const record of tail(config, 'readings')) {
    if (record.value.type === 'Reading') seen.set(time(record.value.time), record.value.values);
  }
  return times.every((at, i) => columns.every(({ name, values }) => seen.get(at)?.[name] === values[i]));
}

async function historyMatches(config, { times, columns }) {
  const series = await history(config);
  return columns.every(({ name, values }) => times.every((at, i) => series.get(name)?.get(at) === values[i]));
}

async function historyValues(config) {
  let count = 0;
  for (const values of (await history(config)).values()) count += values.size;
  return count;
}

/** Quantity to bucket start to value, the newest revision of each segment. */
async function history(config) {
  const series = new Map();
  for await (const { value } of tail(config, 'history')) {
    if (value.type !== 'HistorySegment') continue;
    if (!series.has(value.quantity)) series.set(value.quantity, new Map());
    const values = series.get(value.quantity);
    value.values.forEach((each, i) => {
      if (value.counts[i] > 0) values.set(time(value.start) + i * value.interval, each);
    });
  }
  return series;
}

/** Errors as the published tables have them: standardised on the training rows, all windows, all seven series. */
async function scoreForecasts(config, { times, columns }) {
  const index = new Map(times.map((at, i) => [at, i]));
  const scale = new Map(
    columns.map(({ name, values }) => [name, meanAndDeviation(values.slice(0, trainRows), values)]),
  );
  const sums = { lstm: sum(), lastValue: sum(), seasonalNaive: sum() };
  let covered = 0;
  let inside = 0;
  let windows = 0;
  const models = {};
  for await (const { value } of tail(config, 'forecasts')) {
    const origin = index.get(time(value.origin));
    if (origin === undefined || origin < testFrom || origin + HORIZON > testTo) continue;
    models[value.model.slice(0, 14)] = (models[value.model.slice(0, 14)] ?? 0) + 1;
    const { values, deviation } = scale.get(value.quantity);
    windows += 1;
    for (let h = 0; h < HORIZON; h++) {
      const actual = values[origin + h];
      add(sums.lstm, (value.values[h] - actual) / deviation);
      add(sums.lastValue, (values[origin - 1] - actual) / deviation);
      add(sums.seasonalNaive, (values[origin + h - 24] - actual) / deviation);
      covered += 1;
      if (actual >= value.lower[h] && actual <= value.upper[h]) inside += 1;
    }
  }
  const mean = ({ squares, absolutes, count }) => ({ mse: squares / count, mae: absolutes / count });
  return {
    windows,
    models,
    lstm: mean(sums.lstm),
    lastValue: mean(sums.lastValue),
    seasonalNaive: mean(sums.seasonalNaive),
    coverage: inside / covered,
  };
}

function sum() {
  return { squares: 0, absolutes: 0, count: 0 };
}

function add(into, error) {
  into.squares += error * error;
  into.absolutes += Math.abs(error);
  into.count += 1;
}

function meanAndDeviation(rowsOfTraining, values) {
  const mean = rowsOfTraining.reduce((a, b) => a + b, 0) / rowsOfTraining.length;
  const variance = rowsOfTraining.reduce((a, b) => a + (b - mean) ** 2, 0) / rowsOfTraining.length;
  return { values, mean, deviation: Math.sqrt(variance) };
}

function csv(path, limit) {
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  const names = lines[0].trim().split(',').slice(1);
  const body = lines.slice(1, limit + 1).map((line) => line.trim().split(','));
  return {
    times: body.map((cells) => Date.parse(`${cells[0].replace(' ', 'T')}Z`)),
    columns: names.map((name, c) => ({ name, values: body.map((cells) => Number(cells[c + 1])) })),
  };
}

function dateOf({ times }, row) {
  return new Date(times[row]).toISOString();
}

function time(value) {
  return typeof value === 'number' ? value : Date.parse(value);
}

async function* tail(config, topic) {
  const child = spawn(process.execPath, [MAIN, 'tail', topic, '--config', config, '--from-start'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) yield JSON.parse(line);
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [MAIN, command, ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      error === null ? resolve(stdout.trim()) : reject(new Error(`fleetcast ${command} failed:\n${stderr}${stdout}`)),
    );
  });
}

function start(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors = (errors + chunk).slice(-4000);
  });
  child.on('exit', (code) => {
    if (child.ending) return;
    failure = new Error(`${command} ended by itself (${code}):\n${errors}`);
  });
  processes.push(child);
  return child;
}

function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return undefined;
  child.ending = true;
  return new Promise((resolve) => {
    child.on('exit', resolve);
    child.kill('SIGTERM');
  });
}

async function until(what, condition) {
  for (let tries = 0; tries < 150; tries++) {
    if (failure !== undefined) throw failure;
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  throw new Error(`${what} did not come`);
}

async function isReady(port) {
  try {
    return (await fetch(`http://127.0.0.1:${port}/health`)).ok;
  } catch {
    return false;
  }
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function check(name, holds) {
  checks.push({ name, holds });
  say(`${holds ? 'ok    ' : 'FAILED'} ${name}`);
}

function report({ seconds, scores }) {
  const row = (name, { mse, mae }) => `${name.padEnd(18)} ${mse.toFixed(4)}  ${mae.toFixed(4)}`;
  return [
    '',
    `test rows ${testFrom} to ${testTo}, ${scores.windows} windows, horizon ${HORIZON}, ${seconds.toFixed(0)} s in all`,
    `${''.padEnd(18)} MSE     MAE`,
    row('segment LSTM', scores.lstm),
    row('last value', scores.lastValue),
    row('seasonal naive', scores.seasonalNaive),
    `coverage of the 90 % intervals: ${(100 * scores.coverage).toFixed(1)} %`,
  ].join('\n');
}
