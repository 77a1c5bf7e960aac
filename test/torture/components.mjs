// Mosquitto and Kafka as processes that can be killed and come back with what they had saved.
import { execFile, spawn } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function end(child, signal) {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}

export async function makeMosquitto(folder) {
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
  let child;
  return {
    port,
    start: async () => {
      child = spawn(process.env.MOSQUITTO ?? '/usr/sbin/mosquitto', ['-c', config], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      await new Promise((resolve, reject) => {
        child.once('error', reject);
        child.stderr.on('data', (data) => {
          if (/running/.test(String(data))) resolve();
        });
      });
    },
    /** Writes what it holds to the disk. */
    save: async () => {
      const file = join(folder, 'mosquitto.db');
      const before = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
      child.kill('SIGUSR1');
      for (let i = 0; i < 500 && statSync(file, { throwIfNoEntry: false })?.mtimeMs === before; i++) await wait(10);
    },
    end: (signal) => end(child, signal),
  };
}

/** Undefined where the scripts that start a Kafka are not at hand (FLEETCAST_TEST_TOOLS). */
export async function makeKafka(folder) {
  const tools = process.env.FLEETCAST_TEST_TOOLS ?? fileURLToPath(new URL('../../../shared/tools', import.meta.url));
  const start = join(tools, 'kafka/start-kafka.sh');
  if (!existsSync(start)) return undefined;
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  return {
    brokers: `127.0.0.1:${port}`,
    start: () => run(start, [String(port), folder, '1'], { env: { ...process.env, HEAP: '384m' } }),
    end: (signal) => run(join(tools, 'kafka/stop-kafka.sh'), [folder, signal]),
  };
}

export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
