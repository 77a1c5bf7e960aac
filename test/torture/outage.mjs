// The whole service through outages of Kafka: devices publish on, Kafka is killed, stays away for a while and comes back,
// and in the end every reading is on the log and every closed bucket has one forecast, no more and no less.
//   npm run torture:outage [-- --outages 2 --seconds 90 --rate 50 --devices 20 --mqtt mosquitto|embedded --learner
//     --signal KILL|TERM|MIX --seed N]
// Needs a build, the scripts that start a Kafka and, for `--mqtt mosquitto`, Mosquitto. Exit code 0 where it holds.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { end, freePort, makeKafka, makeMosquitto } from './components.mjs';
import { judgeForecasts } from './outage-ledger.mjs';

const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { connectPublisher } = await from('bridges/mqtt/publisher.js');
const { openKafkaLog } = await from('log/kafka/kafka-log.js');

const { values: options } = parseArgs({
  options: {
    outages: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '90' },
    between: { type: 'string', default: '30' },
    rate: { type: 'string', default: '50' },
    devices: { type: 'string', default: '20' },
    mqtt: { type: 'string', default: 'mosquitto' },
    signal: { type: 'string', default: 'KILL' },
    learner: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
});
const devices = Number(options.devices);
const rate = Number(options.rate);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const began = Date.now();
const say = (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);

const INTERVAL_MS = 60_000;
const FIRST = Date.UTC(2024, 0, 1);
const folder = mkdtempSync(join(tmpdir(), 'fleetcast-outage-'));
const mosquitto = options.mqtt === 'embedded' ? undefined : await makeMosquitto(folder);
const kafka = await makeKafka(join(folder, 'kafka'));
if (kafka === undefined) throw new Error('there is no Kafka to start');
await kafka.start();
await mosquitto?.start();

const mqttPort = mosquitto?.port ?? (await freePort());
const mqttUrl = `mqtt://127.0.0.1:${mqttPort}`;
const pagePort = await freePort();
const configuration = {
  broker: mosquitto === undefined ? { embedded: { port: mqttPort } } : { url: mqttUrl },
  http: { port: pagePort },
  learner: { enabled: options.learner, firstAfter: 48, every: 48 },
  topics: { partitions: 4 },
  log: { kafka: { brokers: [kafka.brokers] } },
  mapping: { rules: [{ topic: 'fleet/+device', time: { path: 'time' }, rest: 'strict' }] },
  pipeline: { interval: '1m', lookback: 24, horizon: 6, season: 12, grace: '1m', idle: '1h' },
};
const configFile = join(folder, 'fleetcast.yaml');
writeFileSync(configFile, JSON.stringify(configuration));
const service = spawn(process.execPath, [join(dist, 'cli/main.js'), 'run', '--config', configFile], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
const page = async (path) => {
  try {
    const response = await fetch(`http://127.0.0.1:${pagePort}${path}`);
    return { code: response.status, body: await response.json() };
  } catch {
    return { code: 0, body: {} };
  }
};
async function until(what, holds, seconds = 120) {
  const start = Date.now();
  while (!(await holds())) {
    if (service.exitCode !== null) throw new Error(`the service has ended with code ${service.exitCode}`);
    if (Date.now() - start > seconds * 1000) throw new Error(`waited ${seconds} s in vain: ${what}`);
    await wait(100);
  }
  return Date.now() - start;
}

/** Reads on through the outages, as a consumer would: it tries again where it was. */
function follow(log, topic) {
  const seen = new Set();
  const stop = new AbortController();
  let twice = 0;
  let failures = 0;
  const readPartition = async (partition) => {
    for (let offset = 0; !stop.signal.aborted; ) {
      try {
        const batch = await log.read(topic, partition, offset, { waitMs: 500, signal: stop.signal });
        for (const { offset: at } of batch.records) {
          const place = `${partition}/${at}`;
          if (seen.has(place)) twice++;
          seen.add(place);
        }
        offset = batch.nextOffset;
      } catch {
        failures++;
        await wait(200);
      }
    }
  };
  const done = log
    .topic(topic)
    .then(({ partitions }) => Promise.all(Array.from({ length: partitions }, (_, p) => readPartition(p))));
  return {
    end: async () => {
      stop.abort();
      await done;
      await log.close();
      return { records: seen.size, twice, failures };
    },
  };
}

let failed = true;
try {
  await until('ready', async () => (await page('/ready')).code === 200);
  await until('subscribed', async () => (await page('/api/status')).body.bridge?.connected === true);
  const followed = follow(await openKafkaLog({ brokers: [kafka.brokers] }), 'forecasts');
  say('the service is ready');
  const publisher = await connectPublisher({ url: mqttUrl, protocol: '3.1.1', clientId: 'fleet', window: 50_000 });
  const next = Array(devices).fill(0);
  const accepted = Array(devices).fill(0);
  let publishing = true;
  const publish = (async () => {
    let sent = 0;
    const start = Date.now();
    while (publishing) {
      for (const due = ((Date.now() - start) / 1000) * rate; sent < due; sent++) {
        const device = sent % devices;
        const n = next[device]++;
        const payload = JSON.stringify({ time: FIRST + n * INTERVAL_MS, n, wave: Math.sin(n / 2) });
        await publisher.publish(`fleet/d${device}`, payload, { qos: 1 }, () => {
          accepted[device]++;
        });
      }
      await wait(20);
    }
  })();
  await wait(Number(options.between) * 1000);
  for (let outage = 0; outage < Number(options.outages); outage++) {
    await kafka.end(options.signal);
    say('Kafka is away');
    const told = await until('not ready', async () => (await page('/ready')).code === 503);
    say(`after ${told} ms: ${(await page('/ready')).body.problems?.[0]}`);
    await wait(Number(options.seconds) * 1000 - told);
    if ((await page('/health')).code !== 200) throw new Error('/health is red for brokers that are away');
    await kafka.start();
    say('Kafka is back');
    const back = await until('ready again', async () => (await page('/ready')).code === 200);
    say(`ready ${back} ms after Kafka had started`);
    await wait(Number(options.between) * 1000);
  }
  publishing = false;
  await publish;
  await publisher.flush();
  await publisher.end();
  const published = next.reduce((a, b) => a + b);
  say(`published ${published}, acknowledged ${accepted.reduce((a, b) => a + b)}`);
  const log = await openKafkaLog({ brokers: [kafka.brokers] });
  let verdict;
  let before = '';
  await until('the topics come to rest', async () => {
    verdict = await judgeForecasts(log, dist, next);
    const now = JSON.stringify([verdict.readings, verdict.forecasts]);
    const rests = now === before && verdict.readings.missing === 0 && verdict.forecasts.missing === 0;
    before = now;
    if (!rests) await wait(1000);
    return rests;
  }).catch((error) => say(error.message));
  await log.close();
  const seenLive = await followed.end();
  verdict.followed = seenLive;
  const { totals, drops } = (await page('/api/status')).body;
  verdict.page = { totals, drops };
  verdict.holds &&= seenLive.records === verdict.forecasts.records && seenLive.twice === 0;
  console.log(JSON.stringify(verdict, undefined, 1));
  failed = !verdict.holds;
} finally {
  await end(service, 'SIGTERM');
  say(`the service has ended with code ${service.exitCode}`);
  await mosquitto?.end('SIGKILL');
  await kafka.end('KILL').catch(() => {});
  if (options.keep) say(`kept: ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
}
process.exit(failed || service.exitCode !== 0 ? 1 : 0);
