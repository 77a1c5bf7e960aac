// How fast the bridge takes messages from a real Mosquitto, against the ceiling in the same run.
//   node bench/bridge/run.mjs [--messages 200000] [--rounds 3] [--kinds ceiling,memory,embedded] [--latency]
//     [--rate 2000] [--devices 1000] [--kafka HOST:PORT, with the kind kafka]
// Needs a build (`npm run build`) and Mosquitto. Everything runs on this machine: broker, publisher, receiver.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = process.env.FLEETCAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '3' },
    kinds: { type: 'string', default: 'ceiling,memory,embedded' },
    kafka: { type: 'string' },
    latency: { type: 'boolean', default: false },
    rate: { type: 'string', default: '2000' },
    devices: { type: 'string', default: '1000' },
  },
});
const messages = Number(values.messages);
const children = new Set();

function start(command, args, env = {}) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  children.add(child);
  child.once('exit', () => children.delete(child));
  let said = '';
  let errors = '';
  child.stdout.on('data', (data) => {
    said += data;
  });
  child.stderr.on('data', (data) => {
    errors += data;
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return {
    child,
    ended,
    says: async (wanted) => {
      while (!said.includes(wanted) && !errors.includes(wanted)) {
        if (child.exitCode !== null) throw new Error(`${command} ended: ${errors}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    result: async () => {
      await ended;
      const last = said.trim().split('\n').at(-1);
      if (child.exitCode !== 0) throw new Error(`${args.join(' ')}: ${errors}`);
      return JSON.parse(last);
    },
  };
}

async function round(kind) {
  const folder = mkdtempSync(join(tmpdir(), 'fleetcast-bench-'));
  const port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  writeFileSync(
    config,
    `listener ${port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\n`,
  );
  const mosquitto = start('/usr/sbin/mosquitto', ['-c', config]);
  await mosquitto.says('running');
  const receiver = start(
    process.execPath,
    [
      join(here, 'receiver.mjs'),
      kind,
      String(port),
      String(messages),
      dist,
      kind === 'kafka' ? values.kafka : join(folder, 'log'),
    ],
    values.latency ? { BENCH_LATENCY: '1' } : {},
  );
  await receiver.says('ready');
  const publisher = start(process.execPath, [
    join(here, 'raw-publisher.mjs'),
    String(port),
    String(messages),
    values.devices,
    '2000',
    ...(values.latency ? [values.rate] : []),
  ]);
  const result = { ...(await receiver.result()), publisher: (await publisher.result()).rate };
  mosquitto.child.kill('SIGTERM');
  await mosquitto.ended;
  rmSync(folder, { recursive: true, force: true });
  return result;
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const median = (numbers) => numbers.sort((a, b) => a - b)[numbers.length >> 1];
const kinds = values.kinds.split(',');
const rates = Object.fromEntries(kinds.map((kind) => [kind, []]));
try {
  for (let i = 0; i < Number(values.rounds); i++) {
    for (const kind of kinds) {
      const result = await round(kind);
      rates[kind].push(result.rate);
      console.log(JSON.stringify(result));
    }
  }
} finally {
  for (const child of children) child.kill('SIGKILL');
}
console.log(
  `\n${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${cpus().length} cores, ${messages} messages`,
);
const ceiling = rates.ceiling === undefined ? undefined : median(rates.ceiling);
for (const kind of kinds) {
  const rate = median(rates[kind]);
  console.log(
    `${kind}: ${rate} messages/s${ceiling === undefined ? '' : `, ${(rate / ceiling).toFixed(2)} of the ceiling`}`,
  );
}
