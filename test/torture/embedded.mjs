// The ledger of the embedded broker: a service with a broker of its own is killed (SIGKILL) again and again while a
// publisher numbers its messages and keeps what was acknowledged to it. In the end everything acknowledged must be on the
// log: at least once, once after de-duplication, in order for each device.
//   node test/torture/embedded.mjs [--rounds 30] [--seed N] [--rate 2000] [--devices 20]
// Needs a build (or FLEETCAST_DIST). Exit code 0 where the ledger holds, 1 where it does not.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
    rounds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rate: { type: 'string', default: '2000' },
    devices: { type: 'string', default: '20' },
  },
});
const rounds = Number(options.rounds);
const random = mulberry32(Number(options.seed));
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
console.log(`seed ${options.seed}, ${rounds} rounds`);

const folder = mkdtempSync(join(tmpdir(), 'fleetcast-torture-'));
const port = await freePort();
const config = join(folder, 'fleetcast.yaml');
writeFileSync(
  config,
  [
    `broker: {embedded: {port: ${port}}}`,
    'log: {embedded: {path: log, maxSize: 4GiB}}',
    'topics: {partitions: 3}',
    'http: {enabled: false}',
    'learner: {enabled: false}',
    'logging: {level: warn}',
    '',
  ].join('\n'),
);

let service;
async function startService() {
  const child = spawn(process.execPath, [join(dist, 'cli', 'main.js'), 'run', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  service = child;
  let said = '';
  await new Promise((resolve, reject) => {
    child.stderr.on('data', (data) => {
      said += data;
      if (/running;/.test(said)) resolve();
    });
    child.once('exit', (code, signal) => {
      if (signal === null) reject(new Error(`the service ended with ${code}: ${said}`));
    });
  });
}
async function end(child, signal) {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

const devices = Number(options.devices);
const next = Array(devices).fill(0);
const accepted = new Set();
let publishing = true;
let failed = true;
try {
  await startService();
  const publisher = await connectPublisher({
    url: `mqtt://127.0.0.1:${port}`,
    clientId: 'ledger',
    protocol: '3.1.1',
    window: 500,
    reconnectMs: { min: 20, max: 100 },
  });
  const publish = (async () => {
    while (publishing) {
      for (let i = 0; i < Number(options.rate) / 50; i++) {
        const device = Math.floor(random() * devices);
        const n = next[device]++;
        const payload = JSON.stringify({ time: 1_700_000_000_000 + n, n });
        // Half of the devices with QoS 1, half with QoS 2.
        const qos = 1 + (device % 2);
        await publisher.publish(`fleet/d${device}`, payload, { qos }, () => accepted.add(`d${device} ${n}`));
      }
      await wait(20);
    }
  })();
  for (let round = 0; round < rounds; round++) {
    await wait(100 + random() * 600);
    await end(service, 'SIGKILL');
    await wait(random() * 200);
    await startService();
  }
  publishing = false;
  await publish;
  await publisher.flush();
  await publisher.end();
  await end(service, 'SIGKILL');
  failed = !(await ledgerHolds());
} finally {
  await end(service, 'SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);

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
  console.log(
    `killed ${rounds} times: accepted ${accepted.size}, on the log ${readings}, distinct ${distinct}: lost ${lost}, ` +
      `out of order ${outOfOrder}, twice ${readings - distinct} (of these not marked as redelivered ${unmarked})`,
  );
  return lost === 0 && outOfOrder === 0 && unmarked === 0 && distinct === fingerprints.size && accepted.size > 0;
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
