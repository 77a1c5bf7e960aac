// The ledger: a publisher numbers its messages and keeps what the broker has accepted; bridge and broker are killed and
// the log is stalled, failed and (Kafka) killed in random order. In the end everything accepted must be on the log: at
// least once, once after the de-duplication of the operator `quality`, in order for each device.
//   node test/torture/bridge.mjs [--rounds 100] [--seed N] [--rate 2000] [--devices 20] [--log embedded|kafka]
//     [--deeds 'kill bridge,stall log'] [--receive-maximum 8192]
// Needs a build (or FLEETCAST_DIST), Mosquitto, and for Kafka the scripts that start one. Exit code 0 where the ledger
// holds, 1 where it does not.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { judge } from './bridge-ledger.mjs';
import { end, makeKafka, makeMosquitto } from './components.mjs';

const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { connectPublisher } = await from('bridges/mqtt/publisher.js');

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rate: { type: 'string', default: '2000' },
    devices: { type: 'string', default: '20' },
    log: { type: 'string', default: 'embedded' },
    deeds: { type: 'string' },
    'receive-maximum': { type: 'string', default: '8192' },
  },
});
const rounds = Number(options.rounds);
const random = mulberry32(Number(options.seed));
const pick = (list) => list[Math.floor(random() * list.length)];
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
console.log(`seed ${options.seed}, ${rounds} rounds, ${options.log}`);

const folder = mkdtempSync(join(tmpdir(), 'fleetcast-torture-'));
const mosquitto = await makeMosquitto(folder);
const kafka = options.log === 'kafka' ? await makeKafka(join(folder, 'kafka')) : undefined;
if (options.log === 'kafka' && kafka === undefined) throw new Error('there is no Kafka to start');
const logArgument = kafka === undefined ? join(folder, 'log') : kafka.brokers;

// --- the bridge
let bridge;
let status;
function startBridge() {
  const script = fileURLToPath(new URL('bridge-process.mjs', import.meta.url));
  const args = [script, dist, options.log, logArgument, String(mosquitto.port), options['receive-maximum']];
  bridge = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  status = undefined;
  bridge.stdin.on('error', () => {});
  let text = '';
  bridge.stdout.on('data', (data) => {
    text += data;
    const lines = text.split('\n');
    text = lines.pop();
    if (lines.length > 0) status = JSON.parse(lines.at(-1));
  });
}
const tell = (mood) => bridge.stdin.write(`${mood}\n`);

// --- the publisher and its ledger
const devices = Number(options.devices);
const next = Array(devices).fill(0);
const accepted = new Set();
const waiting = new Set();
const sentAgain = new Set();
let publishing = true;
let paused = false;
await kafka?.start();
await mosquitto.start();
startBridge();
// The session must exist before the first message, or the broker has nobody to keep it for.
while (status?.session.subscribed !== true) {
  if (bridge.exitCode !== null) throw new Error('the bridge has ended');
  await wait(10);
}
const publisher = await connectPublisher({
  url: `mqtt://127.0.0.1:${mosquitto.port}`,
  clientId: 'ledger',
  window: 500,
  reconnectMs: { min: 20, max: 100 },
});
const publish = (async () => {
  while (publishing) {
    for (let i = 0; i < Number(options.rate) / 50 && !paused; i++) {
      const device = Math.floor(random() * devices);
      const n = next[device]++;
      const key = `d${device} ${n}`;
      waiting.add(key);
      const payload = JSON.stringify({ time: 1_700_000_000_000 + n, n });
      await publisher.publish(`fleet/d${device}`, payload, { qos: 1 }, () => {
        waiting.delete(key);
        accepted.add(key);
      });
    }
    await wait(20);
  }
})();

const counts = {};
const deeds = {
  'kill bridge': async () => {
    await end(bridge, 'SIGKILL');
    await wait(random() * 300);
    startBridge();
  },
  'freeze bridge': async () => {
    // The broker gives it up after three seconds; it goes on as if nothing had been.
    bridge.kill('SIGSTOP');
    await wait(random() * 4_500);
    bridge.kill('SIGCONT');
  },
  'kill broker': async () => {
    // What Mosquitto has accepted and not saved dies with it, which is no matter of the bridge: it saves first.
    paused = true;
    await publisher.flush();
    await mosquitto.save();
    await mosquitto.end('SIGKILL');
    await wait(random() * 200);
    await mosquitto.start();
    paused = false;
  },
  'stop broker': async () => {
    await mosquitto.end('SIGTERM');
    for (const key of waiting) sentAgain.add(key);
    await wait(random() * 200);
    await mosquitto.start();
  },
  'fail log': async () => {
    tell('fail');
    await wait(random() * 400);
    tell('go');
  },
  'fail log after writing': async () => {
    tell('half');
    await wait(random() * 200);
    tell('go');
  },
  'stall log': async () => {
    tell('stall');
    await wait(random() * 600);
    tell('go');
  },
  ...(kafka === undefined
    ? {}
    : {
        'kill kafka for ten seconds': async () => {
          await kafka.end('KILL');
          await wait(10_000);
          await kafka.start();
        },
      }),
};

let failed = false;
try {
  for (let round = 0; round < rounds; round++) {
    const deed = pick(options.deeds?.split(',') ?? Object.keys(deeds));
    counts[deed] = (counts[deed] ?? 0) + 1;
    await deeds[deed]();
    await wait(random() * 200);
  }
  publishing = false;
  await publish;
  await publisher.flush();
  await publisher.end();
  tell('go');
  await quiet();
  await end(bridge, 'SIGKILL');
  const log = await openLog();
  const verdict = await judge(log, dist, { accepted, sentAgain });
  await log.close();
  console.log(JSON.stringify({ rounds, ...counts }));
  console.log(JSON.stringify(verdict));
  console.log(
    `accepted ${verdict.accepted}, on the log ${verdict.readings}: lost ${verdict.lost}, out of order ` +
      `${verdict.outOfOrder}, twice after de-duplication ${verdict.twice}`,
  );
  failed = !verdict.holds;
} finally {
  await end(bridge, 'SIGKILL');
  await mosquitto.end('SIGKILL');
  await kafka?.end('KILL').catch(() => {});
  rmSync(folder, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

async function openLog() {
  if (kafka === undefined) return (await from('log/embedded/embedded-log.js')).openEmbeddedLog({ path: logArgument });
  return (await from('log/kafka/kafka-log.js')).openKafkaLog({ brokers: [kafka.brokers] });
}

/** The broker has nothing left that the bridge has not acknowledged: nothing comes for a while. */
async function quiet() {
  let received = -1;
  let since = Date.now();
  const deadline = Date.now() + 120_000;
  while (Date.now() - since < 1_500) {
    if (Date.now() > deadline) throw new Error('the bridge does not come to rest');
    await wait(50);
    const calm = status?.session.subscribed === true && status.pendingMessages === 0;
    if (calm && status.received === received) continue;
    received = status?.received ?? -1;
    since = Date.now();
  }
}

function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
