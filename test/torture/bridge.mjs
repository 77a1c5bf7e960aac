// The ledger: a publisher numbers its messages and keeps what the broker has accepted; bridge and broker are killed and
// the log is stalled and failed in random order. In the end everything accepted must be on the log: at least once, once
// after de-duplication, in order for each device.
//   node test/torture/bridge.mjs [--rounds 100] [--seed N] [--rate 2000] [--devices 20] [--deeds 'kill bridge,stall log']
// Needs a build (or FLEETCAST_DIST) and Mosquitto. Exit code 0 where the ledger holds, 1 where it does not.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const from = (path) => import(pathToFileURL(`${dist}/${path}`).href);
const { connectPublisher } = await from('bridges/mqtt/publisher.js');
const { openEmbeddedLog } = await from('log/embedded/embedded-log.js');
const { decodeRecord } = await from('events/codec.js');

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rate: { type: 'string', default: '2000' },
    devices: { type: 'string', default: '20' },
    deeds: { type: 'string' },
  },
});
const rounds = Number(options.rounds);
const random = mulberry32(Number(options.seed));
const pick = (list) => list[Math.floor(random() * list.length)];
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
console.log(`seed ${options.seed}, ${rounds} rounds`);

const folder = mkdtempSync(join(tmpdir(), 'fleetcast-torture-'));
const port = await freePort();
const config = join(folder, 'mosquitto.conf');
writeFileSync(
  config,
  [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'max_queued_messages 0',
    'max_inflight_messages 0',
    'persistence true',
    `persistence_location ${folder}/`,
    // As root it would become another user, who cannot write here.
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    '',
  ].join('\n'),
);

// --- the broker
let mosquitto;
async function startBroker() {
  mosquitto = spawn(process.env.MOSQUITTO ?? '/usr/sbin/mosquitto', ['-c', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await new Promise((resolve, reject) => {
    mosquitto.once('error', reject);
    mosquitto.stderr.on('data', (data) => {
      if (/running/.test(String(data))) resolve();
    });
  });
}
async function end(child, signal) {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

// --- the bridge
let bridge;
let status;
function startBridge() {
  const script = fileURLToPath(new URL('bridge-process.mjs', import.meta.url));
  bridge = spawn(process.execPath, [script, dist, join(folder, 'log'), String(port)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
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
let publishing = true;
let paused = false;
await startBroker();
startBridge();
// The session must exist before the first message, or the broker has nobody to keep it for.
while (status?.session.subscribed !== true) await wait(10);
const publisher = await connectPublisher({
  url: `mqtt://127.0.0.1:${port}`,
  clientId: 'ledger',
  window: 500,
  reconnectMs: { min: 20, max: 100 },
});
const publish = (async () => {
  while (publishing) {
    if (!paused) {
      for (let i = 0; i < Number(options.rate) / 50; i++) {
        const device = Math.floor(random() * devices);
        const n = next[device]++;
        const payload = JSON.stringify({ time: 1_700_000_000_000 + n, n });
        await publisher.publish(`fleet/d${device}`, payload, { qos: 1 }, () => accepted.add(`d${device} ${n}`));
      }
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
  'kill broker': async () => {
    // What Mosquitto has accepted and not saved dies with it, which is no matter of the bridge: it saves first.
    paused = true;
    await publisher.flush();
    const file = join(folder, 'mosquitto.db');
    const before = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    mosquitto.kill('SIGUSR1');
    for (let i = 0; i < 500 && statSync(file, { throwIfNoEntry: false })?.mtimeMs === before; i++) await wait(10);
    await end(mosquitto, 'SIGKILL');
    await wait(random() * 200);
    await startBroker();
    paused = false;
  },
  'stop broker': async () => {
    await end(mosquitto, 'SIGTERM');
    await wait(random() * 200);
    await startBroker();
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
  failed = !(await ledgerHolds());
} finally {
  await end(bridge, 'SIGKILL');
  await end(mosquitto, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

/** The broker has nothing left that the bridge has not acknowledged: nothing comes for a while. */
async function quiet() {
  let received = -1;
  let since = Date.now();
  const deadline = Date.now() + 60_000;
  while (Date.now() - since < 1_500) {
    if (Date.now() > deadline) throw new Error('the bridge does not come to rest');
    await wait(50);
    const calm = status?.session.subscribed === true && status.pendingMessages === 0;
    if (calm && status.received === received) continue;
    received = status?.received ?? -1;
    since = Date.now();
  }
}

async function ledgerHolds() {
  const log = await openEmbeddedLog({ path: join(folder, 'log') });
  const seen = new Map();
  const fingerprints = new Set();
  let readings = 0;
  let outOfOrder = 0;
  let unmarked = 0;
  for (let partition = 0; partition < 3; partition++) {
    const { earliest, end: last } = await log.offsets('readings', partition);
    for (let offset = earliest; offset < last; ) {
      const batch = await log.read('readings', partition, offset, { maxRecords: 10_000 });
      for (const { value } of batch.records) {
        const record = decodeRecord(value);
        if (record.type !== 'Reading') continue;
        readings++;
        const numbers = seen.get(record.device) ?? { set: new Set(), last: -1 };
        seen.set(record.device, numbers);
        const { n } = record.values;
        if (numbers.set.has(n)) {
          if (!record.redelivered) unmarked++;
          continue;
        }
        if (n < numbers.last) outOfOrder++;
        numbers.set.add(n);
        numbers.last = n;
        fingerprints.add(record.fingerprint);
      }
      offset = batch.nextOffset;
    }
  }
  await log.close();
  let lost = 0;
  for (const each of accepted) {
    const [device, n] = each.split(' ');
    if (!seen.get(device)?.set.has(Number(n))) lost++;
  }
  const distinct = [...seen.values()].reduce((sum, { set }) => sum + set.size, 0);
  const clashes = distinct - fingerprints.size;
  console.log(JSON.stringify({ rounds, ...counts }));
  console.log(
    `accepted ${accepted.size}, on the log ${readings}, distinct ${distinct}: lost ${lost}, out of order ${outOfOrder}, ` +
      `twice ${readings - distinct} (of these not marked as redelivered ${unmarked}), fingerprints that clash ${clashes}`,
  );
  return lost === 0 && outOfOrder === 0 && clashes === 0 && accepted.size > 0;
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

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: free } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return free;
}
