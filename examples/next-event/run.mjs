// What will a washing machine report next? The model of the Keras guide, Embedding(1000, 64), LSTM(128), Dense(10), from
// the first event over MQTT to forecasts on the stream, with nothing but the command line.
//   node examples/next-event/run.mjs [--events 6000] [--epochs 4] [--seed 1] [--keep FOLDER] [--json]
// Needs a built dist/. Exits with 1 when a promise does not hold.
import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const MACHINES = 4;
const STEPS = 12;
const { values: options } = parseArgs({
  options: {
    events: { type: 'string', default: '6000' },
    epochs: { type: 'string', default: '4' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const count = Number(options.events);
const known = Math.floor((count * 2) / 3);
const folder = options.keep ?? mkdtempSync(join(tmpdir(), 'fleetcast-next-event-'));
mkdirSync(folder, { recursive: true });
const say = (text) => (options.json ? undefined : console.log(text));
let service;
try {
  const result = await main();
  if (options.json) console.log(JSON.stringify(result));
  else for (const { name, holds } of result.checks) console.log(`${holds ? 'ok  ' : 'FAIL'}  ${name}`);
  if (result.checks.some(({ holds }) => !holds)) process.exitCode = 1;
} finally {
  if (service !== undefined && service.exitCode === null) {
    const ended = new Promise((resolve) => service.once('exit', resolve));
    service.kill('SIGTERM');
    await ended;
  }
  if (options.keep === undefined) rmSync(folder, { recursive: true, force: true });
}

async function main() {
  const [port, http] = [await freePort(), await freePort()];
  const config = join(folder, 'fleetcast.yaml');
  writeFileSync(
    config,
    [
      `broker: {embedded: {port: ${port}}}`,
      `log: {embedded: {path: ${join(folder, 'data')}}}`,
      'topics: {partitions: 2}',
      'learner: {enabled: false}',
      `http: {port: ${http}}`,
      `events: {quantity: event, codes: 10, steps: ${STEPS}}`,
      '',
    ].join('\n'),
  );
  const events = washingDay(count, Number(options.seed));
  const csv = join(folder, 'events.csv');
  const row = ({ time, machine, code }) => `${new Date(time).toISOString()},machine-${machine},${code}`;
  writeFileSync(csv, `time,machine,event\n${events.map(row).join('\n')}\n`);
  service = spawn(process.execPath, [MAIN, 'run', '--config', config], { stdio: 'ignore' });
  await until('the service', () =>
    fetch(`http://127.0.0.1:${http}/ready`).then(
      (answer) => answer.ok,
      () => false,
    ),
  );

  const publish = (rows) => {
    const device = ['--device-column', 'machine', '--time-column', 'time', '--rows', String(rows), '--json'];
    const source = ['--csv', csv, '--broker', `mqtt://127.0.0.1:${port}`, '--resume', join(folder, 'position.json')];
    return run('publish', [...source, ...device]);
  };
  await publish(known);
  say(`published ${known} events of ${MACHINES} machines\n`);
  const common = ['--config', config, '--epochs', options.epochs, '--seed', options.seed, '--activate'];
  const trained = await run('train-events', options.json ? [...common, '--json'] : common);
  say(trained);
  await publish(count);

  const actual = Array.from({ length: MACHINES }, (_, machine) => events.filter((event) => event.machine === machine));
  const later = events.slice(known).length;
  let forecasts = [];
  await until('a forecast after every event', async () => {
    forecasts = await nextEvents(config);
    return forecasts.length >= later;
  });
  const rules = rulesOf(actual, events[known].time);
  const live = score(forecasts, actual, rules);
  say(`\nlive, from the topic next-events: ${JSON.stringify(live)}`);
  const replay = await run('replay', ['--config', config, '--verify']);
  const best = Math.max(...Object.values(live).slice(1));
  const checks = [
    { name: `one forecast for each of the ${later} events after the activation`, holds: forecasts.length === later },
    { name: `right more often than every naive rule: ${live.model} against ${best}`, holds: live.model > best },
    { name: 'a replay gives the same forecasts, byte for byte', holds: replay.includes('identical, byte for byte') },
  ];
  return { live, checks, ...(options.json ? { trained: JSON.parse(trained) } : {}) };
}

/** Programs of a machine, with noise in between: 1 on, 2 fill, 3 heat, 4 wash, 5 drain, 6 rinse, 7 spin, 9 off; 0 and 8 are noise. */
function washingDay(length, seed) {
  const programs = [
    [1, 2, 3, 4, 5, 2, 6, 5, 7, 9],
    [1, 2, 4, 5, 2, 6, 5, 2, 6, 5, 7, 9],
    [1, 2, 6, 5, 9],
  ];
  let state = seed >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const machines = Array.from({ length: MACHINES }, () => ({ program: programs[0], at: 0 }));
  const start = Date.UTC(2026, 0, 5);
  return Array.from({ length }, (_, i) => {
    const time = start + i * 20_000;
    const index = Math.floor(random() * MACHINES);
    const machine = machines[index];
    if (random() < 0.08) return { time, machine: index, code: random() < 0.5 ? 0 : 8 };
    const code = machine.program[machine.at++];
    if (machine.at === machine.program.length) {
      // A rinse follows a long wash more often than not.
      const next = random();
      machine.program = programs[machine.program === programs[1] && next < 0.8 ? 2 : next < 0.5 ? 0 : 1];
      machine.at = 0;
    }
    return { time, machine: index, code };
  });
}

/** What is forecast of each machine, in the order of the events that it was made after. */
async function nextEvents(config) {
  const found = [];
  const child = spawn(process.execPath, [MAIN, 'tail', 'next-events', '--config', config, '--from-start'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface(child.stdout)) found.push(JSON.parse(line).value);
  return found;
}

function rulesOf(actual, trainEnd) {
  const counts = new Map();
  const pairs = new Map();
  const add = (map, key) => map.set(key, (map.get(key) ?? 0) + 1);
  for (const events of actual) {
    events.forEach(({ code, time }, i) => {
      if (time >= trainEnd) return;
      add(counts, code);
      if (i > 0) add(pairs, `${events[i - 1].code} ${code}`);
    });
  }
  const most = (map) => [...map].sort((a, b) => b[1] - a[1])[0]?.[0];
  const followers = Array.from({ length: 10 }, (_, code) => {
    const own = new Map([...pairs].filter(([pair]) => pair.startsWith(`${code} `)));
    return Number(most(own)?.split(' ')[1] ?? most(counts));
  });
  return { frequent: most(counts), followers };
}

/** Shares of the events that were forecast right: each forecast against the event that came after it. */
function score(forecasts, actual, { frequent, followers }) {
  const right = { model: 0, 'most frequent': 0, 'last transition': 0 };
  let scored = 0;
  for (const { device, time, code } of forecasts) {
    const events = actual[Number(device.split('-')[1])];
    const at = events.findIndex((event) => event.time === new Date(time).getTime());
    const next = events[at + 1];
    if (next === undefined) continue;
    scored++;
    if (code === next.code) right.model++;
    if (frequent === next.code) right['most frequent']++;
    if (followers[events[at].code] === next.code) right['last transition']++;
  }
  return Object.fromEntries(Object.entries(right).map(([name, n]) => [name, Number((n / scored).toFixed(3))]));
}

function run(command, args) {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [MAIN, command, ...args], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`fleetcast ${command}: ${stderr || error.message}`));
      else resolve(stdout.trimEnd());
    });
  });
}

async function until(what, holds) {
  for (let tries = 0; tries < 300; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`${what} did not come within a minute`);
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
