// The learning loop on ETTh1, live: the two years through a real Mosquitto on a real Kafka with monthly retraining, played
// as fast as the machine allows; then the same recorded input replayed with a model trained once and with a ridge
// regression. Nothing but the command line and MQTT.
//   node bench/backtest/etth1-live.mjs PATH/TO/ETTh1.csv --kafka HOST:PORT [--rows 17420] [--first 5760] [--chunk 72] [--steps 1000] [--keep FOLDER]
// Needs `mosquitto` on the PATH and a built dist/. Event time runs in steps of `--chunk` hours: after each, the script waits
// until the pipeline has caught up and the learner has nothing left to do, as in real life it would have had hours.
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import mqtt from 'mqtt';

const PREFIX = `etth1-${process.pid}.`;
const HOUR = 3_600_000;
const LOOKBACK = 96;
const HORIZON = 24;
const MONTH = 720;
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kafka: { type: 'string' },
    rows: { type: 'string', default: '17420' },
    first: { type: 'string', default: '5760' },
    chunk: { type: 'string', default: '72' },
    steps: { type: 'string', default: '1000' },
    width: { type: 'string', default: '32' },
    keep: { type: 'string' },
  },
});
const [file] = positionals;
if (file === undefined || options.kafka === undefined) {
  console.error('usage: node bench/backtest/etth1-live.mjs PATH/TO/ETTh1.csv --kafka HOST:PORT');
  process.exit(2);
}
const rows = Number(options.rows);
const first = Number(options.first);
const folder = options.keep ?? mkdtempSync(join(tmpdir(), 'fleetcast-etth1-live-'));
mkdirSync(folder, { recursive: true });
// Debian keeps daemons where the PATH of ordinary users does not lead.
const mosquitto = existsSync('/usr/sbin/mosquitto') ? '/usr/sbin/mosquitto' : 'mosquitto';
const processes = [];
const table = csv();
const began = Date.now();

try {
  await main();
} finally {
  for (const child of processes.reverse()) {
    if (child.exitCode !== null) continue;
    const ended = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGTERM');
    await ended;
  }
  if (options.keep === undefined) rmSync(folder, { recursive: true, force: true });
}

async function main() {
  const [port, http] = [await freePort(), await freePort()];
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
      `  kafka: {brokers: ["${options.kafka}"]}`,
      'topics:',
      `  prefix: ${PREFIX}`,
      '  partitions: 1',
      'pipeline:',
      '  interval: 1h',
      '  idle: 20s',
      `  lookback: ${LOOKBACK}`,
      `  horizon: ${HORIZON}`,
      'learner:',
      `  firstAfter: ${first}`,
      `  every: ${MONTH}`,
      `  width: ${options.width}`,
      `  maxSteps: ${options.steps}`,
      '  budget: 0s',
      '  trial: {least: 168, most: 336, looks: 2, significance: 0.2}',
      'http:',
      `  port: ${http}`,
      '',
    ].join('\n'),
  );
  start(process.execPath, [MAIN, 'run', '--config', config]);
  await until(() => status(http), 'the service');
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`);
  let sent = 0;
  while (sent < rows) {
    const to = sent < first ? Math.min(first, sent + 960) : Math.min(rows, sent + Number(options.chunk));
    await Promise.all(
      Array.from({ length: to - sent }, (_, i) => {
        const values = Object.fromEntries(table.columns.map(({ name, values: column }) => [name, column[sent + i]]));
        const payload = JSON.stringify({ time: new Date(table.times[sent + i]).toISOString(), ...values });
        return client.publishAsync('fleet/etth1', payload, { qos: 1 });
      }),
    );
    sent = to;
    await settled(http, sent);
    if (sent % 960 < Number(options.chunk)) console.error(`${sent} rows, ${Math.round((Date.now() - began) / 1000)} s`);
  }
  await client.endAsync();
  const models = JSON.parse(await run('models', ['list', '--config', config, '--json']));
  const events = await all(config, 'model-events');
  for (const event of events)
    console.log(`${event.value.kind} ${event.value.modelId.slice(0, 8)} ${event.value.reason}`);
  const live = await forecasts(config, 'forecasts');

  // The same input, as recorded, with one model from the beginning on.
  const once = events.find(({ value }) => value.kind === 'promoted').value.modelId;
  const until5760 = ['--to', new Date(table.times[first]).toISOString()];
  const ridge = JSON.parse(await run('train', ['--config', config, '--trainer', 'ridge', ...until5760, '--json'])).id;
  const network = JSON.parse(
    await run('train', ['--config', config, '--trainer', 'kernel', ...until5760, '--json']),
  ).id;
  const replayed = {};
  for (const [name, id] of Object.entries({ once, ridge, network })) {
    await run('replay', ['--config', config, '--model', id, '--prefix', `${name}.`]);
    replayed[name] = await forecasts(config, `${name}.${PREFIX}forecasts`);
  }
  report({ live, ...replayed }, models);
}

/** Everything that was sent is through the pipeline, and the learner rests. */
async function settled(http, sent) {
  let quiet = 0;
  for (;;) {
    const now = await status(http);
    const busy = now === undefined || ['training', 'preparing'].includes(now.training.state);
    const behind = now === undefined || now.bridge.acknowledged < sent || now.tasks.some(({ lag }) => lag > 2);
    quiet = busy || behind ? 0 : quiet + 1;
    // The learner looks once a second.
    if (quiet >= 8) return;
    await pause(200);
  }
}

async function status(http) {
  try {
    const response = await fetch(`http://127.0.0.1:${http}/api/status`);
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}

async function all(config, topic) {
  const child = spawn(process.execPath, [MAIN, 'tail', topic, '--config', config, '--from-start'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const found = [];
  for await (const line of createInterface({ input: child.stdout })) found.push(JSON.parse(line));
  return found;
}

/** By quantity and origin: values and model. */
async function forecasts(config, topic) {
  const child = spawn(process.execPath, [MAIN, 'tail', topic, '--config', config, '--from-start'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const found = new Map();
  for await (const line of createInterface({ input: child.stdout })) {
    const { value } = JSON.parse(line);
    found.set(`${value.quantity} ${time(value.origin)}`, value);
  }
  return found;
}

function report({ live, once, ridge, network }, models) {
  const index = new Map(table.times.map((at, i) => [at, i]));
  const months = new Map();
  const names = ['loop', 'once', 'network once', 'ridge once', 'seasonal naive', 'last value'];
  const isNaive = ({ model }) => ['last-value', 'seasonal-naive'].includes(model);
  // From the first forecast of a model on, whatever served after it: the pipeline falls back to a naive forecast for a
  // series where that has lately been better, and its errors are the loop's.
  const served = Math.min(...[...live.values()].filter((one) => !isNaive(one)).map(({ origin }) => time(origin)));
  let naive = 0;
  for (const [key, forecast] of live) {
    const origin = index.get(time(forecast.origin));
    if (origin === undefined || origin <= first || origin + HORIZON > rows) continue;
    const others = [once, network, ridge].map((each) => each.get(key));
    if (time(forecast.origin) < served || others.includes(undefined)) continue;
    if (isNaive(forecast)) naive++;
    const { values, deviation } = table.columns.find(({ name }) => name === forecast.quantity);
    const month = new Date(table.times[first] + Math.floor((origin - first) / MONTH) * MONTH * HOUR)
      .toISOString()
      .slice(0, 10);
    const sums = months.get(month) ?? { count: 0, errors: names.map(() => 0) };
    months.set(month, sums);
    for (let h = 0; h < HORIZON; h++) {
      const actual = values[origin + h];
      const guesses = [forecast, ...others].map((each) => each.values[h]);
      [...guesses, values[origin + h - 24], values[origin - 1]].forEach((guess, n) => {
        sums.errors[n] += Math.abs(guess - actual) / deviation;
      });
      sums.count++;
    }
  }
  const line = (label, { count, errors }) =>
    [label.padEnd(10), ...errors.map((sum) => (sum / count).toFixed(4).padStart(15))].join(' ');
  const total = { count: 0, errors: names.map(() => 0) };
  console.log(['from'.padEnd(10), ...names.map((name) => name.padStart(15))].join(' '));
  for (const [month, sums] of [...months].sort()) {
    console.log(line(month, sums));
    total.count += sums.count;
    sums.errors.forEach((sum, n) => {
      total.errors[n] += sum;
    });
  }
  console.log(line('all', total));
  console.log(
    `mean absolute error of live forecasts, in deviations of the first ${first} rows; ${total.count / HORIZON} windows, in ${naive} of which the pipeline kept the naive forecast`,
  );
  const list = Array.isArray(models) ? models : models.models;
  console.log(`${list.length} models, ${Math.round((Date.now() - began) / 1000)} s`);
  const best = Math.min(...total.errors.slice(1));
  if (!(total.errors[0] < best)) {
    console.log('the loop does not win overall');
    process.exitCode = 1;
  }
}

function csv() {
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const names = lines[0].trim().split(',').slice(1);
  const body = lines.slice(1, rows + 1).map((each) => each.trim().split(','));
  return {
    times: body.map((cells) => Date.parse(`${cells[0].replace(' ', 'T')}Z`)),
    columns: names.map((name, c) => {
      const values = body.map((cells) => Number(cells[c + 1]));
      const known = values.slice(0, first);
      const mean = known.reduce((a, b) => a + b, 0) / known.length;
      const deviation = Math.sqrt(known.reduce((a, b) => a + (b - mean) ** 2, 0) / known.length);
      return { name, values, deviation };
    }),
  };
}

function time(value) {
  return typeof value === 'number' ? value : Date.parse(value);
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [MAIN, command, ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
      error === null ? resolve(stdout.trim()) : reject(new Error(`fleetcast ${command} failed:\n${stderr}${stdout}`)),
    );
  });
}

function start(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  processes.push(child);
}

async function until(condition, what) {
  for (let tries = 0; tries < 300; tries++) {
    if (await condition()) return;
    await pause(200);
  }
  throw new Error(`${what} did not come`);
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
